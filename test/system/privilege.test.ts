/** What privilege, modes and control registers allow, in a little world (world.ts) whose handlers halt. */
import { beforeEach, describe, expect, test } from "vitest";
import { ioBitmap, kernelCode, selector, userCode, userData, World } from "./world.ts";

let w: World;
beforeEach(() => {
  w = new World();
});
const cr4 = (bits: bigint): void => w.vcpu.setU64("CR4", w.vcpu.u64("CR4") | bits);
const ZF = 0x40;

describe("user code may not", () => {
  const forbidden: readonly (readonly [name: string, code: string])[] = [
    ["HLT", /* hlt */ "f4"],
    ["MOV to CR3", /* mov %rax, %cr3 */ "0f 22 d8"],
    ["MOV from CR0", /* mov %cr0, %rax */ "0f 20 c0"],
    ["MOV to DR7", /* mov %rax, %dr7 */ "0f 23 f8"],
    ["RDMSR", /* rdmsr */ "0f 32"],
    ["WRMSR", /* wrmsr */ "0f 30"],
    ["LGDT", /* lgdt 0xa0000 */ "0f 01 14 25 00 00 0a 00"],
    ["LTR", /* ltr %ax */ "0f 00 d8"],
    ["SWAPGS", /* swapgs */ "0f 01 f8"],
    ["CLTS", /* clts */ "0f 06"],
    ["INVLPG", /* invlpg (%rax) */ "0f 01 38"],
    ["WBINVD", /* wbinvd */ "0f 09"],
    ["CLI", /* cli */ "fa"],
    ["STI", /* sti */ "fb"],
    ["IN", /* in $0x60, %al */ "e4 60"],
    ["OUT", /* out %al, $0x80 */ "e6 80"],
    ["RDPMC", /* rdpmc */ "0f 33"],
  ];
  test.each(forbidden)("%s: #GP(0)", (_, code) => {
    const { vector, stack } = w.user(code);
    expect([vector, stack[0], stack[1]]).toEqual([13, 0, userCode]);
  });
  test("SGDT, SIDT, SLDT, STR and SMSW where CR4.UMIP is set", () => {
    const codes = [
      /* sgdt 0xa0000 */ "0f 01 04 25 00 00 0a 00",
      /* sidt 0xa0000 */ "0f 01 0c 25 00 00 0a 00",
      /* sldt %eax */ "0f 00 c0",
      /* str %eax */ "0f 00 c8",
      /* smsw %eax */ "0f 01 e0",
    ];
    for (const code of codes) expect(w.user(`${code} cc`).stack[0]).toBe(3 * 8 + 2);
    cr4(0x800n);
    for (const code of codes) expect(w.user(code).vector).toBe(13);
  });
});

