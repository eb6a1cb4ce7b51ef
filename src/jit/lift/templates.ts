/**
 * Templates: what a rule writes for all instructions that differ in displacement, immediate and place alone, found by having it
 * lift two of them. Their numbers are such that each word of the result says which of them it came from.
 *
 * Law: where a rule looks at a number instead of passing it on, there is no template. Rules that look at immediates are all but those
 * in `passOn`; of displacements the lifter says itself whether one was looked at.
 */
import { opRows } from "#ir";
import { lifterFields, modrmFlags, opcodeFlags, templateFields, templateNumbers, templatePlaces } from "#memory";
import { immediateKind, ripBase, rows } from "#x86";
import type { Lifter } from "./lifter.ts";
import { takeValues } from "./live-numbers.ts";
import { ruleOfRow, systemRows } from "./rules.ts";

/** Keys of rules that pass an immediate on as it is. */
const passOn: ReadonlySet<string> = new Set([...takeValues, "jmp", "jcc", "call"]);

/** The numbers of an instruction, as one of the two has them. */
interface Sample {
  readonly immediate: number;
  readonly immediateHigh: number;
  readonly displacement: number;
  readonly next: number;
}
/** Both signs; no sum of two is another one or the sum of two others. */
const samples: readonly [Sample, Sample] = [
  { immediate: 0x12345679, immediateHigh: 0x0bcd1357, displacement: 0x03217655, next: 0x00123457 },
  { immediate: -0x2345678b, immediateHigh: -0x0abc2469, displacement: -0x04328767, next: 0x0023456b },
];
/** Where a word's number is: from where on in the quartet, and at which place of that vector. */
interface Source {
  readonly vector: number;
  readonly place: number;
  readonly of: (sample: Sample) => number;
}
const { T_NUMBERS, T_PLACES } = templateFields;
const sources: readonly Source[] = [
  { vector: T_NUMBERS, place: templateNumbers.V_IMMEDIATE, of: (s) => s.immediate },
  { vector: T_NUMBERS, place: templateNumbers.V_IMMEDIATE_HIGH, of: (s) => s.immediateHigh },
  { vector: T_NUMBERS, place: templateNumbers.V_SIGN, of: (s) => s.immediate >> 31 },
  { vector: T_PLACES, place: templatePlaces.V_DISPLACEMENT, of: (s) => s.displacement },
  { vector: T_PLACES, place: templatePlaces.V_NEXT, of: (s) => s.next },
  { vector: T_PLACES, place: templatePlaces.V_NEXT_DISPLACEMENT, of: (s) => s.next + s.displacement },
  { vector: T_PLACES, place: templatePlaces.V_NEXT_IMMEDIATE, of: (s) => s.next + s.immediate },
];
/** In place of a place: nothing is added. */
const nothing = 0x80;
/** Where the operation's fourth word says where its instruction is. */
const isStamped = Uint8Array.from(opRows, ({ format }) =>
  format === "mem" || format === "mem2" || format === "call" || format === "pos" ? 1 : 0,
);
const {
  T_HEADER,
  T_QUARTET,
  T_BYTES,
  T_IMMEDIATE_BYTES,
  T_IMMEDIATE_SHIFT,
  T_IMMEDIATE_SIGNED,
  T_KNOWN,
  T_ENDS,
  T_EFFECTS,
} = templateFields;
const mostWords = 60;
const unchanged = 12;

/** A head as it was found. */
export interface Head {
  /** Its bytes and those of the displacement. */
  readonly bytes: number;
  readonly displacement: number;
  /** What is known of the flags before it, where its key says that. */
  readonly known: number | undefined;
}

/**
 * The template for instructions with the head of the one that the lifter has just lifted; undefined where there is none. Leaves the
 * lifter in the middle of nowhere. `effects`: what operations mean to flags, by number.
 */
