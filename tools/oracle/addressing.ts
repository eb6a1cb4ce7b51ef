/**
 * Memory operands: an addressing form first, then the registers' values and the displacement, so that the address of
 * the chosen data comes out. Where every register is taken the address is what it is.
 */
import type { CaseBuilder } from "./builder.ts";
import type { Choice } from "./prepare.ts";
import { integerValue } from "./values.ts";

export interface Addressing {
  /** mod and rm of ModRM. */
  readonly modrm: number;
  /** REX.X and REX.B with the 0x40 bit, or 0. */
  readonly rex: number;
  /** SIB and displacement. */
  readonly bytes: number[];
  /** Set for RIP-relative addressing: what the displacement, the last four of `bytes`, must lead to. */
  readonly rip?: bigint;
}

const ripReach = 0x7000_0000n;
const isSigned32 = (value: bigint): boolean => value === BigInt.asIntN(32, value);

export function littleEndian(value: bigint, size: number): number[] {
  const bits = BigInt.asUintN(64, value);
  return Array.from({ length: size }, (_, i) => Number((bits >> BigInt(8 * i)) & 0xffn));
}

/** ModRM and what follows for the operand at `target`, an offset in its segment. */
export function encodeAddress(b: CaseBuilder, choice: Choice, target: bigint): Addressing {
  const roll = b.random.below(100);
  if (choice.addressSize === 2) return encode16(b);
  if (roll < 8 && b.mode === 64 && choice.addressSize === 8 && target > 0n && target < ripReach) {
    return { modrm: 5, rex: 0, bytes: [0, 0, 0, 0], rip: target };
  }
  if (roll < 14) {
    // An absolute address; in 64-bit code by a SIB byte without base and index.
    const sib = b.mode === 64 ? [0x25] : [];
    return { modrm: b.mode === 64 ? 4 : 5, rex: 0, bytes: [...sib, ...littleEndian(target, 4)] };
  }
  return encodeBased(b, choice, target);
}

function encodeBased(b: CaseBuilder, choice: Choice, target: bigint): Addressing {
  const { random } = b;
  const bits = choice.addressSize * 8;
  const base = b.addressRegister(true);
  const index = random.chance(45) ? b.addressRegister(false) : -1;
  const scale = random.below(4);
  let size = random.pick([0, 1, 4]);
  let displacement = size === 0 ? 0n : BigInt.asIntN(size * 8, integerValue(random));

  if (index >= 0 && b.isFree(index)) {
    const small = index === base || random.chance(70);
    b.set(index, small ? BigInt(random.below(64)) : b.state.gpr[index]);
  }
  const scaled = index < 0 ? 0n : (b.known(index) ?? 0n) << BigInt(scale);
  if (b.isFree(base)) {
    // Address size 4 in 64-bit code: the upper halves must not count.
    const noise = bits < b.mode ? random.u64() & ~0xffff_ffffn : 0n;
    b.set(base, BigInt.asUintN(bits, target - scaled - displacement) | noise);
  } else {
    displacement = BigInt.asIntN(bits, target - scaled - (b.known(base) ?? 0n));
    if (!isSigned32(displacement)) displacement = BigInt.asIntN(32, displacement);
    size = 4;
  }
  // Without displacement rBP and r13 as a base mean something else.
  if (size === 0 && (base & 7) === 5) size = 1;

  const withSib = index >= 0 || (base & 7) === 4 || random.chance(5);
  const sib = (scale << 6) | ((index < 0 ? 4 : index & 7) << 3) | (base & 7);
  const mod = size === 0 ? 0 : size === 1 ? 0x40 : 0x80;
  return {
    modrm: mod | (withSib ? 4 : base & 7),
    rex: (base >= 8 ? 0x41 : 0) | (index >= 8 ? 0x42 : 0),
    bytes: [...(withSib ? [sib] : []), ...littleEndian(displacement, size)],
  };
}

/** 16-bit addressing reaches no page of ours, so any form will do. */
function encode16(b: CaseBuilder): Addressing {
  const mod = b.random.below(3);
  const rm = b.random.below(8);
  const size = mod === 1 ? 1 : mod === 2 || rm === 6 ? 2 : 0;
  return { modrm: (mod << 6) | rm, rex: 0, bytes: littleEndian(integerValue(b.random), size) };
}