describe("memory protection", () => {
  test("with SMAP the kernel reads user memory only after STAC", () => {
    cr4(0x200000n);
    const { vector, stack } = w.system(
      /* stac; mov 0xa0000, %eax; clac; mov 0xa0000, %eax */ "0f 01 cb 8b 04 25 00 00 0a 00 0f 01 ca 8b 04 25 00 00 0a 00",
    );
    expect([vector, stack[0], stack[1]]).toEqual([14, 1, kernelCode + 3 + 7 + 3]);
  });
  test("with SMEP the kernel does not run user code", () => {
    const { vector, stack } = w.system(/* mov $0x80000, %eax; jmp *%rax */ "b8 00 00 08 00 ff e0");
    expect([vector, stack[0]]).toEqual([14, 0x11]);
  });
  test("CR0.WP decides whether the kernel may write read-only pages", () => {
    expect(w.system(/* mov %al, 0x1fe000; hlt */ "88 04 25 00 e0 1f 00 f4").stack[0]).toBe(3);
    w.vcpu.setU64("CR0", 0x80040033n);
    w.vcpu.setU32("HALTED", 0);
    expect(
      w.system(/* mov %cr0, %rax; mov %rax, %cr0; mov %al, 0x1fe000; hlt */ "0f 20 c0 0f 22 c0 88 04 25 00 e0 1f 00 f4")
        .rip,
    ).toBe(kernelCode + 14);
  });
  test("INVLPG and a write of CR3 make a changed page-table entry seen", () => {
    w.writeWords(0xb0000, 0x1111);
    w.writeWords(0xb1000, 0x2222);
    // The entry of 0xa0000 is at 0x4000 + 0xa0 * 8.
    w.map(0xa0000, 0xb0003);
    w.system(
      /* mov 0xa0000, %ebx; movl $0xb1003, 0x4500; mov 0xa0000, %ecx; invlpg 0xa0000; mov 0xa0000, %edx; hlt */ "8b 1c 25 00 00 0a 00 c7 04 25 00 45 00 00 03 10 0b 00 8b 0c 25 00 00 0a 00 0f 01 3c 25 00 00 0a 00 8b 14 25 00 00 0a 00 f4",
    );
    expect([w.vcpu.register(3), w.vcpu.register(2)]).toEqual([0x1111n, 0x2222n]);
    w.system(
      /* movl $0xb0003, 0x4500; mov %cr3, %rax; mov %rax, %cr3; mov 0xa0000, %edx; hlt */ "c7 04 25 00 45 00 00 03 00 0b 00 0f 20 d8 0f 22 d8 8b 14 25 00 00 0a 00 f4",
    );
    expect(w.vcpu.register(2)).toBe(0x1111n);
  });
  test("a global page outlives a write of CR3, not a change of CR4.PGE", () => {
    w.writeWords(0xb0000, 0x1111);
    w.writeWords(0xb1000, 0x2222);
    w.map(0xa0000, 0xb0103);
    cr4(0x80n);
    w.system(
      /* mov 0xa0000, %ebx; movl $0xb1003, 0x4500; mov %cr3, %rax; mov %rax, %cr3; mov 0xa0000, %ecx; hlt */ "8b 1c 25 00 00 0a 00 c7 04 25 00 45 00 00 03 10 0b 00 0f 20 d8 0f 22 d8 8b 0c 25 00 00 0a 00 f4",
    );
    expect([w.vcpu.register(3), w.vcpu.register(1)]).toEqual([0x1111n, 0x1111n]);
    w.system(
      /* mov %cr4, %rax; btr $7, %eax; mov %rax, %cr4; mov 0xa0000, %ecx; hlt */ "0f 20 e0 0f ba f0 07 0f 22 e0 8b 0c 25 00 00 0a 00 f4",
    );
    expect(w.vcpu.register(1)).toBe(0x2222n);
  });
  test("with PCIDs a context keeps where its code lies, until it is flushed or INVPCID says so", () => {
    const movEaxAndReturn = (value: number): Uint8Array => Uint8Array.of(0xb8, value, 0, 0, 0, 0xc3);
    w.write(0x61000, movEaxAndReturn(1));
    w.write(0x62000, movEaxAndReturn(2));
    const enter = (pcid: number, flush: boolean): void => {
      const high = flush ? "00" : "80";
      w.system(/* movabs $CR3, %rax; mov %rax, %cr3; hlt */ `48 b8 0${pcid} 10 00 00 00 00 00 ${high} 0f 22 d8 f4`);
    };
    const call = (): bigint => {
      w.system(/* mov $0x60000, %eax; call *%rax; hlt */ "b8 00 00 06 00 ff d0 f4");
      return w.vcpu.register(0);
    };
    /** Maps the page to another frame in context 2, and calls again what `back` leads to. */
    const changeWhileAway = (frame: number, back: () => void): bigint => {
      enter(2, true);
      w.map(0x60000, frame | 3);
      back();
      return call();
    };
    cr4(0x20000n);
    enter(1, true);
    w.map(0x60000, 0x61003);
    expect(call()).toBe(1n);
    expect(changeWhileAway(0x62000, () => enter(1, false))).toBe(1n);
    expect(changeWhileAway(0x62000, () => enter(1, true))).toBe(2n);
    const invpcid = (): void => {
      w.writeWords(0x64000, 1, 0x60000);
      w.system(/* mov $1, %eax; invpcid 0x64000, %rax; hlt */ "b8 01 00 00 00 66 0f 38 82 04 25 00 40 06 00 f4");
      enter(1, false);
    };
    expect(changeWhileAway(0x61000, invpcid)).toBe(1n);
    const invlpg = (): void => {
      enter(1, false);
      w.system(/* invlpg 0x60000; hlt */ "0f 01 3c 25 00 00 06 00 f4");
    };
    expect(changeWhileAway(0x62000, invlpg)).toBe(2n);
  });
  test("accessed and dirty bits are set as pages are used", () => {
    w.system(/* mov 0xa0000, %eax; mov %eax, 0xa1000; hlt */ "8b 04 25 00 00 0a 00 89 04 25 00 10 0a 00 f4");
    expect([w.word(0x4500) & 0x60n, w.word(0x4508) & 0x60n]).toEqual([0x20n, 0x60n]);
  });
});

