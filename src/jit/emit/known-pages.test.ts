import { expect, test } from "vitest";
import { gpa } from "#address";
import { passesWithout } from "#jit";
import { codeBase, dataBase, guest, hex, mapPages } from "../../../test/guest-code.ts";

const ways = [
  ["interpreted", { hotThreshold: Number.POSITIVE_INFINITY }],
  ["compiled", { hotThreshold: 2 }],
  ["compiled without known pages", { hotThreshold: 2, passes: passesWithout("known-pages") }],
] as const;

/** Runs in slices, so that loops are compiled while they run. */
function finish(g: ReturnType<typeof guest>): void {
  let exit = g.run(100n);
  for (let icount = 200n; exit.reason === "budget"; icount += 100n) exit = g.run(icount);
  expect(exit).toMatchObject({ reason: "fault", vector: 6 });
}
function read(g: ReturnType<typeof guest>, from: number, bytes: number): Uint8Array {
  const target = new Uint8Array(bytes);
  g.memory.read(gpa(from), target);
  return target;
}

for (const [name, options] of ways) {
  test(`${name}: a loop's stores of eight bytes, some of them across pages, are all there`, () => {
    const g = guest(
      hex(`
        b9 00080000          ; mov ecx, 2048
        be 03002000          ; mov esi, 0x200003
        48 89 4c ce f8       ; mov [rsi+rcx*8-8], rcx
        ff c9                ; dec ecx
        75 f7                ; jnz -9
        0f 0b                ; ud2
      `),
      options,
    );
    finish(g);
    const expected = new BigUint64Array(2048).map((_, n) => BigInt(n + 1));
    expect(read(g, dataBase + 3, 2048 * 8)).toEqual(new Uint8Array(expected.buffer));
    expect(read(g, dataBase, 3)).toEqual(new Uint8Array(3));
  });

  test(`${name}: a copy by sixteen bytes at odd addresses is exact`, () => {
    const g = guest(
      hex(`
        b9 00040000          ; mov ecx, 1024
        be 05002000          ; mov esi, 0x200005
        bf 0b002100          ; mov edi, 0x21000b
        f3 0f 6f 06          ; movdqu xmm0, [rsi]
        f3 0f 7f 07          ; movdqu [rdi], xmm0
        48 83 c6 10          ; add rsi, 16
        48 83 c7 10          ; add rdi, 16
        ff c9                ; dec ecx
        75 ec                ; jnz -20
        0f 0b                ; ud2
      `),
      options,
    );
    g.vcpu.setU64("CR4", 0x600n);
    g.engine.runtime.update_mode(g.vcpu.vp);
    const bytes = Uint8Array.from({ length: 16384 }, (_, n) => (n * 31 + (n >> 8)) & 0xff);
    g.memory.write(gpa(dataBase + 5), bytes);
    finish(g);
    const copy = read(g, 0x21000b, 16384);
    expect(copy.findIndex((byte, n) => byte !== bytes[n])).toBe(-1);
  });

  test(`${name}: a stack that goes over a page holds what was pushed`, () => {
    const g = guest(
      hex(`
        bc 08102000          ; mov esp, 0x201008
        b9 e8030000          ; mov ecx, 1000
        31 c0                ; xor eax, eax
        51                   ; push rcx
        51                   ; push rcx
        51                   ; push rcx
        5a                   ; pop rdx
        5b                   ; pop rbx
        5e                   ; pop rsi
        48 01 d0             ; add rax, rdx
        48 01 f0             ; add rax, rsi
        ff c9                ; dec ecx
        75 f0                ; jnz -16
        0f 0b                ; ud2
      `),
      options,
    );
    finish(g);
    expect(g.vcpu.register(0)).toBe(2n * 500500n);
  });

  test(`${name}: a loop sees another page where INVLPG says so`, () => {
    const g = guest(
      hex(`
        b9 e8030000          ; mov ecx, 1000
        bb 00004000          ; mov ebx, 0x400000
        be 00403000          ; mov esi, 0x304000, its page-table entry
        31 c0                ; xor eax, eax
        48 81 36 00100000    ; xor qword [rsi], 0x1000
        0f 01 3b             ; invlpg [rbx]
        48 03 03             ; add rax, [rbx]
        48 ff 43 08          ; inc qword [rbx+8]
        48 03 03             ; add rax, [rbx]
        ff c9                ; dec ecx
        75 e8                ; jnz -24
        0f 0b                ; ud2
      `),
      options,
    );
    // The page at 0x210000 or 0x211000.
    mapPages(g, 0x210003n);
    g.memory.write(gpa(0x210000), new Uint8Array(new BigUint64Array([1n]).buffer));
    g.memory.write(gpa(0x211000), new Uint8Array(new BigUint64Array([1000n]).buffer));
    finish(g);
    expect(g.vcpu.register(0)).toBe(2n * (500n * 1n + 500n * 1000n));
    for (const page of [0x210008, 0x211008])
      expect(read(g, page, 8)).toEqual(new Uint8Array(new BigUint64Array([500n]).buffer));
  });

  test(`${name}: no page is known where no address can be`, () => {
    const g = guest(
      hex(`
        b9 0a000000          ; mov ecx, 10
        48 8b 03             ; mov rax, [rbx]
        48 83 c3 08          ; add rbx, 8
        ff c9                ; dec ecx
        75 f5                ; jnz -11
        0f 0b                ; ud2
      `),
      options,
    );
    for (const [from, vector] of [
      [0x200000n, 6],
      [0x8000_0000_0000_0000n, 13],
      [0xffff_ffff_ffff_f000n, undefined],
    ] as const) {
      g.vcpu.setU64("RIP", BigInt(codeBase));
      g.vcpu.setRegister(3, from);
      const exit = g.run(g.vcpu.u64("ICOUNT") + 1000n);
      if (vector !== undefined) expect(exit).toMatchObject({ reason: "fault", vector });
    }
  });
}
