/**
 * A machine's memory as its owner sees it from outside: the map of its addresses, bytes, which pages hold anything, and named logs of
 * what is stored to. introspect/memory-files makes files of it.
 *
 * Laws: looking leaves no trace (`AddressSpace.look`). What is written or punched from outside is like a store of a device: it is in the
 * dirty logs, and code translated from there is forgotten; so it may be done while the guest runs. What is sealed is never
 * written from outside again, as long as the memory lives; the guest goes on writing.
 */
import { gfnOf, gpa, pageSize } from "#address";
import { assertNever } from "#base";
import type { MmioSlot } from "#devices";
import type { AddressSpace, DirtyLog, MemoryObjectStats } from "#memory";

/** A range of guest-physical addresses and what is there. No two overlap. */
export interface MemorySlot {
  readonly gpa: number;
  readonly bytes: number;
  readonly kind: "ram" | "device";
  /** For people. */
  readonly name: string;
  readonly readOnly?: true;
  /** What keeps the bytes of pages that no frame holds. */
  readonly object?: MemoryObjectStats;
}

/** Pages one after the other. */
export interface PageRange {
  readonly gpa: number;
  readonly bytes: number;
}

/** Why bytes cannot be changed: all of them must be RAM, not sealed, and not read-only for the guest itself. */
export type Refusal = "no-memory" | "sealed" | "read-only";

export type ViewQuestion =
  | { readonly about: "map" }
  /** As many as can be given at once. What is no RAM reads as zeros. */
  | { readonly about: "read"; readonly gpa: number; readonly bytes: number }
  | { readonly about: "write"; readonly gpa: number; readonly data: Uint8Array }
  /** Makes zeros of as many as can be at once, which take no memory where they are whole pages. */
  | { readonly about: "punch"; readonly gpa: number; readonly bytes: number }
  | { readonly about: "seal"; readonly gpa: number; readonly bytes: number }
  | { readonly about: "held"; readonly gpa: number; readonly bytes: number }
  /** The first address from `gpa` on where pages hold something, or nothing (`held` false); -1 where there is none. */
  | { readonly about: "next"; readonly gpa: number; readonly held: boolean }
  /** Names of the logs that are open. */
  | { readonly about: "logs" }
  /** Opens a log, whose first epoch begins. False: there is one of that name, the name cannot be one, or there are too many. */
  | { readonly about: "open-log"; readonly name: string }
  /** Ends an epoch of a log: the pages stored to in it. Null where there is no such log. */
  | { readonly about: "harvest-log"; readonly name: string }
  | { readonly about: "close-log"; readonly name: string };

/** What each is answered by. */
export interface ViewAnswers {
  readonly map: readonly MemorySlot[];
  readonly read: Uint8Array<ArrayBuffer>;
  readonly write: Refusal | "done";
  /** How many were. */
  readonly punch: Refusal | number;
  readonly seal: "done";
  readonly held: HeldBytes;
  readonly next: number;
  readonly logs: readonly string[];
  readonly "open-log": boolean;
  readonly "harvest-log": readonly PageRange[] | null;
  readonly "close-log": boolean;
}

export interface HeldBytes {
  /** Of pages that hold something. */
  readonly bytes: number;
  /** Nothing there is sealed or read-only. */
  readonly writable: boolean;
}

const mostBytesRead = 1 << 20;
const mostBytesPunched = 16 << 20;
/** Each costs a bit for every page, and harvests of one cost all of them a little. */
const mostLogs = 16;
const logName = /^[\w-][\w.-]{0,63}$/;

export class MemoryView {
  readonly #space: AddressSpace;
  readonly #devices: () => readonly MmioSlot[];
  readonly #sealed: PageRange[] = [];
  readonly #logs = new Map<string, DirtyLog>();

  /** `devices`: what devices have claimed now. */
  constructor(space: AddressSpace, devices: () => readonly MmioSlot[]) {
    this.#space = space;
    this.#devices = devices;
  }

