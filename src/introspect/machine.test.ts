import { expect, test } from "vitest";
import { hex } from "../../test/guest-code.ts";
import { kernelBase, tinyMachine } from "../../test/tiny-machine.ts";
import { allBlocks, printCode } from "./blocks.ts";
import { printPageTables } from "./page-tables.ts";
import { printRegisters } from "./registers.ts";

const code = hex(`
  b8 2a000000       ; mov $42,%eax
  83 e8 01          ; sub $1,%eax
  75 fb             ; jne -5
  66 0f 6f c8       ; movdqa %xmm0,%xmm1
  f4                ; hlt
`);

test("the registers of a machine are printed by name", () => {
  const { machine } = tinyMachine(code);
  machine.runUntil(4n);
  const text = printRegisters(machine.parts, { vectors: true, x87: true });
  expect(text).toMatch(/^RAX 0000000000000028 /);
  expect(text).toMatch(/^RIP 0000000001000008 {2}RFLAGS 0000000000000006 \[PF\] {2}CPL 0 {2}retired 4$/m);
  expect(text).toMatch(/^CS {3}0010 base 0000000000000000 limit ffffffff flags a09b \[code64 readable dpl0\]$/m);
  expect(text).toMatch(/^CR0 {2}\w{16} \[PG .*PE\]$/m);
  expect(text).toMatch(/^EFER .*LMA LME/m);
  expect(text).toMatch(/^XMM15 0{32}$/m);
  expect(text).toMatch(/^ST7 0000 0{16} empty$/m);
});

test("a machine's first page tables map its memory", () => {
  const { machine } = tinyMachine(code);
  const { memory, vcpu } = machine.parts;
  expect(printPageTables(memory, vcpu.u64("CR3"))).toMatch(/^0{16}-\w{16} .* kernel rwx .*-> 0000000000$/m);
});

test("the code at an address is shown as guest instructions, IR and WebAssembly", () => {
  const { machine } = tinyMachine(code, { engine: { hotThreshold: 2 } });
  machine.runUntil(60n);
  expect(allBlocks(machine.parts).length).toBeGreaterThan(1);
  const text = printCode(machine.parts, BigInt(kernelBase + 5), true);
  expect(text).toMatch(/1000005: {2}sub \$0x1,%eax +\| sub32/);
  expect(text).toMatch(/^region of \d+ blocks/m);
  expect(text).toMatch(/i32\.sub|i64\.sub/);
  expect(text).not.toMatch(/unknown|early/);
  expect(printCode(machine.parts, 0x7fff_0000_0000n, true)).toBe("nothing is mapped there");
});
