/**
 * Which flags are undefined at each place of a piece of code, from the instruction rows alone.
 *
 * A flag that an instruction leaves undefined stays so until a later one defines it. Where paths meet, the sets are
 * joined. Counts in CL are known for the first instruction only, from the start state; elsewhere all that can happen
 * is joined.
 */
import { AF, CF, DECODED, decode, Instruction, type InstructionRow, OF, STATUS_FLAGS } from "#x86";
import type { OracleCase } from "./case.ts";

/** The undefined flags after an instruction. `count`: of a shift or of REP, where it is known. */
export function undefinedAfter(
  row: InstructionRow,
  operandSize: number,
  count: number | undefined,
  repeated: boolean,
  before: number,
): number {
  const plain = (before & ~row.flagsWritten) | row.flagsUndefined;
  switch (row.flagsDepend) {
    case "":
      return plain;
    case "rep":
      return repeated && count !== undefined && count !== 0 ? plain : repeated ? before : plain;
    case "rotate":
    case "shift":
    case "double-shift": {
      if (count === undefined)
        return before | row.flagsUndefined | OF | (row.flagsDepend === "rotate" ? 0 : CF | lost(row));
      const masked = count & (operandSize === 8 ? 63 : 31);
      if (masked === 0) return before;
      const overflow = masked === 1 ? 0 : OF;
      if (row.flagsDepend === "rotate") return (plain & ~CF) | overflow;
      const width = operandSize * 8;
      if (row.flagsDepend === "double-shift") return masked > width ? STATUS_FLAGS : plain | overflow | AF;
      return plain | overflow | (row.mnemonic !== "sar" && masked >= width ? CF : 0);
    }
  }
}

/** A double shift past the width leaves all of them undefined. */
const lost = (row: InstructionRow): number => (row.flagsDepend === "double-shift" ? STATUS_FLAGS : 0);

/** The count that an instruction shifts or repeats by, where it can be known. */
export function countOf(i: Instruction, rcx: bigint | undefined): number | undefined {
  const kinds = i.row.operands;
  if (i.row.flagsDepend === "rep") {
    if (rcx === undefined) return undefined;
    return BigInt.asUintN(i.addressSize * 8, rcx) === 0n ? 0 : 1;
  }
  if (kinds.includes("1")) return 1;
  if (kinds.includes("Ib")) return i.immLow;
  if (kinds.includes("CL")) return rcx === undefined ? undefined : Number(rcx & 0xffn);
  return undefined;
}

export interface Place {
  /** Offset in the code. */
  readonly offset: number;
  readonly length: number;
  readonly row: InstructionRow;
  readonly operandSize: number;
  readonly count: number | undefined;
  readonly repeated: boolean;
  /** Offset of a relative branch's target, or -1. */
  readonly target: number;
  /** May go on at any later instruction: an indirect jump, call or return. */
  readonly indirect: boolean;
}

/** The instructions of a case one after the other, as far as they decode. */
export function placesOf(c: OracleCase): Place[] {
  const places: Place[] = [];
  const i = new Instruction();
  for (let offset = 0; offset < c.code.length; ) {
    const result = decode(c.code, offset, c.code.length, c.mode, i);
    const bad = result !== DECODED;
    const relative = i.row.operands.some((kind) => kind === "Jb" || kind === "Jz");
    places.push({
      offset,
      length: i.length || 1,
      row: i.row,
      operandSize: i.operandSize,
      count: countOf(i, offset === 0 ? c.start.gpr[1] : undefined),
      repeated: i.rep !== 0,
      target: relative && !bad ? offset + i.length + i.immLow : -1,
      indirect: !relative && /^(jmp|call|ret|iret)f?$/.test(i.row.mnemonic),
    });
    offset += i.length || 1;
  }
  return places;
}

/** Flags undefined before the instruction at each offset, and at the end of the code. */
export function undefinedFlags(places: readonly Place[]): Map<number, number> {
  const before = new Map<number, number>();
  const join = (offset: number, flags: number): boolean => {
    const old = before.get(offset) ?? 0;
    before.set(offset, old | flags);
    return (old | flags) !== old;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const p of places) {
      const after = undefinedAfter(p.row, p.operandSize, p.count, p.repeated, before.get(p.offset) ?? 0);
      if (join(p.offset + p.length, after)) changed = true;
      if (p.target >= 0 && join(p.target, after)) changed = true;
      if (!p.indirect) continue;
      for (const later of places) {
        if (later.offset > p.offset && join(later.offset + later.length, after)) changed = true;
      }
    }
  }
  return before;
}

/** The undefined flags of a case that stopped at `rip`. */
export function undefinedAt(c: OracleCase, rip: bigint): number {
  const flags = undefinedFlags(placesOf(c));
  const known = flags.get(Number(rip - c.start.rip));
  if (known !== undefined) return known;
  // Jumped to somewhere else: whatever was undefined anywhere.
  return [...flags.values()].reduce((all, f) => all | f, 0);
}
