import { describe, expect, test } from "vitest";
import { nativeJudge, X87_BYTES } from "./judge.ts";
import { Random, seedOf } from "./operands.ts";
import { call, type Execute, makeCase, type Operand, runtimeExecutes, show } from "./x87-cases.ts";

const run = nativeJudge();
const CASES = Number(process.env.FP_CASES ?? 4000);

type Form = readonly [name: string, code: readonly number[], execute: Execute, operand?: Operand];

const at = (i: number) => i; // ST(i) reads better
const u64 = (v: DataView) => v.getBigUint64(0, true);
const i64 = (v: DataView) => v.getBigInt64(0, true);
const u32 = (v: DataView) => v.getUint32(0, true);

/** A store: the bits, then memory unless blocked, then the pop. */
function stores(name: string, size: 2 | 4 | 8 | 10, pop: boolean, ...more: number[]): Execute {
  return (operand) => {
    const value = call(name, ...more);
    if (!call("x87_store_blocked")) {
      if (size === 2) operand.setInt16(0, Number(value), true);
      else if (size === 4) operand.setInt32(0, Number(value), true);
      else operand.setBigInt64(0, BigInt(value as bigint), true);
      if (size === 10) operand.setUint16(8, Number(call("x87_high")), true);
    }
    if (pop) call("x87_pop");
  };
}

const forms: Form[] = [];
const add = (name: string, code: number[], execute: Execute, operand?: Operand) =>
  forms.push([name, code, execute, operand]);

const OPS = [
  [0, "FADD"],
  [1, "FMUL"],
  [4, "FSUB"],
  [5, "FSUBR"],
  [6, "FDIV"],
  [7, "FDIVR"],
] as const;
for (const [op, name] of OPS) {
  const m = 0x06 | (op << 3);
  const r = 0xc0 | (op << 3);
  add(`${name} ST, ST(1)`, [0xd8, r | 1], () => void call("x87_arith_sti", op, at(1)));
  add(`${name} to ST(2)`, [0xdc, r | 2], () => void call("x87_arith_to_sti", op, at(2), 0));
  add(`${name}P ST(1)`, [0xde, r | 1], () => void call("x87_arith_to_sti", op, at(1), 1));
  add(`${name} m32`, [0xd8, m], (v) => void call("x87_arith_f32", op, u32(v)), "f32");
  add(`${name} m64`, [0xdc, m], (v) => void call("x87_arith_f64", op, u64(v)), "f64");
  add(`${name} m16int`, [0xde, m], (v) => void call("x87_arith_int", op, v.getInt16(0, true)), "int");
  add(`${name} m32int`, [0xda, m], (v) => void call("x87_arith_int", op, v.getInt32(0, true)), "int");
}
const COMPARES = [
  [2, "FCOM", 0],
  [3, "FCOMP", 1],
] as const;
for (const [op, name, pops] of COMPARES) {
  const m = 0x06 | (op << 3);
  add(`${name} ST(1)`, [0xd8, 0xc1 | (op << 3)], () => void call("x87_com_sti", 1, 0, pops));
  add(`${name} m32`, [0xd8, m], (v) => void call("x87_com_f32", u32(v), pops), "f32");
  add(`${name} m64`, [0xdc, m], (v) => void call("x87_com_f64", u64(v), pops), "f64");
  add(`${name} m16int`, [0xde, m], (v) => void call("x87_com_int", v.getInt16(0, true), pops), "int");
  add(`${name} m32int`, [0xda, m], (v) => void call("x87_com_int", v.getInt32(0, true), pops), "int");
}
add("FCOMPP", [0xde, 0xd9], () => void call("x87_com_sti", 1, 0, 2));
add("FUCOM", [0xdd, 0xe1], () => void call("x87_com_sti", 1, 1, 0));
add("FUCOMP", [0xdd, 0xe9], () => void call("x87_com_sti", 1, 1, 1));
add("FUCOMPP", [0xda, 0xe9], () => void call("x87_com_sti", 1, 1, 2));
const flags = (rflags: number, bits: number) => (rflags & ~0x8d5) | bits;
add("FCOMI", [0xdb, 0xf1], (_, r) => flags(r, Number(call("x87_comi", 1, 0, 0))));
add("FCOMIP", [0xdf, 0xf1], (_, r) => flags(r, Number(call("x87_comi", 1, 0, 1))));
add("FUCOMI", [0xdb, 0xe9], (_, r) => flags(r, Number(call("x87_comi", 1, 1, 0))));
add("FUCOMIP", [0xdf, 0xe9], (_, r) => flags(r, Number(call("x87_comi", 1, 1, 1))));
add("FCMOVB", [0xda, 0xc1], (_, r) => void call("x87_fcmov", 1, r & 1));
add("FCMOVNE", [0xdb, 0xca], (_, r) => void call("x87_fcmov", 2, r & 0x40 ? 0 : 1));
add("FXCH", [0xd9, 0xca], () => void call("x87_fxch", 2));
add("FFREE", [0xdd, 0xc3], () => void call("x87_ffree", 3, 0));
add("FFREEP", [0xdf, 0xc1], () => void call("x87_ffree", 1, 1));

