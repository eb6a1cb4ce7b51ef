import { expect, test } from "vitest";
import { gpa } from "#address";
import { passesWithout } from "#jit";
import { Event } from "#vcpu";
import { codeBase, dataBase, guest, hex, mapPages } from "../../../test/guest-code.ts";

const interpreted = { hotThreshold: Number.POSITIVE_INFINITY };
const compiled = { hotThreshold: 2 };

/** rax = sum over rcx = 1000 … 1 of rcx * 3, each sum stored at dataBase; then #UD. */
const sum = hex(`
  b9 e8030000       ; mov ecx, 1000
  31 c0             ; xor eax, eax
  be 00002000       ; mov esi, 0x200000
  48 8d 14 49       ; lea rdx, [rcx+rcx*2]
  48 01 d0          ; add rax, rdx
  48 89 04 ce       ; mov [rsi+rcx*8], rax
  ff c9             ; dec ecx
  75 f1             ; jnz -15
  0f 0b             ; ud2
`);
const sumInstructions = 3n + 1000n * 5n;

for (const [name, options] of [
  ["interpreted", interpreted],
  ["compiled", compiled],
] as const) {
  test(`${name}: a loop gives its sum, its stores and its number of instructions`, () => {
    const g = guest(sum, options);
    // In slices: a loop is compiled while it runs.
    let exit = g.run(100n);
    for (let icount = 200n; exit.reason === "budget"; icount += 100n) exit = g.run(icount);
    expect(exit).toMatchObject({ reason: "fault", vector: 6 });
    expect(g.vcpu.register(0)).toBe(3n * 500500n);
    expect(g.vcpu.u64("ICOUNT")).toBe(sumInstructions);
    const stored = new BigUint64Array(1);
    g.memory.read(gpa(dataBase + 8), new Uint8Array(stored.buffer));
    expect(stored[0]).toBe(3n * 500500n);
    expect(g.engine.regions.stats.regions > 0).toBe(options === compiled);
  });

  test(`${name}: a budget of n retires exactly n instructions`, () => {
    const g = guest(sum, options);
    for (const icount of [1n, 2n, 3n, 10n, 11n, 500n, 501n, 502n, 503n, 504n, 2000n]) {
      expect(g.run(icount)).toEqual({ reason: "budget" });
      expect(g.vcpu.u64("ICOUNT")).toBe(icount);
    }
  });

  test(`${name}: code is seen as it is now by whichever of its addresses it is changed`, () => {
    const g = guest(
      hex(`
        b9 0a000000                ; mov ecx, 10
        c6 04 25 01004000 01       ; mov byte [0x400001], 1
        c6 04 25 01104000 01       ; mov byte [0x401001], 1
        e8 e6ff1000                ; call 0x210000
        01 c2                      ; add edx, eax
        c6 04 25 01004000 02       ; mov byte [0x400001], 2
        e8 d7ff1000                ; call 0x210000
        01 c2                      ; add edx, eax
        c6 04 25 01104000 05       ; mov byte [0x401001], 5
        e8 c8ff1000                ; call 0x210000
        01 c2                      ; add edx, eax
        ff c9                      ; dec ecx
        75 bf                      ; jnz -65
        0f 0b                      ; ud2
      `),
      options,
    );
    // After what is as it is, the page at 0x210000, twice.
    mapPages(g, 0x210003n, 0x210003n);
    g.memory.write(gpa(0x210000), hex("b8 00000000 c3")); // mov eax, 0; ret
    expect(g.run()).toMatchObject({ reason: "fault", vector: 6 });
    expect(g.vcpu.register(2)).toBe(80n);
  });

  for (const [kind, jump] of [
    ["a jump", "e9 fb0f0000"], // jmp 0x1000 bytes from here
    ["an indirect jump", "48 8d 15 f90f0000 ff e2"], // lea rdx, [rip+0xff9]; jmp rdx
  ]) {
    test(`${name}: ${kind} to the next page goes to the page that follows at the address it runs at`, () => {
      const g = guest(
        hex(`
          b9 14000000      ; mov ecx, 20
          e8 f6ff2f00      ; call 0x400000
          e8 f11f3000      ; call 0x402000
          ff c9            ; dec ecx
          75 f2            ; jnz to the first call
          0f 0b            ; ud2
        `),
        options,
      );
      mapPages(g, 0x210003n, 0x211003n, 0x210003n, 0x212003n);
      g.memory.write(gpa(0x210000), hex(jump));
      g.memory.write(gpa(0x211000), hex("83 c0 01 c3")); // add eax, 1; ret
      g.memory.write(gpa(0x212000), hex("83 c0 10 c3")); // add eax, 16; ret
      expect(g.run(100_000n)).toMatchObject({ reason: "fault", vector: 6 });
      expect(g.vcpu.register(0)).toBe(340n);
    });

    test(`${name}: ${kind} to another page goes where that is mapped by then, though generations begin anew`, () => {
      const g = guest(
        hex(`
          b9 14000000                       ; mov ecx, 20
          e8 f6ff2f00                       ; call 0x400000
          48 81 34 25 08403000 00300000     ; xor qword [0x304008], 0x3000
          0f 01 3c 25 00104000              ; invlpg [0x401000]
          ff c9                             ; dec ecx
          75 e3                             ; jnz to the call
          e8 d9ff2f00                       ; call 0x400000
          48 81 34 25 08403000 00300000     ; xor qword [0x304008], 0x3000
          0f 20 da                          ; mov rdx, cr3
          0f 22 da                          ; mov cr3, rdx
          e8 c2ff2f00                       ; call 0x400000
          0f 0b                             ; ud2
        `),
        options,
      );
      mapPages(g, 0x210003n, 0x211003n);
      g.memory.write(gpa(0x210000), hex(jump));
      g.memory.write(gpa(0x211000), hex("83 c0 01 c3")); // add eax, 1; ret
      g.memory.write(gpa(0x212000), hex("83 c0 10 c3")); // add eax, 16; ret
      // The last generations there are: the one after the write to CR3 has the number of the first.
      g.vcpu.setU32("ASID", 1);
      g.vcpu.setU32("LAST_ASID", 0xffff_fffd);
      g.vcpu.setU64("RIP", BigInt(codeBase) + 0x22n);
      expect(g.run(100_000n)).toMatchObject({ reason: "fault", vector: 6 });
      expect(g.vcpu.u32("LAST_ASID")).toBeLessThan(10);
      expect(g.vcpu.register(0)).toBe(17n);
      g.vcpu.setU64("RIP", BigInt(codeBase));
      expect(g.run(200_000n)).toMatchObject({ reason: "fault", vector: 6 });
      expect(g.vcpu.register(0)).toBe(17n + 170n + 17n);
    });
  }

  test(`${name}: code that is overwritten runs as it is now`, () => {
    const g = guest(hex("b8 01000000 0f 0b"), options); // mov eax, 1; ud2
    for (let n = 0; n < 10; n++) {
      g.memory.write(gpa(codeBase + 1), Uint8Array.of(n));
      g.vcpu.setU64("RIP", BigInt(codeBase));
      g.run();
      expect(g.vcpu.register(0)).toBe(BigInt(n));
    }
  });

  test(`${name}: an instruction that overwrites the next one is seen at once`, () => {
    const g = guest(
      hex(`
        b9 40000000             ; mov ecx, 64
        c6 05 00000000 f9       ; mov byte [rip], 0xf9: clc becomes stc
        f8                      ; clc
        83 d0 00                ; adc eax, 0
        ff c9                   ; dec ecx
        75 f1                   ; jnz to the mov
        0f 0b                   ; ud2
      `),
      options,
    );
    expect(g.run(100_000n)).toMatchObject({ reason: "fault", vector: 6 });
    expect(g.vcpu.register(0)).toBe(64n);
  });

  test(`${name}: data beside code costs no translations`, () => {
    const g = guest(
      hex(`
        b9 10270000             ; mov ecx, 10000
        ff 05 00040000          ; inc dword [rip+1024]
        48 83 2d 00040000 01    ; sub qword [rip+1024], 1: 8 bytes further
        ff c9                   ; dec ecx
        75 ee                   ; jnz to the inc
        0f 0b                   ; ud2
      `),
      options,
    );
    expect(g.run()).toMatchObject({ reason: "fault", vector: 6 });
    const counters = new BigInt64Array(2);
    g.memory.read(gpa(codeBase + 11 + 1024), new Uint8Array(counters.buffer));
    expect(counters).toEqual(BigInt64Array.of(10_000n, -10_000n));
    expect(g.engine.stats.lifted).toBeLessThan(20);
  });

  test(`${name}: a function whose constant is changed before each call gives the new one`, () => {
    const g = guest(
      hex(`
        b9 d0070000             ; mov ecx, 2000
        89 0d 0e000000          ; mov [rip+14], ecx: the constant
        e8 08000000             ; call the function
        01 c2                   ; add edx, eax
        ff c9                   ; dec ecx
        75 ef                   ; jnz to the store
        0f 0b                   ; ud2
        b8 00000000             ; mov eax, 0
        c3                      ; ret
      `),
      options,
    );
    expect(g.run()).toMatchObject({ reason: "fault", vector: 6 });
    expect(g.vcpu.register(2)).toBe(BigInt((2000 * 2001) / 2));
  });

  test(`${name}: code in two pages is seen to change by one store across them`, () => {
    const g = guest(
      hex(`
        b9 20000000             ; mov ecx, 32
        89 ca                   ; mov edx, ecx
        c1 e2 10                ; shl edx, 16
        81 c2 c031c031          ; add edx, 0x31c031c0
        ff d6                   ; call rsi
        01 c3                   ; add ebx, eax
        88 4e 0f                ; mov [rsi+15], cl: the constant's first byte, the last of the page
        66 89 4e 0f             ; mov [rsi+15], cx: its first two bytes
        ff c9                   ; dec ecx
        75 e8                   ; jnz to the second instruction
        0f 0b                   ; ud2
      `),
      options,
    );
    // 14 times NOP, then mov eax, imm32, whose constant begins with the page's last byte; then ret.
    g.memory.write(gpa(dataBase + 4080), hex("9090909090909090909090909090 b8 00000000 c3"));
    g.vcpu.setRegister(6, BigInt(dataBase + 4080));
    expect(g.run()).toMatchObject({ reason: "fault", vector: 6 });
    // The calls see 0, 32, 31 … 2.
    expect(g.vcpu.register(3)).toBe(BigInt((32 * 33) / 2 - 1));
  });

  test(`${name}: a fault leaves the state of its instruction's start`, () => {
    const g = guest(
      hex(`
        b9 20000000             ; mov ecx, 32
        31 d2                   ; xor edx, edx
        83 c3 01                ; add ebx, 1
        b8 00010000             ; mov eax, 256
        ff c9                   ; dec ecx
        f7 f1                   ; div ecx: #DE when it reaches 0
        eb f0                   ; jmp to the xor
      `),
      options,
    );
    expect(g.run()).toMatchObject({ reason: "fault", vector: 0 });
    expect(g.vcpu.register(0)).toBe(256n);
    expect(g.vcpu.register(3)).toBe(32n);
    expect(g.vcpu.u64("RIP")).toBe(BigInt(codeBase + 17));
    expect(g.vcpu.u64("ICOUNT")).toBe(1n + 31n * 6n + 4n);
  });
}

