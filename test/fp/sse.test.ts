import { describe, expect, test } from "vitest";
import { loadRuntime, nativeJudge, SSE_BYTES } from "./judge.ts";
import { binary, Random, seedOf } from "./operands.ts";
import { showSse } from "./sse-cases.ts";

const run = nativeJudge();
const { functions: f, memory } = loadRuntime();
const view = new DataView(memory.buffer);
const VP = 0x100000;
const MXCSR = VP + 888;
const FP_TRAP = VP + 892;

const CASES = Number(process.env.FP_CASES ?? 10000);

type Execute = (c: DataView) => void;
type Kind = "f32" | "f64" | "i32" | "i64";
type Form = readonly [name: string, code: readonly number[], source: Kind, execute: Execute];

/** Calls "name" or "name last-argument". */
function call(named: string, ...values: (number | bigint)[]): number | bigint {
  const [name = "", last] = named.split(" ");
  if (last) values.push(Number(last));
  const fn = f[name];
  if (!fn) throw new Error(`${name} is not exported`);
  return fn(VP, ...values) ?? 0;
}

function get(c: DataView, at: number, kind: Kind): number | bigint {
  return kind === "f32" || kind === "i32" ? c.getInt32(at, true) : c.getBigInt64(at, true);
}

/** Writes a result of `kind` to xmm0 or, for integers, to RAX (a 32-bit write clears the upper half). */
function set(c: DataView, kind: Kind, value: number | bigint): void {
  if (view.getUint32(FP_TRAP, true)) return;
  if (kind === "f32") c.setInt32(0, Number(value), true);
  else if (kind === "f64") c.setBigInt64(0, BigInt(value), true);
  else if (kind === "i32") c.setBigUint64(32, BigInt.asUintN(32, BigInt(value)), true);
  else c.setBigInt64(32, BigInt(value), true);
}

const forms: Form[] = [];
const add = (name: string, code: number[], source: Kind, execute: Execute) => forms.push([name, code, source, execute]);

for (const [kind, prefix, suffix] of [
  ["f32", 0xf3, "SS"],
  ["f64", 0xf2, "SD"],
] as const) {
  const two = (name: string, opcode: number, fn: string) =>
    add(name + suffix, [prefix, 0x0f, opcode, 0xc1], kind, (c) =>
      set(c, kind, call(`sse_${fn}_${kind}`, get(c, 0, kind), get(c, 16, kind))),
    );
  two("ADD", 0x58, "add");
  two("MUL", 0x59, "mul");
  two("SUB", 0x5c, "sub");
  two("MIN", 0x5d, "min");
  two("DIV", 0x5e, "div");
  two("MAX", 0x5f, "max");
  add(`SQRT${suffix}`, [prefix, 0x0f, 0x51, 0xc1], kind, (c) =>
    set(c, kind, call(`sse_sqrt_${kind}`, get(c, 16, kind))),
  );
  for (let p = 0; p < 8; p++) {
    add(`CMP${suffix} ${p}`, [prefix, 0x0f, 0xc2, 0xc1, p], kind, (c) =>
      set(c, kind, call(`sse_cmp_${kind}`, get(c, 0, kind), get(c, 16, kind), p)),
    );
  }
  const size = kind === "f32" ? [] : [0x66];
  for (const [name, opcode, quiet] of [
    ["UCOMI", 0x2e, 1],
    ["COMI", 0x2f, 0],
  ] as const) {
    add(name + suffix, [...size, 0x0f, opcode, 0xc1], kind, (c) => {
      const bits = call(`sse_comi_${kind}`, get(c, 0, kind), get(c, 16, kind), quiet);
      if (!view.getUint32(FP_TRAP, true)) c.setUint32(40, Number(bits), true);
    });
  }
  for (let imm = 0; imm < 16; imm++) {
    if (imm > 8 && imm < 12) continue;
    add(`ROUND${suffix} ${imm}`, [0x66, 0x0f, 0x3a, kind === "f32" ? 0x0a : 0x0b, 0xc1, imm], kind, (c) =>
      set(c, kind, call(`sse_round_${kind}`, get(c, 16, kind), imm)),
    );
  }
  for (const [to, rex] of [
    ["i32", []],
    ["i64", [0x48]],
  ] as const) {
    add(`CVT${suffix}2SI ${to}`, [prefix, ...rex, 0x0f, 0x2d, 0xc1], kind, (c) =>
      set(c, to, call(`sse_${kind}_to_${to}`, get(c, 16, kind), 0)),
    );
    add(`CVTT${suffix}2SI ${to}`, [prefix, ...rex, 0x0f, 0x2c, 0xc1], kind, (c) =>
      set(c, to, call(`sse_${kind}_to_${to}`, get(c, 16, kind), 1)),
    );
  }
}
add("CVTSS2SD", [0xf3, 0x0f, 0x5a, 0xc1], "f32", (c) => set(c, "f64", call("sse_f32_to_f64", get(c, 16, "f32"))));
add("CVTSD2SS", [0xf2, 0x0f, 0x5a, 0xc1], "f64", (c) => set(c, "f32", call("sse_f64_to_f32", get(c, 16, "f64"))));
add("CVTSI2SS i32", [0xf3, 0x0f, 0x2a, 0xc0], "i32", (c) => set(c, "f32", call("sse_i32_to_f32", get(c, 32, "i32"))));
add("CVTSI2SS i64", [0xf3, 0x48, 0x0f, 0x2a, 0xc0], "i64", (c) =>
  set(c, "f32", call("sse_i64_to_f32", get(c, 32, "i64"))),
);
add("CVTSI2SD i64", [0xf2, 0x48, 0x0f, 0x2a, 0xc0], "i64", (c) =>
  set(c, "f64", call("sse_i64_to_f64", get(c, 32, "i64"))),
);

