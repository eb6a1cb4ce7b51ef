import { expect, test } from "vitest";
import { Code } from "./code.ts";
import { atomicInstructions, plainInstructions, vectorInstructions } from "./instruction-names.ts";
import { ModuleBuilder } from "./module.ts";
import { A, V, W } from "./opcodes.ts";
import { printModule } from "./print.ts";

function moduleOf(code: Code, parameters = 0): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory("env", "memory");
  module.importTable("env", "table");
  module.importFunction("runtime", "step", { parameters: ["i32"], results: ["i64"] });
  module.function({ parameters: Array.from({ length: parameters }, () => "i32"), results: [] }, code, "f");
  return module.finish();
}

/** The lines of a body without their offsets. */
const body = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("  "))
    .map((line) => line.slice(10));

test("a module is printed with its types, imports and functions", () => {
  const code = new Code(1);
  code.local("i64");
  const text = printModule(moduleOf(code, 1));
  expect(text.split("\n")).toEqual([
    expect.stringMatching(/^module, \d+ bytes$/),
    "type 0 (func (param i32) (result i64))",
    "type 1 (func (param i32))",
    'import "env" "memory" (memory 1 65536 shared)',
    'import "env" "table" (table 0 funcref)',
    'import "runtime" "step" (func 0 (type 0))',
    'func 1 "f" (type 1) (param i32) (local i64)',
    expect.stringMatching(/^ {2}[0-9a-f]{6} {2}end$/),
  ]);
});

test("blocks are indented, and branches name the block they go to", () => {
  const code = new Code(1);
  const out = code.block();
  const again = code.loop();
  code.get(0).brIf(out);
  code.get(0).if("i64");
  code.i64(-5, -1).else().i32(7).call(0).end().op(W.drop);
  code.get(0).brTable([out, again], out);
  code.end().end();
  expect(body(printModule(moduleOf(code, 1)))).toEqual([
    "block  ;; @1",
    "  loop  ;; @2",
    "    local.get 0",
    "    br_if 1  ;; @1",
    "    local.get 0",
    "    if (result i64)  ;; @3",
    "      i64.const -5",
    "    else",
    "      i32.const 7",
    "      call 0  ;; runtime.step",
    "    end",
    "    drop",
    "    local.get 0",
    "    br_table 1 0 1  ;; @1 @2 @1",
    "  end",
    "end",
    "end",
  ]);
});

test("accesses to memory show offset and alignment, vectors their lanes", () => {
  const code = new Code(1);
  code.get(0).memory(W.i64_load8_u, 16).op(W.drop);
  code.get(0).i32(1).i32(2).atomic(A.i32_rmw8_cmpxchg_u, 0, 300).op(W.drop);
  code.get(0).i64(1).atomic(A.i64_rmw_add, 3, 0).op(W.drop);
  code.get(0).vectorMemory(V.v128_load, 32).vector(V.i32x4_extract_lane, 3).op(W.drop);
  code.vector(V.v128_const, ...Array.from({ length: 16 }, (_, n) => n)).op(W.drop);
  expect(WebAssembly.validate(moduleOf(code, 1))).toBe(true);
  expect(body(printModule(moduleOf(code, 1))).filter((line) => !/^(drop|end|local)/.test(line))).toEqual([
    "i64.load8_u offset=16",
    "i32.const 1",
    "i32.const 2",
    "i32.atomic.rmw8.cmpxchg_u offset=300",
    "i64.const 1",
    "i64.atomic.rmw.add align=8",
    "v128.load offset=32",
    "i32x4.extract_lane 3",
    "v128.const 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
  ]);
});

test("every opcode of the tables has its own name and is read back to its end", () => {
  const code = new Code(0);
  let count = 0;
  const skipped: number[] = [W.block, W.loop, W.if, W.else, W.end, W.br, W.br_if, W.br_table];
  for (const [opcode, { immediates }] of plainInstructions) {
    if (skipped.includes(opcode)) continue;
    count++;
    code.op(opcode);
    if (immediates === "f32") code.op(0, 0, 0x80, 0x3f);
    else if (immediates === "f64") code.op(0, 0, 0, 0, 0, 0, 0xf0, 0x3f);
    else if (immediates !== "none")
      code.op(...(immediates === "memory" || immediates === "typeAndTable" ? [0, 1] : [1]));
  }
  for (const [opcode, { immediates }] of vectorInstructions) {
    count++;
    const sizes = { sixteenBytes: 16, lane: 1, memory: 2, memoryAndLane: 3 } as Record<string, number>;
    code.vector(opcode, ...Array.from({ length: sizes[immediates] ?? 0 }, () => 1));
  }
  for (const opcode of atomicInstructions.keys()) {
    count++;
    code.atomic(opcode, 2, 8);
  }
  const lines = body(printModule(moduleOf(code)));
  expect(lines.filter((line) => /unknown|early|_const/.test(line))).toEqual([]);
  expect(lines.length).toBe(count + 1);
  const names = new Set(lines.map((line) => line.split(" ")[0]));
  expect(names.size).toBe(lines.length);
});

test("any bytes are printed, and what is not understood says so", () => {
  const code = new Code(1);
  const out = code.block();
  code
    .get(0)
    .brTable([out, out], out)
    .end()
    .vector(V.v128_const, ...new Array<number>(16).fill(7))
    .op(W.drop);
  const whole = moduleOf(code, 1);
  for (let length = 0; length < whole.length; length++) {
    expect(printModule(whole.slice(0, length))).toMatch(/early|not a WebAssembly|^module/);
  }
  for (let at = 8; at < whole.length; at++) {
    for (const byte of [0, 0x7f, 0x80, 0xff]) {
      const broken = whole.slice();
      broken[at] = byte;
      expect(printModule(broken)).toMatch(/^module/);
    }
  }
  const unknown = new Code(0);
  unknown.op(0xf0);
  expect(printModule(moduleOf(unknown))).toMatch(/unknown 0xf0 before 0b/);
});

test("functions that were not asked for are left out", () => {
  const text = printModule(moduleOf(new Code(0)), (_, name) => name !== "f");
  expect(text).not.toMatch(/func 1/);
});