add("FLD ST(0)", [0xd9, 0xc0], () => void call("x87_fld_sti", 0));
add("FLD ST(3)", [0xd9, 0xc3], () => void call("x87_fld_sti", 3));
add("FLD m32", [0xd9, 0x06], (v) => void call("x87_fld_f32", u32(v)), "f32");
add("FLD m64", [0xdd, 0x06], (v) => void call("x87_fld_f64", u64(v)), "f64");
add("FLD m80", [0xdb, 0x2e], (v) => void call("x87_fld_f80", u64(v), v.getUint16(8, true)));
add("FILD m16", [0xdf, 0x06], (v) => void call("x87_fild", BigInt(v.getInt16(0, true))), "int");
add("FILD m32", [0xdb, 0x06], (v) => void call("x87_fild", BigInt(v.getInt32(0, true))), "int");
add("FILD m64", [0xdf, 0x2e], (v) => void call("x87_fild", i64(v)), "int");
add("FBLD", [0xdf, 0x26], (v) => void call("x87_fbld", u64(v), v.getUint16(8, true)), "bcd");
add("FST m32", [0xd9, 0x16], stores("x87_fst_f32", 4, false));
add("FSTP m32", [0xd9, 0x1e], stores("x87_fst_f32", 4, true));
add("FST m64", [0xdd, 0x16], stores("x87_fst_f64", 8, false));
add("FSTP m64", [0xdd, 0x1e], stores("x87_fst_f64", 8, true));
add("FSTP m80", [0xdb, 0x3e], stores("x87_fst_f80", 10, true));
add("FIST m16", [0xdf, 0x16], stores("x87_fist_i16", 2, false, 0));
add("FISTP m16", [0xdf, 0x1e], stores("x87_fist_i16", 2, true, 0));
add("FIST m32", [0xdb, 0x16], stores("x87_fist_i32", 4, false, 0));
add("FISTP m32", [0xdb, 0x1e], stores("x87_fist_i32", 4, true, 0));
add("FISTP m64", [0xdf, 0x3e], stores("x87_fist_i64", 8, true, 0));
add("FISTTP m16", [0xdf, 0x0e], stores("x87_fist_i16", 2, true, 1));
add("FISTTP m32", [0xdb, 0x0e], stores("x87_fist_i32", 4, true, 1));
add("FISTTP m64", [0xdd, 0x0e], stores("x87_fist_i64", 8, true, 1));
add("FBSTP", [0xdf, 0x36], stores("x87_fbstp", 10, true));
add("FST ST(2)", [0xdd, 0xd2], () => void call("x87_fst_sti", 2, 0));
add("FSTP ST(2)", [0xdd, 0xda], () => void call("x87_fst_sti", 2, 1));
add("FSTP ST(0)", [0xdd, 0xd8], () => void call("x87_fst_sti", 0, 1));

const D9 = {
  FCHS: 0xe0,
  FABS: 0xe1,
  FTST: 0xe4,
  FXAM: 0xe5,
  FLD1: 0xe8,
  FLDL2T: 0xe9,
  FLDL2E: 0xea,
  FLDPI: 0xeb,
  FLDLG2: 0xec,
  FLDLN2: 0xed,
  FLDZ: 0xee,
  FXTRACT: 0xf4,
  FPREM1: 0xf5,
  FDECSTP: 0xf6,
  FINCSTP: 0xf7,
  FPREM: 0xf8,
  FSQRT: 0xfa,
  FRNDINT: 0xfc,
  FSCALE: 0xfd,
};
for (const [name, modrm] of Object.entries(D9)) add(name, [0xd9, modrm], () => void call("x87_d9_group", modrm));
add("FNCLEX", [0xdb, 0xe2], () => void call("x87_fnclex"));
add("FNINIT", [0xdb, 0xe3], () => void call("x87_fninit"));
add("FLDCW", [0xd9, 0x2e], (v) => void call("x87_fldcw", v.getUint16(0, true)), "int");
add("FNSTCW", [0xd9, 0x3e], (v) => v.setUint16(0, Number(call("x87_fnstcw")), true));
add("FNSTSW", [0xdd, 0x3e], (v) => v.setUint16(0, Number(call("x87_fnstsw")), true));
add("MOVQ MM3, m64", [0x0f, 0x6f, 0x1e], (v) => {
  call("mmx_enter");
  call("mmx_write", 3, u64(v));
});
add("PXOR MM2, MM2", [0x0f, 0xef, 0xd2], () => {
  call("mmx_enter");
  call("mmx_write", 2, 0n);
});
add("EMMS", [0x0f, 0x77], () => void call("emms"));

/** Bytes that are compared: all but the instruction and operand pointers. */
const compared = (i: number) => i < 12 || (i >= 28 && i < 136 && !(i >= 108 && i < 112));

describe.skipIf(!run)("x87 instructions do what the CPU does", () => {
  test.each(forms.map((form) => ({ name: form[0], form })))(
    "$name",
    ({ form: [name, code, execute, operand] }) => {
      const random = new Random(seedOf(name));
      let differences = 0;
      let first = "";
      for (let done = 0; done < CASES; done += 50000) {
        const count = Math.min(50000, CASES - done);
        const before = new Uint8Array(count * X87_BYTES);
        for (let i = 0; i < count; i++)
          makeCase(random, new DataView(before.buffer, i * X87_BYTES, X87_BYTES), operand);
        const ours = before.slice();
        for (let i = 0; i < count; i++) runtimeExecutes(new DataView(ours.buffer, i * X87_BYTES, X87_BYTES), execute);
        const native = run?.(0, code, before) ?? before;
        for (let i = 0; i < count; i++) {
          let same = true;
          for (let k = 0; k < X87_BYTES && same; k++)
            if (compared(k) && ours[i * X87_BYTES + k] !== native[i * X87_BYTES + k]) same = false;
          if (same) continue;
          if (differences++ < 4) {
            const line = (b: Uint8Array) => show(new DataView(b.buffer, b.byteOffset + i * X87_BYTES, X87_BYTES));
            first += `\n  before ${line(before)}\n  cpu    ${line(native)}\n  ours   ${line(ours)}\n`;
          }
        }
      }
      expect(differences, `${differences} of ${CASES} differ${first}`).toBe(0);
    },
    10000 + CASES,
  );
});