  /** RAM and devices, in order of address. */
  get slots(): MemorySlot[] {
    const ram = this.#space.memslots.map((slot) => {
      const object = this.#space.swap.objectAt(gfnOf(slot.gpa))?.stats();
      return {
        gpa: slot.gpa,
        bytes: slot.sizeBytes,
        kind: "ram" as const,
        name: object?.kind === "persistent" ? "persistent memory" : slot.pluggable ? "pluggable RAM" : "RAM",
        ...(slot.readOnly && { readOnly: true as const }),
        ...(object && { object }),
      };
    });
    const devices = this.#devices().map(({ base, size, name }) => ({
      gpa: base,
      bytes: size,
      kind: "device" as const,
      name,
    }));
    return [...ram, ...devices].sort((a, b) => a.gpa - b.gpa);
  }

  answer<Q extends ViewQuestion>(question: Q): ViewAnswers[Q["about"]];
  answer(question: ViewQuestion): ViewAnswers[ViewQuestion["about"]] {
    switch (question.about) {
      case "map":
        return this.slots;
      case "read":
        return this.#read(rangeOf(question));
      case "write":
        return this.#write(question.gpa, question.data);
      case "punch":
        return this.#punch(rangeOf(question));
      case "seal":
        return this.#seal(rangeOf(question));
      case "held":
        return this.#held(rangeOf(question));
      case "next":
        return this.#next(rangeOf({ gpa: question.gpa, bytes: 0 }).gpa, question.held);
      case "logs":
        return [...this.#logs.keys()].sort();
      case "open-log":
        return this.#openLog(question.name);
      case "harvest-log": {
        const log = this.#logs.get(question.name);
        return log ? rangesOf(log.harvest()) : null;
      }
      case "close-log":
        this.#logs.get(question.name)?.[Symbol.dispose]();
        return this.#logs.delete(question.name);
      default:
        return assertNever(question);
    }
  }

  #read(range: PageRange): Uint8Array<ArrayBuffer> {
    const target = new Uint8Array(Math.min(range.bytes, mostBytesRead));
    for (const { gpa: from, bytes } of this.#ramIn({ gpa: range.gpa, bytes: target.length }))
      this.#space.look(gpa(from), target.subarray(from - range.gpa, from - range.gpa + bytes));
    return target;
  }

  #write(from: number, data: Uint8Array): Refusal | "done" {
    const range = rangeOf({ gpa: from, bytes: data.length });
    const parts = this.#ramIn(range);
    if (parts.reduce((sum, { bytes }) => sum + bytes, 0) < range.bytes) return "no-memory";
    const refusal = this.#refusal(range);
    if (refusal) return refusal;
    for (const { gpa: at, bytes } of parts) this.#space.write(gpa(at), data.subarray(at - from, at - from + bytes));
    return "done";
  }

  #punch(range: PageRange): Refusal | number {
    const cut = { gpa: range.gpa, bytes: Math.min(range.bytes, mostBytesPunched) };
    const refusal = this.#refusal(cut);
    if (refusal) return refusal;
    for (const piece of this.#ramIn(cut)) this.#punchRam(piece);
    return cut.bytes;
  }

  #punchRam({ gpa: from, bytes }: PageRange): void {
    const whole: number[] = [];
    for (let at = from, next = at; at < from + bytes; at = next) {
      const gfn = gfnOf(gpa(at));
      next = Math.min(from + bytes, (gfn + 1) * pageSize);
      if (next - at < pageSize) this.#zero(at, next - at);
      else if (this.#space.holds(gfn)) whole.push(gfn);
    }
    this.#space.release(whole);
    // What a device works on keeps its frame.
    for (const gfn of whole) this.#zero(gfn * pageSize, pageSize);
  }

  /** Bytes of one page. */
  #zero(from: number, bytes: number): void {
    if (this.#space.holds(gfnOf(gpa(from)))) this.#space.write(gpa(from), new Uint8Array(bytes));
  }

  #seal(range: PageRange): "done" {
    const covers = ({ gpa: from, bytes }: PageRange): boolean =>
      from <= range.gpa && range.gpa + range.bytes <= from + bytes;
    if (!this.#sealed.some(covers)) this.#sealed.push(range);
    return "done";
  }

  #refusal(range: PageRange): Refusal | undefined {
    if (this.#sealed.some((each) => overlaps(each, range))) return "sealed";
    const readOnly = this.#space.memslots.some(
      (slot) => slot.readOnly && overlaps({ gpa: slot.gpa, bytes: slot.sizeBytes }, range),
    );
    return readOnly ? "read-only" : undefined;
  }

  #held(range: PageRange): HeldBytes {
    let bytes = 0;
    for (const { gpa: from, bytes: length } of this.#ramIn(range))
      for (let gfn = Math.floor(from / pageSize); gfn < Math.ceil((from + length) / pageSize); gfn++)
        if (this.#space.holds(gfn)) bytes += pageSize;
    return { bytes, writable: this.#refusal(range) === undefined };
  }

  #next(from: number, held: boolean): number {
    let at = from;
    for (const { gpa: first, bytes } of this.#ramIn({ gpa: 0, bytes: Number.MAX_SAFE_INTEGER })) {
      const end = first + bytes;
      if (at >= end) continue;
      if (at < first && !held) return at;
      at = Math.max(at, first);
      for (let gfn = Math.floor(at / pageSize); gfn < end / pageSize; gfn++)
        if (this.#space.holds(gfn) === held) return Math.max(at, gfn * pageSize);
      at = end;
    }
    return held ? -1 : at;
  }

  #openLog(name: string): boolean {
    if (!logName.test(name) || this.#logs.has(name) || this.#logs.size >= mostLogs) return false;
    this.#logs.set(name, this.#space.dirty.open());
    return true;
  }

  /** The parts of a range that are RAM, in order of address. */
  #ramIn({ gpa: from, bytes }: PageRange): PageRange[] {
    return this.#space.ram
      .map((slot) => {
        const first = Math.max(from, slot.gpa);
        return { gpa: first, bytes: Math.min(from + bytes, slot.gpa + slot.sizeBytes) - first };
      })
      .filter((part) => part.bytes > 0)
      .sort((a, b) => a.gpa - b.gpa);
  }
}

/** Guest frame numbers in ascending order, as few ranges as can be. */
export function rangesOf(gfns: Iterable<number>): PageRange[] {
  const ranges: { gpa: number; bytes: number }[] = [];
  for (const gfn of gfns) {
    const last = ranges.at(-1);
    if (last && last.gpa + last.bytes === gfn * pageSize) last.bytes += pageSize;
    else ranges.push({ gpa: gfn * pageSize, bytes: pageSize });
  }
  return ranges;
}

/** What comes from another process may be anything. */
function rangeOf({ gpa: from, bytes }: PageRange): PageRange {
  const isRange = [from, bytes, from + bytes].every((each) => Number.isSafeInteger(each) && each >= 0);
  if (!isRange) throw new RangeError("no range of guest-physical addresses");
  return { gpa: from, bytes };
}

const overlaps = (a: PageRange, b: PageRange): boolean => a.gpa < b.gpa + b.bytes && b.gpa < a.gpa + a.bytes;
