/**
 * All judges of correctness, one after the other, in bounded time: `docs/correctness.md`. Each is a tool of its own, whose status says whether it
 * found something; this only says how much each one has to look at, and counts.
 *
 *   npm run judge
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { passNames } from "#jit";
import { table } from "../bench/table.ts";
import { type Amounts, type Judge, judges } from "./judge/judges.ts";

const usual: Amounts = { compiled: 50_000, interpreted: 200_000, withoutEach: 2_500, boots: 2, seconds: 1 };
/** What the project asks of itself. */
const full: Amounts = { compiled: 1_000_000, interpreted: 3_000_000, withoutEach: 20_000, boots: 20, seconds: 5 };

const usage = `npm run judge -- [options]
  --full          as much as before a release: hours (default: some half an hour on a quiet host)
  --only NAMES    ${judges(usual, 1)
    .map((judge) => judge.name)
    .join(",")}
  --seed N        the same seed, the same cases and the same chaos (default: another one each time)

The stressors need an image with stress-ng: memvisor image prepare debian-12-cloud --with stress-ng --in-memory
Status: 0 nothing was found, 1 something was, 2 nothing could be looked at.`;

const { values } = parseArgs({
  options: {
    full: { type: "boolean" },
    only: { type: "string" },
    seed: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

type Verdict = "good" | "FOUND" | "not run";

/** Of what a tool reports its last line is shown, or all where it is not good. */
async function verdictOf({ tool, args }: Judge["runs"][number]): Promise<Verdict> {
  const script = fileURLToPath(new URL(`./${tool}.ts`, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let report = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    report += text;
  });
  const [status] = (await once(child, "close")) as [number | null];
  console.error(status === 0 ? report.trimEnd().split("\n").at(-1) : report);
  return status === 0 ? "good" : status === 2 ? "not run" : "FOUND";
}

async function judgeAll(): Promise<number> {
  const seed = values.seed === undefined ? Math.floor(Date.now() / 1000) % 1_000_000 : Number(values.seed);
  const known = judges(values.full ? full : usual, seed);
  const names = values.only?.split(",") ?? known.map((judge) => judge.name);
  const unknown = names.find((name) => !known.some((judge) => judge.name === name));
  if (unknown !== undefined) {
    console.error(`there is no judge "${unknown}": ${known.map((judge) => judge.name).join(", ")}`);
    return 2;
  }
  const rows: string[][] = [["judge", "looked at", "runs", "found", "not run", "min"]];
  const sum = { runs: 0, found: 0, skipped: 0 };
  for (const judge of known.filter(({ name }) => names.includes(name))) {
    const started = performance.now();
    let found = 0;
    let skipped = 0;
    for (const run of judge.runs) {
      console.error(`--- ${judge.name}: ${run.tool} ${run.args.join(" ")}`);
      const verdict = await verdictOf(run);
      if (verdict === "FOUND") found++;
      if (verdict === "not run") skipped++;
      if (verdict !== "good") console.error(`${verdict}: npm run ${run.tool} -- ${run.args.join(" ")}`);
    }
    const minutes = ((performance.now() - started) / 60_000).toFixed(1);
    rows.push([judge.name, judge.looksAt, String(judge.runs.length), String(found), String(skipped), minutes]);
    sum.runs += judge.runs.length;
    sum.found += found;
    sum.skipped += skipped;
  }
  console.log(table(rows));
  console.log(
    `seed ${seed}, ${passNames.length} passes: ${sum.runs} runs of judges, ${sum.found} found something, ${sum.skipped} not run`,
  );
  if (sum.skipped === sum.runs) return 2;
  return sum.found > 0 ? 1 : 0;
}

process.exitCode = await judgeAll();
