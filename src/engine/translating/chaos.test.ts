import { expect, test } from "vitest";
import { hex } from "../../../test/guest-code.ts";
import { tinyMachine } from "../../../test/tiny-machine.ts";

/** Fills 64 KiB with multiples of a counter, again and again, through a call, by code that it rewrites now and then. */
const busy = hex(`
  31 db                   ; xor %ebx,%ebx
  bf 00002000             ; mov $0x200000,%edi
  b9 00200000             ; mov $0x2000,%ecx
  ff c3                   ; inc %ebx
  84 c9                   ; test %cl,%cl
  75 06                   ; jne +6
  88 1d 0e000000          ; mov %bl,14(%rip)      the immediate of the add below
  e8 02000000             ; call +2
  eb ed                   ; jmp -19               to inc
  89 d8                   ; mov %ebx,%eax
  0f af c1                ; imul %ecx,%eax
  83 c0 00                ; add $0,%eax
  89 04 8f                ; mov %eax,(%rdi,%rcx,4)
  ff c9                   ; dec %ecx
  79 05                   ; jns +5
  b9 ff1f0000             ; mov $0x1fff,%ecx
  c3                      ; ret
`);

function digests(engine: { interpreterOnly?: boolean; hotThreshold?: number; chaosSeed?: number }): string[] {
  const { machine, reports } = tinyMachine(busy, { digestEvery: 20_000, engine });
  machine.runUntil(200_000n);
  return reports("digest");
}

test("chaos changes nothing that a guest sees, and neither does compiling", () => {
  const quiet = digests({ interpreterOnly: true });
  expect(quiet.length).toBe(10);
  expect(new Set(quiet.map((line) => line.slice(line.indexOf("cpu")))).size).toBe(10);
  expect(digests({ hotThreshold: 2 })).toEqual(quiet);
  for (const chaosSeed of [1, 2, 3]) {
    expect(digests({ chaosSeed })).toEqual(quiet);
    expect(digests({ chaosSeed, interpreterOnly: true })).toEqual(quiet);
  }
});