export function templateOf(l: Lifter, head: Head, effects: Uint8Array): Uint8Array | undefined {
  const i = l.i;
  const row = i.row;
  const rule = ruleOfRow[i.id];
  if (rule === undefined || systemRows[i.id] === 1 || i.lock || i.addressSize !== 8) return undefined;
  const kind = immediateKind(i.id);
  if (kind === "other" || (kind !== "none" && !passOn.has(row.lift))) return undefined;
  const immediateBytes = i.length - head.bytes;
  const known = immediateBytes >= 0 && i.displacement === head.displacement;
  if (!known || immediateBytes > 8 || (kind === "none") !== (immediateBytes === 0)) return undefined;

  const hasDisplacement = i.hasMemory && (i.mod !== 0 || i.base < 0 || i.base === ripBase);
  const [first, second] = samples.map((sample, n) => {
    i.immLow = sample.immediate;
    i.immHigh = sample.immediateHigh;
    if (hasDisplacement) i.displacement = sample.displacement;
    l.beginSample(sample.next, head.known ?? n);
    rule(l, i);
    return { words: l.ir.words().slice(), known: l.ir.knownFlags };
  });
  if ((l.looked && hasDisplacement) || first.words.length !== second.words.length || first.words.length > mostWords)
    return undefined;

  const template = new Uint8Array(T_HEADER + T_QUARTET * Math.ceil(first.words.length / 4)).fill(nothing, T_HEADER);
  const words = new Int32Array(template.buffer);
  const quartetOf = (word: number): number => T_HEADER + T_QUARTET * (word >> 2) + 4 * (word & 3);
  const add = (word: number, vector: number, place: number): void => {
    for (let n = 0; n < 4; n++) template[quartetOf(word) + vector + n] = place + n;
  };
  for (const [n, word] of first.words.entries()) {
    const source = word === second.words[n] ? undefined : sourceOf(word, second.words[n]);
    if (source === undefined && word !== second.words[n]) return undefined;
    words[quartetOf(n) >> 2] = source ? 0 : word;
    if (source) add(n, source.vector, source.place);
  }
  let meant: number = T_EFFECTS;
  for (let n = 0; n < l.ir.opCount; n++) {
    const word = l.ir.starts[n] >> 2;
    const op = first.words[word] & 0xffff;
    if (isStamped[op] === 1) add(word + 3, T_NUMBERS, templateNumbers.V_STAMP);
    if (effects[op] === 0) continue;
    if (meant === T_HEADER) return undefined;
    template[meant++] = l.ir.starts[n] | effects[op];
  }
  template[T_BYTES] = 4 * first.words.length;
  template[T_IMMEDIATE_BYTES] = immediateBytes;
  template[T_IMMEDIATE_SHIFT] = immediateBytes === 0 ? 0 : 64 - 8 * immediateBytes;
  template[T_IMMEDIATE_SIGNED] = kind === "signed" ? 1 : 0;
  template[T_KNOWN] = head.known === undefined && first.known !== second.known ? unchanged : first.known;
  template[T_ENDS] = l.ended ? 1 : 0;
  return template;
}

/** Which number a word is, that is `first` in one sample and `second` in the other. */
function sourceOf(first: number, second: number): Source | undefined {
  return sources.find(({ of }) => of(samples[0]) === first && of(samples[1]) === second);
}

/** The tables by which heads are found, as they lie from Y_MODRM on. */
export function headTables(): Uint8Array {
  const { Y_MODRM, Y_OPCODE, Y_EFFECTS } = lifterFields;
  const tables = new Uint8Array(Y_EFFECTS - Y_MODRM);
  for (let modrm = 0; modrm < 0xc0; modrm++) {
    const mod = modrm >> 6;
    const rm = modrm & 7;
    if (rm === 4) tables[modrm] = modrmFlags.M_SIB;
    if (mod === 0 && rm === 5) tables[modrm] = 4 | modrmFlags.M_RIP;
    else tables[modrm] |= mod === 0 ? 0 : mod === 1 ? 1 : 4;
  }
  const opcodes = tables.subarray(Y_OPCODE - Y_MODRM);
  opcodes.fill(opcodeFlags.O_UNKNOWN);
  const withModrm = new Map<number, boolean>();
  for (const row of rows) {
    if (row.id === 0 || row.map > 1 || row.modes === "32") continue;
    for (let n = 0; n < (row.registerInOpcode ? 8 : 1); n++) {
      const place = row.map * 256 + row.opcode + n;
      const before = withModrm.get(place);
      withModrm.set(place, row.hasModrm);
      if (before === undefined) opcodes[place] = row.hasModrm ? opcodeFlags.O_MODRM : 0;
      else if (before !== row.hasModrm) opcodes[place] |= opcodeFlags.O_UNKNOWN;
      if (row.flagsRead !== 0) opcodes[place] |= opcodeFlags.O_READS_FLAGS;
    }
  }
  for (let rex = 0x40; rex < 0x50; rex++) opcodes[rex] = opcodeFlags.O_REX;
  opcodes[0x0f] = opcodeFlags.O_ESCAPE;
  for (const [n, prefix] of [0x66, 0xf3, 0xf2, 0x64, 0x65].entries())
    opcodes[prefix] = (n + 1) << opcodeFlags.O_PREFIX_SHIFT;
  for (const prefix of [0x26, 0x2e, 0x36, 0x3e, 0x67, 0xf0]) opcodes[prefix] = opcodeFlags.O_UNKNOWN;
  return tables;
}
