/**
 * Boots an image in virtual time in ways that must not differ, and compares what they print of CPU, memory and devices: interpreted,
 * compiled, with chaos, with each optimisation left out.
 *
 *   npm run digests -- --cpus 2 --chaos 1,2,3
 */
import { parseArgs } from "node:util";
import { passNames } from "#jit";
import { runMemvisor } from "./soak/command.ts";

const usage = `npm run digests -- [options]
  --image NAME      a prepared image (default debian-12-cloud)
  --cpus N          vCPUs, which run in turn (default 1)
  --every N         instructions between two digests (default 20000000)
  --chaos SEEDS     default 1
  --each-pass-off   also, once for each optimisation of the translator, without it
  --timeout S       a boot takes no longer (default 600)

Status: 0 all equal, 1 some differ, 2 the image cannot be run. What differs is found by npm run bisect.`;

const { values } = parseArgs({
  options: {
    image: { type: "string", default: "debian-12-cloud" },
    cpus: { type: "string", default: "1" },
    every: { type: "string", default: "20000000" },
    chaos: { type: "string", default: "1" },
    "each-pass-off": { type: "boolean" },
    timeout: { type: "string", default: "600" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const ways: readonly (readonly string[])[] = [
  [],
  ...values.chaos.split(",").map((seed) => ["--chaos", seed]),
  ...(values["each-pass-off"] ? passNames.map((pass) => ["--without", pass]) : []),
];

/** A line for every so many instructions; undefined where the machine did not come to its end. */
async function digests(way: readonly string[]): Promise<readonly string[] | undefined> {
  const inAllWays = ["--cold", "--cpus", values.cpus, "--clock", "virtual", "--digest-every", values.every];
  const { status, stderr } = await runMemvisor({
    args: ["run", values.image, ...inAllWays, ...way, "--exec", "true"],
    input: "",
    timeoutMs: Number(values.timeout) * 1000,
  });
  const lines = stderr.split("\n").filter((line) => / cpu \w+ memory /.test(line));
  if (status === 0 && lines.length > 0) return lines;
  console.error(`${way.join(" ")}: status ${status}\n${stderr.slice(-2000)}`);
  return undefined;
}

async function compare(): Promise<number> {
  const expected = await digests(["--interpreter"]);
  if (expected === undefined) return 2;
  console.error(`interpreted: ${expected.length} digests`);
  let different = 0;
  for (const way of ways) {
    const actual = await digests(way);
    const first = expected.findIndex((line, n) => line !== actual?.[n]);
    const equal = first < 0 && actual?.length === expected.length;
    if (!equal) different++;
    const name = way.join(" ") || "compiled";
    console.error(`${name}: ${equal ? "equal" : `DIFFERS in digest ${first + 1}: ${actual?.[first]}`}`);
  }
  console.log(
    `${values.image}, vCPUs: ${values.cpus}: ${expected.length} digests in ${ways.length} ways against the interpreter: ${different} differ`,
  );
  return different > 0 ? 1 : 0;
}

process.exitCode = await compare();