/** A packed form: every lane, then the trap or all results. */
function packed(name: string, code: number[], kind: "f32" | "f64", fn: string, operands: 1 | 2): void {
  const step = kind === "f32" ? 4 : 8;
  add(name, code, kind, (c) => {
    const results: (number | bigint)[] = [];
    for (let at = 0; at < 16; at += step) {
      const b = get(c, 16 + at, kind);
      results.push(operands === 1 ? call(fn, b) : call(fn, get(c, at, kind), b));
    }
    if (view.getUint32(FP_TRAP, true)) {
      call("sse_trap", c.getUint32(44, true));
      c.setUint32(48, 1, true);
      return;
    }
    for (const [i, value] of results.entries()) {
      if (kind === "f32") c.setInt32(i * step, Number(value), true);
      else c.setBigInt64(i * step, BigInt(value), true);
    }
  });
}
packed("ADDPS", [0x0f, 0x58, 0xc1], "f32", "sse_add_f32", 2);
packed("ADDPD", [0x66, 0x0f, 0x58, 0xc1], "f64", "sse_add_f64", 2);
packed("MULPD", [0x66, 0x0f, 0x59, 0xc1], "f64", "sse_mul_f64", 2);
packed("DIVPS", [0x0f, 0x5e, 0xc1], "f32", "sse_div_f32", 2);
packed("SQRTPS", [0x0f, 0x51, 0xc1], "f32", "sse_sqrt_f32", 1);
packed("MAXPD", [0x66, 0x0f, 0x5f, 0xc1], "f64", "sse_max_f64", 2);
packed("CVTPS2DQ", [0x66, 0x0f, 0x5b, 0xc1], "f32", "sse_f32_to_i32 0", 1);

function makeCase(random: Random, c: DataView, source: Kind): void {
  for (let i = 0; i < 32; i += 4) c.setUint32(i, random.u32(), true);
  if (source === "f32") {
    for (let i = 0; i < 32; i += 4) c.setUint32(i, Number(binary(random, 23)), true);
    c.setUint32(16, random.one(20) ? c.getUint32(0, true) : Number(binary(random, 23)), true);
  } else if (source === "f64") {
    c.setBigUint64(0, binary(random, 52), true);
    c.setBigUint64(8, binary(random, 52), true);
    c.setBigUint64(24, binary(random, 52), true);
    c.setBigUint64(16, random.one(20) ? c.getBigUint64(0, true) : binary(random, 52), true);
  }
  c.setBigInt64(32, BigInt.asIntN(64, random.u64()) >> BigInt(random.below(64)), true);
  const masks = random.one(2) ? 0x3f : random.u32() & 0x3f;
  const raised = random.one(2) ? random.u32() & masks : 0;
  const mode = random.one(2) ? 0 : random.below(4);
  c.setUint32(
    44,
    (masks << 7) | raised | (mode << 13) | (random.one(4) ? 0x40 : 0) | (random.one(3) ? 0x8000 : 0),
    true,
  );
}

describe.skipIf(!run)("SSE instructions do what the CPU does", () => {
  test.each(forms)(
    "%s",
    (name, code, source, execute) => {
      const random = new Random(seedOf(name));
      const setsFlags = name.includes("COMI");
      let differences = 0;
      let first = "";
      for (let done = 0; done < CASES; done += 100000) {
        const count = Math.min(100000, CASES - done);
        const before = new Uint8Array(count * SSE_BYTES);
        const at = (b: Uint8Array, i: number) => new DataView(b.buffer, b.byteOffset + i * SSE_BYTES, SSE_BYTES);
        for (let i = 0; i < count; i++) makeCase(random, at(before, i), source);
        const native = run?.(1, code, before) ?? before;
        const ours = before.slice();
        for (let i = 0; i < count; i++) {
          const c = at(ours, i);
          view.setUint32(MXCSR, c.getUint32(44, true), true);
          view.setUint32(FP_TRAP, 0, true);
          execute(c);
          c.setUint32(44, view.getUint32(MXCSR, true), true);
          if (view.getUint32(FP_TRAP, true)) c.setUint32(48, 1, true);
          const n = at(native, i);
          if (!setsFlags || n.getUint32(48, true)) c.setUint32(40, n.getUint32(40, true), true);
          else n.setUint32(40, n.getUint32(40, true) & 0x8d5, true);
          let same = true;
          for (let k = 0; k < 52 && same; k++) if (c.getUint8(k) !== n.getUint8(k)) same = false;
          if (!same && differences++ < 4)
            first += `\n  before ${showSse(at(before, i))}\n  cpu    ${showSse(n)}\n  ours   ${showSse(c)}\n`;
        }
      }
      expect(differences, `${differences} of ${CASES} differ${first}`).toBe(0);
    },
    10000 + CASES,
  );
});
