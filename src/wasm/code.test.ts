import { expect, test } from "vitest";
import { Bytes, Code, link } from "./code.ts";
import { ModuleBuilder } from "./module.ts";
import { W, type WasmType } from "./opcodes.ts";
import { Reader } from "./reader.ts";

function encoded(write: (out: Bytes) => void): string {
  const out = new Bytes(1);
  write(out);
  return [...out.view()].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** A module with one exported function, checked by the engine and run. */
function run(result: WasmType, emit: (c: Code) => void, ...args: number[]): unknown {
  const code = new Code(args.length);
  emit(code);
  const module = new ModuleBuilder();
  module.function({ parameters: args.map(() => "i32"), results: [result] }, code, "f");
  const bytes = module.finish();
  expect(WebAssembly.validate(bytes)).toBe(true);
  const f = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.f as (...values: number[]) => unknown;
  return f(...args);
}

test.each([
  [0, "00"],
  [0x7f, "7f"],
  [0x80, "80 01"],
  [0x3fff, "ff 7f"],
  [0x4000, "80 80 01"],
  [0x7fffffff, "ff ff ff ff 07"],
  [0xffffffff, "ff ff ff ff 0f"],
  [-1, "ff ff ff ff 0f"],
])("the unsigned number %d is %s", (value, bytes) => {
  expect(encoded((out) => out.u32(value))).toBe(bytes);
});

test.each([
  [0, "00"],
  [-1, "7f"],
  [63, "3f"],
  [64, "c0 00"],
  [-64, "40"],
  [-65, "bf 7f"],
  [0x1fff, "ff 3f"],
  [0x2000, "80 c0 00"],
  [0x7fffffff, "ff ff ff ff 07"],
  [-0x80000000, "80 80 80 80 78"],
])("the signed number %d is %s", (value, bytes) => {
  expect(encoded((out) => out.s32(value))).toBe(bytes);
});

test.each([
  [0n, "00"],
  [-1n, "7f"],
  [0x7fffffffn, "ff ff ff ff 07"],
  [0x80000000n, "80 80 80 80 08"],
  [0xffffffffn, "ff ff ff ff 0f"],
  [-0x80000001n, "ff ff ff ff 77"],
  [0x7fffffffffffffffn, "ff ff ff ff ff ff ff ff ff 00"],
  [-0x8000000000000000n, "80 80 80 80 80 80 80 80 80 7f"],
])("the signed 64-bit number %d is %s", (value, bytes) => {
  expect(encoded((out) => out.s64(Number(BigInt.asIntN(32, value)), Number(value >> 32n)))).toBe(bytes);
});

test("a number of 64 bits comes back from each encoding of its halves, at every bit's edge", () => {
  for (let bit = 0n; bit < 64n; bit++) {
    for (const near of [-1n, 0n, 1n]) {
      for (const sign of [1n, -1n]) {
        const value = BigInt.asIntN(64, sign * (1n << bit) + near);
        const out = new Bytes();
        out.s64(Number(BigInt.asIntN(32, value)), Number(value >> 32n));
        expect(new Reader(out.view()).s64()).toBe(value);
        expect(run("i64", (c) => c.i64(Number(BigInt.asIntN(32, value)), Number(value >> 32n)))).toBe(value);
      }
    }
  }
});

test("a number of 32 bits comes back from each encoding, at every bit's edge", () => {
  for (let bit = 0; bit < 32; bit++) {
    for (const near of [-1, 0, 1]) {
      const value = ((1 << bit) + near) | 0;
      const out = new Bytes();
      out.s32(value);
      out.u32(value);
      const reader = new Reader(out.view());
      expect([reader.s32(), reader.u32()]).toEqual([value, value >>> 0]);
      expect(run("i32", (c) => c.i32(value))).toBe(value);
    }
  }
});

test("a branch leaves the block that its label names, from any depth", () => {
  const nested = (to: number) =>
    run("i32", (c) => {
      const labels = [c.block("i32"), c.block("i32"), c.block("i32")];
      c.i32(0).br(labels[to] as (typeof labels)[0]);
      c.end().i32(1).op(W.i32_add).end().i32(2).op(W.i32_add).end().i32(4).op(W.i32_add);
    });
  expect([nested(0), nested(1), nested(2)]).toEqual([4, 6, 7]);
});

test("a branch to a loop goes round again", () => {
  const sum = (c: Code) => {
    const total = c.local("i32");
    const loop = c.loop();
    c.get(total).get(0).op(W.i32_add).set(total);
    c.get(0).i32(1).op(W.i32_sub).tee(0).brIf(loop);
    c.end().get(total);
  };
  expect(run("i32", sum, 10)).toBe(55);
});

test("a branch table goes to its n-th label, and else to the last", () => {
  const pick = (n: number) =>
    run(
      "i32",
      (c) => {
        const otherwise = c.block();
        const one = c.block();
        const zero = c.block();
        c.get(0).brTable([zero, one], otherwise);
        c.end().i32(100).op(W.return);
        c.end().i32(101).op(W.return);
        c.end().i32(102);
      },
      n,
    );
  expect([pick(0), pick(1), pick(2), pick(-1)]).toEqual([100, 101, 102, 102]);
});

test("locals of one type are declared in runs, and are numbered behind the parameters", () => {
  const code = new Code(2);
  expect([code.local("i32"), code.local("i32"), code.local("i64"), code.local("v128")]).toEqual([2, 3, 4, 5]);
  expect([...code.finish()]).toEqual([8, 3, 2, 0x7f, 1, 0x7e, 1, 0x7b, W.end]);
});

test("what a linker knows is put in where it was left out, and the hints stand where they stood", () => {
  const sums = [-1, 0, 127, 0x7fffffff, -0x80000000, 0x12345678].map((constant) => {
    const module = new ModuleBuilder();
    const add = new Code(2);
    add.get(0).get(1).op(W.i32_add);
    const code = new Code(1);
    const local = code.local("i32");
    code.i32Linked(7).set(local).get(0).unlikely().if();
    code.get(0).get(local).callLinked(3).set(local).end().get(local);
    const object = code.object();
    const type = { parameters: ["i32", "i32"], results: ["i32"] } as const;
    const index = module.function(type, add);
    const linked = link(
      object,
      (symbol) => (symbol === 3 ? index : -1),
      (symbol) => (symbol === 7 ? constant : 0),
    );
    module.function({ parameters: ["i32"], results: ["i32"] }, linked, "run");
    expect(linked.hints()).toEqual(code.hints());
    const { run } = new WebAssembly.Instance(new WebAssembly.Module(module.finish())).exports;
    return [(run as (n: number) => number)(0), (run as (n: number) => number)(5)];
  });
  expect(sums).toEqual([
    [-1, 4],
    [0, 5],
    [127, 132],
    [0x7fffffff, 0x7fffffff + 5 - 2 ** 32],
    [-0x80000000, 5 - 0x80000000],
    [0x12345678, 0x1234567d],
  ]);
  const code = new Code(0);
  code.i32Linked(1);
  expect(() => code.finish()).toThrow("linker");
});

test("a function with an open block, or a branch to a closed one, is a bug", () => {
  const open = new Code(0);
  open.block();
  expect(() => open.finish()).toThrow();
  const closed = new Code(0);
  const label = closed.block();
  closed.end();
  expect(() => closed.br(label)).toThrow();
});
