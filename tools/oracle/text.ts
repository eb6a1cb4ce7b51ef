/**
 * Cases and end states as text, for test/vectors/*.txt and for reports.
 *
 *     # cpu: <model the end states come from>
 *     case add-1
 *     code 64 20000000 4801c8                       mode, address, bytes
 *     start rax=ffffffffffffffff rcx=1 seed=1 10000010:aabb       what differs from the empty state; patches
 *     end 20000003 rax=0 flags=257 10000020:00      RIP, what differs from the start; changed memory
 *     pf 20000000 error=6 cr2=10003000              instead of `end`: the exception's name
 *
 * Law: parse(print(x)) equals x, but for the bytes of the FXSAVE image that are no field (FIP, FDP, FOP, reserved).
 */
import {
  type CpuState,
  copyState,
  type EndState,
  emptyState,
  type MemoryRun,
  type Mode,
  type OracleCase,
  type Stop,
} from "./case.ts";
import { fieldByName, fields } from "./fields.ts";

export interface Vector {
  case: OracleCase;
  end: EndState;
}

const exceptionNames: readonly (readonly [number, string])[] = [
  [0, "de"],
  [1, "db"],
  [3, "bp"],
  [4, "of"],
  [5, "br"],
  [6, "ud"],
  [7, "nm"],
  [8, "df"],
  [10, "ts"],
  [11, "np"],
  [12, "ss"],
  [13, "gp"],
  [14, "pf"],
  [16, "mf"],
  [17, "ac"],
  [19, "xm"],
];

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

function printDifferences(from: CpuState, to: CpuState): string[] {
  return fields.filter((f) => f.read(from) !== f.read(to)).map((f) => `${f.name}=${f.read(to).toString(16)}`);
}

const printRuns = (runs: readonly MemoryRun[]): string[] =>
  runs.map((run) => `${run.address.toString(16)}:${hexOf(run.bytes)}`);

export function printCase(c: OracleCase): string {
  const start = [
    ...printDifferences(emptyState(), c.start),
    `seed=${c.pageSeed.toString(16)}`,
    ...printRuns(c.patches),
  ];
  return `case ${c.name}\ncode ${c.mode} ${c.start.rip.toString(16)} ${hexOf(c.code)}\nstart ${start.join(" ")}`;
}

export function printStop(stop: Stop): string {
  if (stop.kind !== "exception") return stop.kind;
  return exceptionNames.find(([vector]) => vector === stop.vector)?.[1] ?? `vector${stop.vector}`;
}

export function printEnd(c: OracleCase, end: EndState): string {
  const words = [printStop(end.stop), end.state.rip.toString(16)];
  if (end.stop.kind === "exception") {
    if (end.stop.error) words.push(`error=${end.stop.error.toString(16)}`);
    if (end.stop.vector === 14) words.push(`cr2=${end.stop.cr2.toString(16)}`);
  }
  return [...words, ...printDifferences(c.start, end.state), ...printRuns(end.memory)].join(" ");
}

export function printVectors(vectors: readonly Vector[], comments: readonly string[] = []): string {
  const heads = comments.map((line) => `# ${line}\n`).join("");
  return heads + vectors.map((v) => `${printCase(v.case)}\n${printEnd(v.case, v.end)}\n`).join("");
}

/** Applies `name=value` and `address:bytes` words; gives the words that are neither a field nor a run. */
function parseWords(words: readonly string[], state: CpuState, runs: MemoryRun[]): Map<string, bigint> {
  const others = new Map<string, bigint>();
  for (const word of words) {
    const [address, bytes] = word.split(":");
    if (bytes !== undefined) {
      runs.push({ address: Number.parseInt(address, 16), bytes: bytesOf(bytes) });
      continue;
    }
    const [name, text] = word.split("=");
    if (text === undefined) throw new Error(`cannot read "${word}"`);
    const value = BigInt(`0x${text}`);
    const field = fieldByName.get(name);
    if (field) field.write(state, value);
    else others.set(name, value);
  }
  return others;
}

function parseStop(name: string, others: ReadonlyMap<string, bigint>): Stop {
  if (name === "end" || name === "timeout") return { kind: name };
  const vector = exceptionNames.find(([, known]) => known === name)?.[0] ?? Number(name.replace(/^vector/, ""));
  if (Number.isNaN(vector)) throw new Error(`no exception is called "${name}"`);
  return { kind: "exception", vector, error: Number(others.get("error") ?? 0n), cr2: others.get("cr2") ?? 0n };
}

function parseVector(lines: readonly string[]): Vector {
  const [name, code, start, end] = lines.map((line) => line.split(" "));
  if (name?.[0] !== "case" || code?.[0] !== "code" || start?.[0] !== "start" || !end) {
    throw new Error(`cannot read this vector:\n${lines.join("\n")}`);
  }
  const c: OracleCase = {
    name: name[1],
    mode: Number(code[1]) as Mode,
    code: bytesOf(code[3] ?? ""),
    start: emptyState(),
    pageSeed: 0,
    patches: [],
  };
  c.start.rip = BigInt(`0x${code[2]}`);
  c.pageSeed = Number(parseWords(start.slice(1), c.start, c.patches).get("seed") ?? 0n);
  const state = copyState(c.start);
  const memory: MemoryRun[] = [];
  state.rip = BigInt(`0x${end[1]}`);
  const stop = parseStop(end[0], parseWords(end.slice(2), state, memory));
  return { case: c, end: { stop, state, memory } };
}

/** Vectors of a file: four lines each; lines that start with # and empty lines are for people. */
export function parseVectors(text: string): Vector[] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Array.from({ length: Math.ceil(lines.length / 4) }, (_, i) => parseVector(lines.slice(4 * i, 4 * i + 4)));
}
