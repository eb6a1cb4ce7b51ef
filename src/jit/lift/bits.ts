/** Shifts, rotates, single bits, scans, CRC. */
import { Helper, Op } from "#ir";
import { type Lifter, log2, type Rule, rcx } from "./lifter.ts";

function shift(name: "shl" | "shr" | "sar" | "rol" | "ror"): Rule {
  const byField = Op[`${name}8f`];
  const byImmediate = Op[`${name}8if`];
  return (l) => {
    const n = log2(l.size(0));
    const d = l.readModify(0);
    if (l.isImmediate(1)) l.ir.rri(byImmediate + n, d, d, l.immediateLow(1), 0);
    else l.ir.rrr(byField + n, d, d, l.read(1));
    l.write(0, d);
  };
}

function rotateThroughCarry(name: "rcl" | "rcr"): Rule {
  const op = Op[`${name}8f`];
  return (l) => {
    const d = l.readModify(0);
    const count = l.isImmediate(1) ? l.read(1) : rcx;
    l.ir.rrr(op + log2(l.size(0)), d, d, count);
    l.write(0, d);
  };
}

function doubleShift(name: "shld" | "shrd"): Rule {
  const op = Op[`${name}8f`];
  return (l) => {
    const d = l.readModify(0);
    const count = l.isImmediate(2) ? l.read(2) : rcx;
    l.ir.rrr(op + log2(l.size(0)), d, l.registerOf(1), count);
    l.write(0, d);
  };
}

type BitTest = "bt" | "bts" | "btr" | "btc";

/**
 * BT and its like. CF is the bit; the manual leaves all other flags but ZF undefined, here they stay.
 * A register's bit offset is signed and reaches memory on either side of the operand.
 */
function bitTest(name: BitTest): Rule {
  return (l, i) => {
    const size = l.size(0);
    const n = log2(size);
    const bits = size * 8;
    const ir = l.ir;
    const memory = l.isMemory(0);
    const immediate = l.isImmediate(1);

    let bit: number;
    if (immediate) bit = l.constant(l.immediateLow(1) & (bits - 1), 0);
    else {
      bit = l.registerOf(1);
      // The shifts below mask counts to 31 or 63.
      if (size === 2) {
        const t = l.temp();
        ir.rri(Op.and8i, t, bit, 15);
        bit = t;
      }
    }
    const address = memory ? (immediate ? l.address(name !== "bt", size) : bitAddress(l, n, name !== "bt")) : 0;

    let mask = 0;
    if (name !== "bt") {
      mask = l.constant(1, 0);
      ir.rrr(Op.shl8 + n, mask, mask, bit);
      if (name === "btr") ir.rrr(Op.not8 + n, mask, mask);
    }
    const old = l.temp();
    if (i.lock) {
      ir.rrr(Op.mov64, old, mask);
      ir.mem((name === "bts" ? Op.atomic_or8 : name === "btr" ? Op.atomic_and8 : Op.atomic_xor8) + n, old, address, 0);
    } else if (memory) ir.mem((name === "bt" ? Op.ld8 : Op.ldm8) + 2 * n, old, address, 0);
    else ir.rrr(Op.mov8 + n, old, l.registerOf(0));

    const carry = l.temp();
    ir.rrr(Op.shr8 + n, carry, old, bit);
    if (name !== "bt" && !i.lock) {
      ir.rrr((name === "bts" ? Op.or8 : name === "btr" ? Op.and8 : Op.xor8) + n, old, old, mask);
      if (memory) ir.mem(Op.st8 + 2 * n, old, address, 0);
      else ir.rrr(Op.mov8 + n, l.registerOf(0), old);
    }
    ir.rrr(Op.setcarry, 0, carry);
  };
}

/** Linear address of the operand-sized unit that a register's bit offset selects. */
function bitAddress(l: Lifter, n: number, writes: boolean): number {
  const ir = l.ir;
  const offset = l.temp();
  ir.rrr(n === 1 ? Op.sx16_64 : n === 2 ? Op.sx32_64 : Op.mov64, offset, l.registerOf(1));
  ir.rri(Op.sar64i, offset, offset, 3 + n);
  ir.rri(Op.shl64i, offset, offset, n);
  const addressSize = l.i.addressSize;
  if (addressSize === 8) {
    ir.rrr(Op.add64, offset, offset, l.address(writes));
    return offset;
  }
  const base = l.temp();
  l.effectiveAddress(Op.lea32, base);
  ir.rrr(addressSize === 4 ? Op.add32 : Op.add16, base, base, offset);
  return l.linear(base, l.i.segment, writes, 1 << n);
}

/** A source of zero leaves the whole destination as it was, the upper half of a 32-bit one included. */
function scan(name: "bsf" | "bsr"): Rule {
  const op = Op[`${name}8f`];
  return (l) => {
    const size = l.size(0);
    const source = l.read(1);
    if (size !== 4) return l.ir.rrr(op + log2(size), l.registerOf(0), source);
    const t = l.temp();
    const found = l.temp();
    l.ir.rri(Op.const64, t, 0, 0);
    l.ir.rrr(op + 2, t, source);
    l.condition(5, found);
    l.ir.rrr(Op.select64, l.registerOf(0), found, t);
  };
}

function popcnt(l: Lifter): void {
  l.ir.rrr(Op.popcnt8f + log2(l.size(0)), l.registerOf(0), l.read(1));
}

export const bitRules: Record<string, Rule> = {
  shl: shift("shl"),
  shr: shift("shr"),
  sar: shift("sar"),
  rol: shift("rol"),
  ror: shift("ror"),
  rcl: rotateThroughCarry("rcl"),
  rcr: rotateThroughCarry("rcr"),
  shld: doubleShift("shld"),
  shrd: doubleShift("shrd"),
  bt: bitTest("bt"),
  bts: bitTest("bts"),
  btr: bitTest("btr"),
  btc: bitTest("btc"),
  bsf: scan("bsf"),
  bsr: scan("bsr"),
  popcnt,
  crc32: (l) => l.ir.call(Helper.crc32, l.registerOf(0), l.read(1), l.size(1)),
};