describe("control registers", () => {
  const faults: readonly (readonly [name: string, code: string])[] = [
    ["CR0.PG without PE", /* mov $0x80000010, %eax; mov %rax, %cr0 */ "b8 10 00 00 80 0f 22 c0"],
    ["CR0.NW without CD", /* mov $0xa0050033, %eax; mov %rax, %cr0 */ "b8 33 00 05 a0 0f 22 c0"],
    ["paging off in 64-bit code", /* mov $0x33, %eax; mov %rax, %cr0 */ "b8 33 00 00 00 0f 22 c0"],
    ["a bit of CR4 that is not there", /* mov $0x101620, %eax; mov %rax, %cr4 */ "b8 20 16 10 00 0f 22 e0"],
    ["CR4.PAE off in long mode", /* mov $0x100600, %eax; mov %rax, %cr4 */ "b8 00 06 10 00 0f 22 e0"],
    ["CR3 beyond 40 bits", /* mov $1, %eax; shl $40, %rax; mov %rax, %cr3 */ "b8 01 00 00 00 48 c1 e0 28 0f 22 d8"],
    [
      "CR3 bit 63 without PCIDs",
      /* mov %cr3, %rax; bts $63, %rax; mov %rax, %cr3 */ "0f 20 d8 48 0f ba e8 3f 0f 22 d8",
    ],
    ["CR8 above 15", /* mov $16, %eax; mov %rax, %cr8 */ "b8 10 00 00 00 44 0f 22 c0"],
    [
      "an EFER bit that is not there",
      /* mov $0xc0000080, %ecx; mov $0x8d01, %eax; xor %edx, %edx; wrmsr */ "b9 80 00 00 c0 b8 01 8d 00 00 31 d2 0f 30",
    ],
    [
      "EFER.LME off under paging",
      /* mov $0xc0000080, %ecx; mov $0xc01, %eax; xor %edx, %edx; wrmsr */ "b9 80 00 00 c0 b8 01 0c 00 00 31 d2 0f 30",
    ],
    [
      "a base that is not canonical",
      /* mov $0xc0000101, %ecx; mov $0x8000, %edx; wrmsr */ "b9 01 01 00 c0 ba 00 80 00 00 0f 30",
    ],
    [
      "a memory type that is not there",
      /* mov $0x277, %ecx; mov $2, %eax; xor %edx, %edx; wrmsr */ "b9 77 02 00 00 b8 02 00 00 00 31 d2 0f 30",
    ],
    ["an MSR that is not there", /* mov $0x12345, %ecx; rdmsr */ "b9 45 23 01 00 0f 32"],
    ["DR7's upper half", /* mov $1, %eax; shl $32, %rax; mov %rax, %dr7 */ "b8 01 00 00 00 48 c1 e0 20 0f 23 f8"],
    [
      "XCR0 without x87",
      /* mov %cr4, %rax; bts $18, %eax; mov %rax, %cr4; xor %ecx, %ecx; xor %edx, %edx; mov $2, %eax; xsetbv */ "0f 20 e0 0f ba e8 12 0f 22 e0 31 c9 31 d2 b8 02 00 00 00 0f 01 d1",
    ],
    ["LTR of a busy TSS", /* mov $0x30, %eax; ltr %ax */ "b8 30 00 00 00 0f 00 d8"],
  ];
  test.each(faults)("%s: #GP", (_, code) => {
    expect(w.system(code).vector).toBe(13);
  });
  test("DR4 stands for DR6 until CR4.DE is set, then it is #UD", () => {
    w.system(/* mov %dr4, %rax; hlt */ "0f 21 e0 f4");
    expect(w.vcpu.register(0)).toBe(0xffff0ff0n);
    cr4(8n);
    expect(w.system(/* mov %dr4, %rax */ "0f 21 e0").vector).toBe(6);
  });
  test("CR0.TS makes x87 raise #NM, and FXSAVE with it", () => {
    expect(
      w.system(
        /* mov %cr0, %rax; or $8, %eax; mov %rax, %cr0; fxsave 0x40000 */ "0f 20 c0 83 c8 08 0f 22 c0 0f ae 04 25 00 00 04 00",
      ).vector,
    ).toBe(7);
  });
  test("MSRs that are fields keep what is written", () => {
    w.system(
      /* mov $0xc0000102, %ecx; mov $0x12345678, %eax; mov $0xffff8000, %edx; wrmsr; xor %eax, %eax; rdmsr; hlt */ "b9 02 01 00 c0 b8 78 56 34 12 ba 00 80 ff ff 0f 30 31 c0 0f 32 f4",
    );
    expect(w.vcpu.u64("KERNEL_GS_BASE")).toBe(0xffff800012345678n);
    expect([w.vcpu.register(0), w.vcpu.register(2)]).toEqual([0x12345678n, 0xffff8000n]);
  });
  test("a write of the TSC moves it, and TSC_ADJUST tells by how much", () => {
    w.system(
      /* mov $0x10, %ecx; mov $2, %eax; mov $2, %edx; wrmsr; rdtsc; mov %eax, %ebx; mov %edx, %edi; mov $0x3b, %ecx; rdmsr; hlt */ "b9 10 00 00 00 b8 02 00 00 00 ba 02 00 00 00 0f 30 0f 31 89 c3 89 d7 b9 3b 00 00 00 0f 32 f4",
    );
    expect([w.vcpu.register(3), w.vcpu.register(7)]).toEqual([2n, 2n]);
    expect([w.vcpu.register(0), w.vcpu.register(2)]).toEqual([0n, 1n]);
  });
});