for (const [what, leave, released] of [
  ["a return", "c3", "10"],
  ["a return that releases arguments", "c2 1000", "00"],
  ["an indirect jump", "ff e2", "18"],
] as const) {
  test.each([
    ["interpreted", interpreted],
    ["compiled", compiled],
  ])(
    `${what} to an address that is not canonical faults as if it had not begun, wherever it went before: %s`,
    (_, options) => {
      const g = guest(
        hex(`
        b9 e8030000                ; mov ecx, 1000
        48 83 ec 10                ; sub rsp, 16
        e8 0b000000                ; call +11
        48 8d 64 24 ${released}    ; lea rsp, [rsp+...]
        ff c9                      ; dec ecx
        75 ee                      ; jnz -18
        0f 0b                      ; ud2
        48 8b 14 24                ; mov rdx, [rsp]
        83 f9 01                   ; cmp ecx, 1
        75 0e                      ; jne +14
        48 ba 0000000000800000     ; mov rdx, 0x800000000000
        48 89 14 24                ; mov [rsp], rdx
        ${leave}
      `),
        options,
      );
      const top = g.vcpu.register(4);
      let exit = g.run(100n);
      for (let icount = 200n; exit.reason === "budget"; icount += 100n) exit = g.run(icount);
      expect(exit).toMatchObject({ reason: "fault", vector: 13, error: 0 });
      expect(g.vcpu.u64("RIP")).toBe(BigInt(codeBase) + 48n);
      expect(g.vcpu.register(4)).toBe(top - 24n);
      expect(g.vcpu.u64("ICOUNT")).toBe(1n + 999n * 9n + 7n);
      expect(g.engine.regions.stats.regions > 0).toBe(options === compiled);
    },
  );
}

