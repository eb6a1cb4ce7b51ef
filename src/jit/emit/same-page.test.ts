import { expect, test } from "vitest";
import { gpa } from "#address";
import type { VmExit } from "#engine";
import { passesWithout } from "#jit";
import { codeBase, guest, hex } from "../../../test/guest-code.ts";

const ways = [
  ["interpreted", { hotThreshold: Number.POSITIVE_INFINITY }],
  ["compiled", { hotThreshold: 2 }],
  ["compiled, each access by itself", { hotThreshold: 2, passes: passesWithout("same-page") }],
] as const;

/** Runs in slices, so that loops are compiled while they run. */
function finish(g: ReturnType<typeof guest>): VmExit {
  let exit = g.run(100n);
  for (let icount = 200n; exit.reason === "budget"; icount += 100n) exit = g.run(icount);
  return exit;
}
const words = (...values: bigint[]): Uint8Array => new Uint8Array(new BigUint64Array(values).buffer);

for (const [name, options] of ways) {
  test(`${name}: a structure over a page's end is read and written field by field`, () => {
    const g = guest(
      hex(`
        b9 e8030000          ; mov ecx, 1000
        bb 00102000          ; mov ebx, 0x201000
        48 8b 43 f0          ; mov rax, [rbx-16]
        48 03 03             ; add rax, [rbx]
        48 03 43 08          ; add rax, [rbx+8]
        48 89 43 f8          ; mov [rbx-8], rax
        48 83 c3 10          ; add rbx, 16
        48 89 43 f4          ; mov [rbx-12], rax
        48 83 eb 10          ; sub rbx, 16
        48 ff 43 f0          ; inc qword [rbx-16]
        ff c9                ; dec ecx
        75 dd                ; jnz -35
        0f 0b                ; ud2
      `),
      options,
    );
    g.memory.write(gpa(0x200ff0), words(5n, 0n, 7n, 0n));
    expect(finish(g)).toMatchObject({ reason: "fault", vector: 6 });
    // What the interpreter gives, computed here.
    const bytes = new DataView(new ArrayBuffer(32));
    bytes.setBigUint64(0, 5n, true);
    bytes.setBigUint64(16, 7n, true);
    for (let n = 0; n < 1000; n++) {
      const sum = BigInt.asUintN(
        64,
        bytes.getBigUint64(0, true) + bytes.getBigUint64(16, true) + bytes.getBigUint64(24, true),
      );
      bytes.setBigUint64(8, sum, true);
      bytes.setBigUint64(20, sum, true);
      bytes.setBigUint64(0, bytes.getBigUint64(0, true) + 1n, true);
    }
    const found = new Uint8Array(32);
    g.memory.read(gpa(0x200ff0), found);
    expect(found).toEqual(new Uint8Array(bytes.buffer));
  });

  test(`${name}: the one access of several that is past what is mapped faults, and those before it are done`, () => {
    const g = guest(
      hex(`
        bb 00004000          ; mov ebx, 0x400000
        48 8b 03             ; mov rax, [rbx]
        48 8b 53 08          ; mov rdx, [rbx+8]
        48 8b 73 10          ; mov rsi, [rbx+16]
        48 83 c3 08          ; add rbx, 8
        eb ef                ; jmp -17
      `),
      options,
    );
    // 2 MiB as they are, and the third 2 MiB by a table with one page, at 0x210000.
    g.memory.write(gpa(0x301000), words(0x302003n));
    g.memory.write(gpa(0x302000), words(0x303003n));
    g.memory.write(gpa(0x303000), words(0x83n, 0x200083n, 0x304003n));
    g.memory.write(gpa(0x304000), words(0x210003n));
    g.memory.write(gpa(0x210ff0), words(77n, 88n));
    g.vcpu.setU64("CR4", 0x20n);
    g.vcpu.setU64("CR3", 0x301000n);
    g.vcpu.setU64("CR0", 0x80000001n);
    g.engine.runtime.update_mode(g.vcpu.vp);
    expect(finish(g)).toMatchObject({ reason: "fault", vector: 14, address: 0x401000n });
    expect(g.vcpu.u64("RIP")).toBe(BigInt(codeBase + 12));
    expect([g.vcpu.register(0), g.vcpu.register(2), g.vcpu.register(3)]).toEqual([77n, 88n, 0x400ff0n]);
  });

  test(`${name}: what has to lie at a multiple of 16 is asked for that again each time round`, () => {
    const g = guest(
      hex(`
        bb 00002000          ; mov ebx, 0x200000
        b9 64000000          ; mov ecx, 100
        66 0f 6f 03          ; movdqa xmm0, [rbx]
        66 0f 6f 4b 10       ; movdqa xmm1, [rbx+16]
        66 0f 7f 4b 20       ; movdqa [rbx+32], xmm1
        ff c9                ; dec ecx
        75 ee                ; jnz -18
        48 83 c3 08          ; add rbx, 8
        eb e8                ; jmp -24
      `),
      options,
    );
    g.vcpu.setU64("CR4", 0x200n);
    g.engine.runtime.update_mode(g.vcpu.vp);
    g.memory.write(gpa(0x200000), words(1n, 2n, 3n, 4n));
    expect(finish(g)).toMatchObject({ reason: "fault", vector: 13 });
    expect(g.vcpu.u64("RIP")).toBe(BigInt(codeBase + 10));
    expect([g.vcpu.register(1), g.vcpu.register(3)]).toEqual([0n, 0x200008n]);
    const copied = new Uint8Array(16);
    g.memory.read(gpa(0x200020), copied);
    expect(copied).toEqual(words(3n, 4n));
  });
}
