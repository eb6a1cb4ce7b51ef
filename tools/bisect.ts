/**
 * Runs one machine twice, in two ways that must not differ, and finds the first instruction after which they do.
 *
 *   npm run bisect -- --a interpreter --b chaos:7
 *
 * Both run side by side in virtual time, with a digest every so many instructions. Where digests differ, both start anew
 * and run to the last moment of agreement, and the interval is cut in parts, until it is one instruction. Cutting may hide
 * what differs (a compiled region that is interrupted ends in the interpreter); then intervals are probed by halves, each
 * from the beginning and with a single cut, and in the end the shortest interval that still shows it is told.
 */
import { parseArgs } from "node:util";
import { printDifference } from "./bisect/difference.ts";
import { type Interval, Pair, parseWay } from "./bisect/pair.ts";
import { machineOptions, machineUsage, virtualMachine } from "./machine-setup.ts";

const usage = `npm run bisect -- [--a WAY] [--b WAY] [options]
  --a, --b WAY          interpreter, compiled, compiled:THRESHOLD or chaos:SEED (default interpreter and compiled)
  --every N             instructions between the first digests (default 10000000)
  --until N             instructions after which both are taken to agree (default 2000000000)
${machineUsage}`;

const { values } = parseArgs({
  options: {
    ...machineOptions,
    a: { type: "string", default: "interpreter" },
    b: { type: "string", default: "compiled" },
    every: { type: "string", default: "10000000" },
    until: { type: "string", default: "2000000000" },
    help: { type: "boolean", short: "h" },
  },
});
const ways = [parseWay(values.a), parseWay(values.b)] as const;
if (values.help || ways[0] === undefined || ways[1] === undefined) {
  process.stderr.write(`${usage}\n`);
  process.exit(values.help ? 0 : 2);
}

const config = virtualMachine(values);
const [a, b] = ways;
const fresh = (): Pair => new Pair(config, a, b);
const parts = 64n;

/** The first of the intervals of `step` in `range` after which the two differ; a fresh pair walks through it. */
function search(range: Interval, step: bigint): Interval | undefined {
  const pair = fresh();
  if (range.from > 0n && !pair.advance(range.from)) return { from: 0n, to: range.from };
  for (let from = range.from; from < range.to; from += step) {
    const to = lesser(from + step, range.to);
    if (!pair.advance(to)) return { from, to };
    if (pair.ended) return undefined;
  }
  return undefined;
}

const lesser = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** By halves, each probe one run with one cut. */
function searchByHalves(range: Interval): Interval {
  let { from, to } = range;
  while (to - from > 1n) {
    const middle = from + (to - from) / 2n;
    if (fresh().advance(middle)) from = middle;
    else to = middle;
    tell({ from, to });
  }
  return { from, to };
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const tell = ({ from, to }: Interval): void => say(`they differ between ${from} and ${to}`);

let found = search({ from: 0n, to: BigInt(values.until) }, BigInt(values.every));
if (found === undefined) {
  console.log(`${values.a} and ${values.b} agree to the end`);
  process.exit(0);
}
tell(found);
while (found.to - found.from > 1n) {
  const step: bigint = (found.to - found.from + parts - 1n) / parts;
  const smaller: Interval | undefined = search(found, step);
  if (smaller === undefined) {
    say("cut in parts they agree; going on by halves");
    found = searchByHalves(found);
    break;
  }
  found = smaller;
  tell(found);
}
const pair = fresh();
pair.advance(found.from);
console.log(printDifference(pair, found, values.a, values.b));
process.exit(1);