test("what is hot waits for more of that, but not where a loop is all that runs", () => {
  const regionsAfter = (runs: number, instructions: bigint): number[] => {
    // inc eax; jmp -4
    const g = guest(hex("ff c0 eb fc"), compiled);
    return Array.from({ length: runs }, (_, n) => {
      expect(g.run(instructions * BigInt(n + 1))).toEqual({ reason: "budget" });
      return g.engine.regions.stats.regions;
    });
  };
  expect(regionsAfter(3, 200_000n)).toEqual([0, 0, 1]);
  expect(regionsAfter(5, 1000n)).toEqual([0, 0, 0, 0, 1]);
});

test("blocks of a loop become hot together, and get one region", () => {
  // inc eax; jmp on; inc ebx; jmp on; inc ecx; jmp to the beginning
  const g = guest(hex("ff c0 eb 00 ff c3 eb 00 ff c1 eb f4"), { hotThreshold: 100 });
  for (let runs = 1n; runs <= 3n; runs++) g.run(200_000n * runs);
  expect(g.engine.regions.stats.regions).toBe(1);
  expect(g.vcpu.u64("COMPILED")).toBeGreaterThan(100_000n);
});

test("user code that is hot soon goes on while its region is awaited", () => {
  for (let hotThreshold = 1; hotThreshold < 20; hotThreshold++) {
    const g = guest(hex("ff c0 eb 00 ff c3 eb 00 ff c1 eb f4"), { hotThreshold });
    g.vcpu.setU32("CPL", 3);
    g.engine.runtime.update_mode(g.vcpu.vp);
    for (let runs = 1n; runs <= 4n; runs++) g.run(1000n * runs);
    expect(g.vcpu.u64("ICOUNT")).toBe(4000n);
  }
});