describe("segments", () => {
  test("a load of a segment that is not there is #NP, of one of ring 0 by user code #GP, each with its selector", () => {
    expect(w.user(/* mov $0x53, %eax; mov %eax, %ds */ "b8 53 00 00 00 8e d8")).toMatchObject({
      vector: 11,
      stack: { 0: 0x50 },
    });
    expect(w.user(/* mov $0x58, %eax; mov %eax, %ds */ "b8 58 00 00 00 8e d8")).toMatchObject({
      vector: 13,
      stack: { 0: 0x58 },
    });
    expect(w.user(/* mov $0xfff0, %eax; mov %eax, %gs */ "b8 f0 ff 00 00 8e e8")).toMatchObject({
      vector: 13,
      stack: { 0: 0xfff0 },
    });
  });
  test("a load marks the descriptor as accessed", () => {
    w.system(/* mov $0x58, %eax; mov %eax, %es; hlt */ "b8 58 00 00 00 8e c0 f4");
    expect((w.word(0x5058) >> 40n) & 0xffn).toBe(0x93n);
  });
  test("a null selector in FS clears its base", () => {
    w.vcpu.setU64("SEG_BASE", 0x1234n, 4);
    w.system(/* xor %eax, %eax; mov %eax, %fs; hlt */ "31 c0 8e e0 f4");
    expect(w.vcpu.u64("SEG_BASE", 4)).toBe(0n);
  });
  test("SS may be null in ring 0 of 64-bit code only", () => {
    expect(w.system(/* xor %eax, %eax; mov %eax, %ss; hlt */ "31 c0 8e d0 f4").rip).toBe(kernelCode + 5);
    expect(w.user(/* xor %eax, %eax; mov %eax, %ss */ "31 c0 8e d0").vector).toBe(13);
  });
  test("MOV to CS is #UD", () => {
    expect(w.system("8e c8").vector).toBe(6);
  });
  test("LTR makes the TSS busy", () => {
    w.writeWords(0x5030, 0x0000_8900_7000_2067n, 0n);
    w.system(/* mov $0x30, %eax; ltr %ax; hlt */ "b8 30 00 00 00 0f 00 d8 f4");
    expect((w.word(0x5030) >> 40n) & 0xffn).toBe(0x8bn);
  });
  test("LAR, LSL, VERR and VERW tell by ZF what may be seen", () => {
    w.system(
      /* mov $0x10, %ecx; lar %ecx, %eax; lsl %ecx, %ebx; pushfq; pop %rdx; hlt */ "b9 10 00 00 00 0f 02 c1 0f 03 d9 9c 5a f4",
    );
    expect([w.vcpu.register(0), w.vcpu.register(3), Number(w.vcpu.register(2)) & ZF]).toEqual([
      0xcf9300n,
      0xffffffffn,
      ZF,
    ]);
    w.gate(3, { dpl: 3 });
    w.user(/* mov $0x10, %ecx; mov $7, %eax; lar %ecx, %eax; int3 */ "b9 10 00 00 00 b8 07 00 00 00 0f 02 c1 cc");
    expect([w.vcpu.register(0), w.vcpu.u64("CC_A") & 0x40n]).toEqual([7n, 0n]);
    expect(w.user(/* mov $0x23, %ecx; verw %cx; int3 */ "b9 23 00 00 00 0f 00 e9 cc").stack[2] & ZF).toBe(ZF);
    expect(w.user(/* mov $0x2b, %ecx; verw %cx; int3 */ "b9 2b 00 00 00 0f 00 e9 cc").stack[2] & ZF).toBe(0);
    expect(w.user(/* mov $0x2b, %ecx; verr %cx; int3 */ "b9 2b 00 00 00 0f 00 e1 cc").stack[2] & ZF).toBe(ZF);
    expect(w.user(/* mov $0xfff3, %ecx; verr %cx; int3 */ "b9 f3 ff 00 00 0f 00 e1 cc").stack[2] & ZF).toBe(0);
  });
  test("RDFSBASE and WRFSBASE need CR4.FSGSBASE", () => {
    expect(w.user(/* rdfsbase %rax */ "f3 48 0f ae c0").vector).toBe(6);
    cr4(0x10000n);
    w.gate(3, { dpl: 3 });
    w.user(
      /* mov $0xa0000, %eax; wrfsbase %rax; mov $7, %ebx; mov %ebx, %fs:8; rdfsbase %rcx; int3 */ "b8 00 00 0a 00 f3 48 0f ae d0 bb 07 00 00 00 64 89 1c 25 08 00 00 00 f3 48 0f ae c1 cc",
    );
    expect([w.word(userData + 8) & 0xffffffffn, w.vcpu.register(1)]).toEqual([7n, BigInt(userData)]);
    expect(
      w.user(/* movabs $0x800000000000, %rax; wrgsbase %rax */ "48 b8 00 00 00 00 00 80 00 00 f3 48 0f ae d8").vector,
    ).toBe(13);
  });
  test("32-bit code adds segment bases, modulo 4 GiB", () => {
    w.gate(3, { dpl: 3 });
    w.vcpu.setU64("SEG_BASE", 0xa0008n, 5);
    w.writeWords(userData, 0x55);
    w.user32(/* mov %gs:-8, %eax; int3 */ "65 a1 f8 ff ff ff cc");
    expect(w.vcpu.register(0)).toBe(0x55n);
  });
  test("SGDT gives ten bytes", () => {
    w.system(/* sgdt 0x40000; hlt */ "0f 01 04 25 00 00 04 00 f4");
    expect([w.word(0x40000) & 0xffffn, (w.word(0x40000) >> 16n) | ((w.word(0x40008) & 0xffffn) << 48n)]).toEqual([
      0x5fn,
      0x5000n,
    ]);
  });
});

