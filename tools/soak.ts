/**
 * Boots images again and again and runs commands in them through the command line, as users do; or lets stress-ng look for
 * wrong results inside a guest.
 *
 *   npm run soak -- --times 20
 *   npm run soak -- --stress --images debian-12-cloud --seconds 60
 *   npm run soak -- --each-pass-off --seconds 2
 */
import { parseArgs } from "node:util";
import { passNames } from "#jit";
import { median, table } from "../bench/table.ts";
import { runMemvisor } from "./soak/command.ts";
import { stressors } from "./soak/stressors.ts";

const usage = `npm run soak -- [options]
  --images NAMES    default debian-12-cloud,debian-12,debian-13-cloud,debian-13
  --times N         boots of each image (default 20)
  --stress          run stress-ng instead; prepare the image with: memvisor image prepare IMAGE --with stress-ng --in-memory
  --together        all stressors in one boot, one after the other, instead of a boot for each
  --each-pass-off   that, once for each optimisation of the translator, left out
  --only NAMES      some of the stressors: ${stressors.map((each) => each.name).join(",")}
  --seconds N       how long each stressor works (default 60)
  --cpus N          vCPUs of each machine (default 1), and workers of each stressor
  --timeout S       a boot with its command takes no longer (default 120, plus the stressor's time)
  --run=OPTIONS     more options for memvisor run, separated by spaces: --run="--chaos 1"

Status: 0 nothing wrong, 1 something, 2 there is no stress-ng to run`;

const { values } = parseArgs({
  options: {
    images: { type: "string" },
    times: { type: "string", default: "20" },
    stress: { type: "boolean" },
    together: { type: "boolean" },
    "each-pass-off": { type: "boolean" },
    only: { type: "string" },
    seconds: { type: "string", default: "60" },
    cpus: { type: "string", default: "1" },
    timeout: { type: "string", default: "120" },
    run: { type: "string", default: "" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const allImages = "debian-12-cloud,debian-12,debian-13-cloud,debian-13";
const stresses = values.stress || values.together || values["each-pass-off"];
const images = (values.images ?? (stresses ? "debian-12-cloud" : allImages)).split(",");
const options = ["--cold", "--cpus", values.cpus, ...values.run.split(" ").filter(Boolean)];
/** What preparing an image may take. */
const preparingMs = 600_000;
const seconds = (ms: number): string => (Number.isFinite(ms) ? (ms / 1000).toFixed(1) : "-");
const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** No stress-ng in the image. */
class NotThere extends Error {}

try {
  const failures = stresses ? await stress() : await boots();
  process.exit(failures === 0 ? 0 : 1);
} catch (error) {
  if (!(error instanceof NotThere)) throw error;
  say(error.message);
  process.exit(2);
}

/** Boots with a command whose input, output, errors and status are known; how many went wrong. */
async function boots(): Promise<number> {
  const rows: string[][] = [["image", "boots", "failed", "median s", "longest s"]];
  let failed = 0;
  for (const image of images) {
    await prepare(image);
    const times: number[] = [];
    let bad = 0;
    for (let round = 1; round <= Number(values.times); round++) {
      const status = (round * 7) % 100;
      const input = `round ${round} ${"x".repeat(round * 997)}\n`;
      const result = await runMemvisor({
        args: ["run", image, ...options, "--exec", `cat; uname -s; echo oops >&2; exit ${status}`],
        input,
        timeoutMs: Number(values.timeout) * 1000,
      });
      times.push(result.ms);
      const right = result.status === status && result.stdout === `${input}Linux\n` && result.stderr === "oops\n";
      if (!right) {
        bad++;
        say(
          `${image} round ${round}: status ${result.status} for ${status}, ${result.stdout.length} bytes of output for ${input.length + 6}`,
        );
        say(result.stderr.slice(-2000));
      }
      say(`${image} round ${round} of ${values.times}: ${right ? "good" : "BAD"} ${seconds(result.ms)} s`);
    }
    failed += bad;
    rows.push([image, String(times.length), String(bad), seconds(median(times)), seconds(Math.max(...times))]);
  }
  console.log(table(rows));
  return failed;
}

/** A boot that is not counted: it prepares an image that is missing or of another version, which says more than a command's output. */
async function prepare(image: string): Promise<void> {
  const args = ["run", image, ...options, "--exec", "true"];
  const { status, stderr } = await runMemvisor({ args, input: "", timeoutMs: preparingMs });
  if (status !== 0) say(`${image} before the rounds: status ${status}\n${stderr.slice(-2000)}`);
}

/** A stressor's first option says how many workers it has. */
function workers(words: string): string {
  return words.replace(/^(--\S+) 1\b/, `$1 ${values.cpus}`);
}

/** Stressors that one boot runs, and what else that machine is started with. */
interface StressRun {
  readonly what: string;
  readonly words: readonly string[];
  readonly options: readonly string[];
}

function stressRuns(): StressRun[] {
  const chosen = values.only?.split(",");
  const all = stressors.filter((each) => chosen === undefined || chosen.includes(each.name));
  const words = all.map((each) => each.words);
  if (values["each-pass-off"])
    return passNames.map((pass) => ({ what: `without ${pass}`, words, options: ["--without", pass] }));
  if (values.together) return [{ what: `${all.length} stressors`, words, options: [] }];
  return all.map((each) => ({ what: each.name, words: [each.words], options: [] }));
}

/** stress-ng in the guest; how many boots found something. */
async function stress(): Promise<number> {
  const rows: string[][] = [["image", "stressor", "result", "s"]];
  let failed = 0;
  for (const image of images) {
    for (const run of stressRuns()) {
      const commands = run.words.map(
        (words) =>
          `stress-ng ${workers(words)} --verify --timeout ${values.seconds} --metrics-brief --no-rand-seed 2>&1 || exit $?`,
      );
      const result = await runMemvisor({
        args: ["run", image, ...options, ...run.options, "--exec", commands.join("\n")],
        input: "",
        timeoutMs: (Number(values.timeout) + 3 * Number(values.seconds) * commands.length) * 1000,
      });
      if (result.status === 127) {
        throw new NotThere(`${image} has no stress-ng: memvisor image prepare ${image} --with stress-ng --in-memory`);
      }
      // A stressor that did nothing has found nothing.
      const passed = result.stdout.match(/passed: [1-9]|successful run completed/g) ?? [];
      const right = result.status === 0 && passed.length >= commands.length && !/\bfail:/.test(result.stdout);
      if (!right) {
        failed++;
        say(`${image} ${run.what}\n${result.stdout.slice(-3000)}\n${result.stderr.slice(-2000)}`);
      }
      say(`${image} ${run.what}: ${right ? "good" : `BAD, status ${result.status}`} ${seconds(result.ms)} s`);
      rows.push([image, run.what, right ? "good" : "BAD", seconds(result.ms)]);
    }
  }
  console.log(table(rows));
  return failed;
}