test("a vCPU in the place of another one has generations of its own", () => {
  const { engine, vcpu } = guest(hex("0f 0b"));
  const generations = (of: typeof vcpu): number[] => [of.u32("ASID"), of.u32("GLOBAL_ASID")];
  const [asid, global] = generations(vcpu);
  engine.removeVcpu(vcpu);
  const next = engine.createVcpu(0, vcpu.u32("SPACE"));
  expect(next.vp).toBe(vcpu.vp);
  const [nextAsid, nextGlobal] = generations(next);
  expect(nextAsid).toBeGreaterThan(asid);
  expect(nextGlobal).toBeGreaterThan(global);
  // Odd ones are of a context, even ones of all.
  expect([nextAsid & 1, nextGlobal & 1]).toEqual([1, 0]);
});

test("code that was changed a few times is compiled as soon as before", () => {
  const g = guest(hex("b8 01000000 0f 0b"), compiled); // mov eax, 1; ud2
  for (let changes = 0; changes < 8; changes++) {
    g.memory.write(gpa(codeBase + 1), Uint8Array.of(changes));
    for (let runs = 0; runs < 12; runs++) {
      g.vcpu.setU64("RIP", BigInt(codeBase));
      g.run();
    }
    expect(g.engine.regions.stats.regions).toBe(changes + 1);
  }
});