describe("ports", () => {
  test("the TSS's bitmap opens single ports to user code", () => {
    w.gate(3, { dpl: 3 });
    w.write(ioBitmap + (0x60 >> 3), Uint8Array.of(0xfe));
    w.user(/* in $0x60, %al; int3 */ "e4 60 cc");
    expect([w.ports, w.vcpu.register(0)]).toEqual([["in 60 1"], 0x78n]);
    expect(w.user(/* in $0x60, %ax */ "66 e5 60").vector).toBe(13);
  });
  test("IOPL 3 opens all", () => {
    w.gate(3, { dpl: 3 });
    w.vcpu.setU64("EFLAGS", 0x3002n);
    w.user(
      /* mov $0x3f8, %edx; mov $0x1234567, %eax; out %eax, (%dx); in (%dx), %eax; int3 */ "ba f8 03 00 00 b8 67 45 23 01 ef ed cc",
    );
    expect([w.ports, w.vcpu.register(0)]).toEqual([["out 3f8 4 1234567", "in 3f8 4"], 0x12345678n]);
  });
  test("REP OUTSB sends memory, REP INSW fills it", () => {
    w.writeWords(userData, 0x030201);
    w.system(
      /* mov $0xa0000, %esi; mov $3, %ecx; mov $0x80, %edx; rep outsb; mov $0xa0100, %edi; mov $2, %ecx; rep insw; hlt */ "be 00 00 0a 00 b9 03 00 00 00 ba 80 00 00 00 f3 6e bf 00 01 0a 00 b9 02 00 00 00 66 f3 6d f4",
    );
    expect(w.ports).toEqual(["out 80 1 1", "out 80 1 2", "out 80 1 3", "in 80 2", "in 80 2"]);
    expect([w.word(userData + 0x100), w.vcpu.register(7), w.vcpu.register(1)]).toEqual([0x56785678n, 0xa0104n, 0n]);
  });
});

describe("extended state", () => {
  beforeEach(() => {
    cr4(0x40000n);
    w.vcpu.setU64("XCR0", 3n);
  });
  test("XSAVE and XRSTOR carry XMM registers and MXCSR; what is not in use becomes initial", () => {
    w.vcpu.setU64("XMM", 0x1111n, 0);
    w.vcpu.setU64("XMM", 0x2222n, 31);
    w.vcpu.setU32("MXCSR", 0x1fa0);
    w.system(/* mov $3, %eax; xor %edx, %edx; xsave 0x40000; hlt */ "b8 03 00 00 00 31 d2 0f ae 24 25 00 00 04 00 f4");
    expect(w.word(0x40200)).toBe(3n);
    w.vcpu.setU64("XMM", 0n, 31);
    w.vcpu.setU32("MXCSR", 0x1f80);
    w.system(/* mov $3, %eax; xor %edx, %edx; xrstor 0x40000; hlt */ "b8 03 00 00 00 31 d2 0f ae 2c 25 00 00 04 00 f4");
    expect([w.vcpu.u64("XMM", 0), w.vcpu.u64("XMM", 31), w.vcpu.u32("MXCSR")]).toEqual([0x1111n, 0x2222n, 0x1fa0]);
    w.writeWords(0x40200, 1);
    w.system(/* mov $3, %eax; xor %edx, %edx; xrstor 0x40000; hlt */ "b8 03 00 00 00 31 d2 0f ae 2c 25 00 00 04 00 f4");
    expect(w.vcpu.u64("XMM", 31)).toBe(0n);
  });
  test("XRSTOR of a header with a bit too many is #GP, and so is one that is not aligned", () => {
    w.writeWords(0x40200, 4, 0, 0);
    expect(w.system(/* mov $3, %eax; xrstor 0x40000 */ "b8 03 00 00 00 0f ae 2c 25 00 00 04 00").vector).toBe(13);
    w.writeWords(0x40200, 3, 1, 0);
    expect(w.system(/* mov $3, %eax; xrstor 0x40000 */ "b8 03 00 00 00 0f ae 2c 25 00 00 04 00").vector).toBe(13);
    expect(w.system(/* mov $3, %eax; xrstor 0x40020 */ "b8 03 00 00 00 0f ae 2c 25 20 00 04 00").vector).toBe(13);
  });
  test("FXSAVE's image crosses pages; one that ends in an absent page faults", () => {
    w.vcpu.setU64("XMM", 0x77n, 2);
    expect(w.system(/* fxsave 0x40f40; hlt */ "0f ae 04 25 40 0f 04 00 f4").exit).toBe("halt");
    expect(w.word(0x40f40 + 176)).toBe(0x77n);
    expect(w.system(/* fxsave 0x1fcf40 */ "0f ae 04 25 40 cf 1f 00").vector).toBe(14);
  });
  test("LDMXCSR with a reserved bit is #GP", () => {
    w.writeWords(0x40000, 0x10000);
    expect(w.system(/* ldmxcsr 0x40000 */ "0f ae 14 25 00 00 04 00").vector).toBe(13);
  });
});

describe("identity and randomness", () => {
  test("CPUID clears the upper halves", () => {
    w.vcpu.setRegister(3, -1n & 0xffffffffffffffffn);
    w.system(/* mov $7, %eax; cpuid; hlt */ "b8 07 00 00 00 0f a2 f4");
    expect([0, 3, 1, 2].map((n) => w.vcpu.register(n))).toEqual([7n, 2n, 3n, 4n]);
  });
  test("RDRAND sets CF and clears the other flags", () => {
    w.gate(3, { dpl: 3 });
    const { stack } = w.user(/* xor %eax, %eax; rdrand %rax; int3 */ "31 c0 48 0f c7 f0 cc");
    expect([w.vcpu.register(0), stack[2]]).toEqual([0x1122334455667788n, 3]);
  });
  test("a hypercall is not known", () => {
    w.system(/* vmmcall; hlt */ "0f 01 d9 f4");
    expect(BigInt.asIntN(64, w.vcpu.register(0))).toBe(-1000n);
  });
  test("a segment load in the middle of a data selector keeps its RPL", () => {
    w.gate(3, { dpl: 3 });
    w.user(/* mov $0x23, %eax; mov %eax, %es; mov %es, %ecx; int3 */ "b8 23 00 00 00 8e c0 8c c1 cc");
    expect(w.vcpu.register(1)).toBe(BigInt(selector.userData));
  });
});