test("compiled code goes on in other regions without the interpreter, and ends with its budget and its events", () => {
  const g = guest(
    hex(`
      b9 a0860100             ; mov ecx, 100000
      ff d6                   ; call rsi
      01 c3                   ; add ebx, eax
      ff c9                   ; dec ecx
      75 f8                   ; jnz to the call
      0f 0b                   ; ud2
    `),
    { ...compiled, passes: passesWithout("calls", "indirect", "cross-page") },
  );
  g.memory.write(gpa(dataBase), hex("89 c8 c3")); // mov eax, ecx; ret
  g.vcpu.setRegister(6, BigInt(dataBase));
  for (let icount = 1000n; icount <= 10_000n; icount += 1000n) g.run(icount);
  const entries = g.vcpu.u64("REGION_ENTRIES");
  expect(g.run(300_000n)).toEqual({ reason: "budget" });
  expect(g.vcpu.u64("ICOUNT")).toBe(300_000n);
  expect(g.vcpu.u64("REGION_ENTRIES") - entries).toBeLessThan(100n);
  g.vcpu.raiseEvent(Event.host);
  expect(g.run()).toEqual({ reason: "budget" });
  expect(g.vcpu.u64("ICOUNT")).toBe(300_000n);
  expect(g.run()).toMatchObject({ reason: "fault", vector: 6 });
  expect(g.vcpu.register(3)).toBe(BigInt.asUintN(32, (100_000n * 100_001n) / 2n));
  expect(g.vcpu.u64("COMPILED") * 100n).toBeGreaterThan(g.vcpu.u64("ICOUNT") * 99n);
});

test("compiled code that changes is not gone on in", () => {
  // The caller and each version of the function are regions of their own, which know of each other by address alone.
  const g = guest(
    hex(`
      b9 e8030000             ; mov ecx, 1000
      ff d6                   ; call rsi
      01 c3                   ; add ebx, eax
      ff c9                   ; dec ecx
      75 f8                   ; jnz to the call
      0f 0b                   ; ud2
    `),
    { ...compiled, passes: passesWithout("calls", "indirect", "cross-page") },
  );
  g.vcpu.setRegister(6, BigInt(dataBase));
  for (let n = 1; n <= 5; n++) {
    g.memory.write(gpa(dataBase), hex(`b8 0${n}000000 c3`)); // mov eax, n; ret
    g.vcpu.setU64("RIP", BigInt(codeBase));
    g.vcpu.setRegister(3, 0n);
    while (g.run(g.vcpu.u64("ICOUNT") + 500n).reason === "budget") {}
    expect(g.vcpu.register(3)).toBe(BigInt(1000 * n));
  }
});

test("a missing instruction raises #UD and is reported by name", () => {
  const g = guest(hex("0f 01 c8")); // monitor
  expect(g.run()).toMatchObject({ reason: "fault", vector: 6 });
});

test("an interrupt never comes between STI and HLT, wherever budgets end", () => {
  const code = hex(`
    fb                      ; sti
    f4                      ; hlt
    0f 0b                   ; ud2
  `);
  for (let budget = 1n; budget <= 3n; budget++) {
    // Comes before STI, and waits for IF.
    let pending = true;
    const takenAt: bigint[] = [];
    const g = guest(code, {
      ...interpreted,
      host: {
        interruptPending: () => pending,
        acknowledgeInterrupt: () => {
          takenAt.push(g.vcpu.u64("RIP"));
          pending = false;
          return -1;
        },
      },
    });
    g.vcpu.raiseEvent(Event.interrupt);
    for (let round = 0; round < 4; round++) g.run(g.vcpu.u64("ICOUNT") + budget);
    expect(takenAt).toEqual([BigInt(codeBase + 2)]);
  }
});

test("a budget of more than compiled code has at a time retires exactly", () => {
  const g = guest(hex("48 ff c0 eb fb"), compiled); // inc rax; jmp -5
  // Until the loop is compiled.
  for (let icount = 100n; icount <= 1000n; icount += 100n) g.run(icount);
  const icount = 2n ** 24n + 12_345n;
  expect(g.run(1000n + icount)).toEqual({ reason: "budget" });
  expect(g.vcpu.u64("ICOUNT")).toBe(1000n + icount);
  expect(g.vcpu.register(0)).toBe((1000n + icount + 1n) / 2n);
});
