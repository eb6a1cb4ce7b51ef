/** Exceptions, interrupts and returns from them, in a little world (world.ts) whose handlers halt. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  kernelCode,
  noExecute,
  notPresent,
  ring0Stack,
  selector,
  stack1,
  userCode,
  userData,
  userStack,
  World,
} from "./world.ts";

let w: World;
beforeEach(() => {
  w = new World();
});
const userFrame = (rip: number, flags = 0x10002) => [rip, selector.user64, flags, userStack, selector.userData];

describe("exceptions", () => {
  test("#UD in user code enters ring 0 on the stack of the TSS, and reports the instruction itself with RF", () => {
    const { vector, cpl, stack } = w.user(/* nop; ud2 */ "90 0f 0b");
    expect([vector, cpl]).toEqual([6, 0]);
    expect(stack.slice(0, 5)).toEqual(userFrame(userCode + 1));
    expect(Number(w.vcpu.register(4))).toBe(ring0Stack - 40);
    expect([w.vcpu.u32("SEG_SELECTOR", 1), w.vcpu.u32("SEG_SELECTOR", 2)]).toEqual([selector.code, 0]);
  });
  test("a page fault has its error code on the stack and its address in CR2", () => {
    const { vector, stack } = w.user(/* mov %eax, 0x1fd123 */ "89 04 25 23 d1 1f 00");
    expect([vector, stack[0], stack[1]]).toEqual([14, 6, userCode]);
    expect(w.vcpu.u64("CR2")).toBe(BigInt(notPresent + 0x123));
  });
  test("the error code of a page fault says present, write, user, fetch", () => {
    expect(w.user(/* mov 0x1fd000, %eax */ "8b 04 25 00 d0 1f 00").stack[0]).toBe(4);
    expect(w.user(/* mov %al, 0x1fe000 */ "88 04 25 00 e0 1f 00").stack[0]).toBe(7);
    expect(w.user(/* mov 0x30000, %eax */ "8b 04 25 00 00 03 00").stack[0]).toBe(5);
    expect(w.user(/* mov $0x1ff000, %eax; jmp *%rax */ "b8 00 f0 1f 00 ff e0").stack[0]).toBe(0x15);
    expect(Number(w.vcpu.u64("CR2"))).toBe(noExecute);
  });
  test("an access that crosses into an absent page faults there", () => {
    expect(w.user(/* mov 0x1fcffe, %eax */ "8b 04 25 fe cf 1f 00").vector).toBe(14);
    expect(Number(w.vcpu.u64("CR2"))).toBe(notPresent);
  });
  test("an address that is not canonical is #GP", () => {
    expect(
      w.user(/* movabs $0x800000000000, %rax; mov (%rax), %eax */ "48 b8 00 00 00 00 00 80 00 00 8b 00").vector,
    ).toBe(13);
  });
  test("division by zero is a fault, with registers as they were", () => {
    const { vector, stack } = w.user(/* mov $7, %eax; xor %ecx, %ecx; div %ecx */ "b8 07 00 00 00 31 c9 f7 f1");
    expect([vector, stack[0]]).toEqual([0, userCode + 7]);
    expect(w.vcpu.register(0)).toBe(7n);
  });
  test("in ring 0 the stack goes on, aligned to 16 bytes", () => {
    const { vector, stack } = w.system(/* mov $0x1f00b, %esp; ud2 */ "bc 0b f0 01 00 0f 0b");
    expect([vector, Number(w.vcpu.register(4))]).toEqual([6, 0x1f000 - 40]);
    expect(stack.slice(0, 5)).toEqual([kernelCode + 5, selector.code, 0x10002, 0x1f00b, selector.data]);
  });
  test("an interrupt stack is used whatever the privilege", () => {
    w.gate(6, { ist: 1 });
    w.system(/* ud2 */ "0f 0b");
    expect(Number(w.vcpu.register(4))).toBe(stack1 - 40);
  });
  test("an interrupt gate clears IF, a trap gate does not", () => {
    w.gate(6, { type: 15 });
    w.system(/* sti; ud2 */ "fb 0f 0b");
    expect(w.vcpu.u64("EFLAGS") & 0x200n).toBe(0x200n);
    w.gate(6);
    w.system(/* sti; ud2 */ "fb 0f 0b");
    expect(w.vcpu.u64("EFLAGS") & 0x200n).toBe(0n);
  });
  test("a page fault on the way to the handler of another contributory exception is a double fault", () => {
    w.gate(14, { present: false });
    w.gate(8, { ist: 1 });
    const { vector, stack } = w.user(/* mov 0x1fd000, %eax */ "8b 04 25 00 d0 1f 00");
    expect([vector, stack[0], stack[1]]).toEqual([8, 0, userCode]);
  });
  test("#UD whose handler is absent becomes #NP with the gate's number", () => {
    w.gate(6, { present: false });
    const { vector, stack } = w.user(/* ud2 */ "0f 0b");
    expect([vector, stack[0]]).toEqual([11, 6 * 8 + 3]);
  });
  test("a third fault shuts the processor down", () => {
    w.gate(13, { present: false });
    w.gate(8, { present: false });
    expect(w.user(/* hlt */ "f4").exit).toBe("shutdown");
  });
});

describe("interrupts by instruction", () => {
  test("INT needs the gate's privilege", () => {
    const { vector, stack } = w.user(/* int $0x80 */ "cd 80");
    expect([vector, stack[0], stack[1]]).toEqual([13, 0x80 * 8 + 2, userCode]);
  });
  test("INT reports the next instruction", () => {
    w.gate(0x80, { dpl: 3 });
    const { vector, stack } = w.user(/* int $0x80 */ "cd 80");
    expect([vector, ...stack.slice(0, 5)]).toEqual([0x80, ...userFrame(userCode + 2, 2)]);
  });
  test("INT3 is a trap", () => {
    w.gate(3, { dpl: 3 });
    expect(w.user(/* int3 */ "cc").stack[0]).toBe(userCode + 1);
  });
});

describe("external interrupts", () => {
  test("wait for IF, and come one instruction after STI", () => {
    w.interrupt(0x40);
    const { vector, stack } = w.system(/* nop; nop; sti; inc %eax; inc %eax; hlt */ "90 90 fb ff c0 ff c0 f4");
    expect([vector, stack[0]]).toEqual([0x40, kernelCode + 5]);
  });
  test("come when POPF turns IF on", () => {
    w.interrupt(0x41);
    const { vector, stack } = w.system(/* push $0x202; popfq; nop; hlt */ "68 02 02 00 00 9d 90 f4");
    expect([vector, stack[0]]).toEqual([0x41, kernelCode + 6]);
  });
  test("come when IRET turns IF on", () => {
    w.interrupt(0x42);
    const { vector, stack } = w.system(
      /* push $0x23; push $0x90000; push $0x202; push $0x2b; push $0x80000; iretq */ "6a 23 68 00 00 09 00 68 02 02 00 00 6a 2b 68 00 00 08 00 48 cf",
    );
    expect([vector, ...stack.slice(0, 5)]).toEqual([0x42, ...userFrame(userCode, 0x202)]);
  });
  test("end HLT", () => {
    w.vcpu.setU64("EFLAGS", 0x202n);
    expect(w.system(/* hlt; nop */ "f4 90").exit).toBe("halt");
    w.interrupt(0x43);
    const { vector, stack } = w.go();
    expect([vector, stack[0]]).toEqual([0x43, kernelCode + 1]);
  });
});

describe("single step", () => {
  test("each instruction after the one that set TF ends in #DB, with BS in DR6", () => {
    w.gate(1, { dpl: 0 });
    const { vector, stack } = w.system(/* push $0x102; popfq; nop; nop; hlt */ "68 02 01 00 00 9d 90 90 f4");
    expect([vector, stack[0]]).toEqual([1, kernelCode + 7]);
    expect(stack[2] & 0x100).toBe(0x100);
    expect(w.vcpu.u64("DR", 6) & 0x4000n).toBe(0x4000n);
    expect(w.vcpu.u64("EFLAGS") & 0x100n).toBe(0n);
  });
  test("it goes on over MOV SS to the end of the next instruction", () => {
    w.gate(1, { dpl: 0 });
    const { vector, stack } = w.system(
      /* push $0x102; popfq; mov %eax, %ss; nop; nop */ "68 02 01 00 00 9d 8e d0 90 90",
    );
    expect([vector, stack[0]]).toEqual([1, kernelCode + 9]);
  });
});

describe("debug registers", () => {
  const ends = 0x15000;
  /** The handler of #DB counts in memory and returns. */
  const counting = (): void => {
    w.gate(1, { offset: 0x14100 });
    w.writeWords(ends, 0);
    w.write(0x14100, Uint8Array.of(0xff, 0x04, 0x25, 0x00, 0x50, 0x01, 0x00, 0x48, 0xcf)); // incl 0x15000; iretq
  };
  test("a breakpoint stops before its instruction, with RF in the image", () => {
    const { vector, stack } = w.system(
      /* mov $0x30010, %eax; mov %rax, %dr0; mov $0x401, %eax; mov %rax, %dr7; inc %ecx; hlt */ "b8 10 00 03 00 0f 23 c0 b8 01 04 00 00 0f 23 f8 ff c1 f4",
    );
    expect([vector, stack[0], stack[2] & 0x10000]).toEqual([1, kernelCode + 0x10, 0x10000]);
    expect(w.vcpu.u64("DR", 6)).toBe(0xffff0ff1n);
  });
  test("a return with RF goes on past it", () => {
    counting();
    const { rip } = w.system(
      /* mov $0x30011, %eax; mov %rax, %dr0; mov $0x401, %eax; mov %rax, %dr7; nop; nop; hlt */ "b8 11 00 03 00 0f 23 c0 b8 01 04 00 00 0f 23 f8 90 90 f4",
    );
    expect([rip, w.word(ends)]).toEqual([kernelCode + 0x13, 1n]);
  });
  test("a watch on writes traps after the write, and lets reads pass", () => {
    const { vector, stack } = w.system(
      /* mov $0xa0010, %eax; mov %rax, %dr1; mov $0xd00404, %eax; mov %rax, %dr7; mov 0xa0010, %ecx; mov %al, 0xa0014; mov %ax, 0xa000f; nop */ "b8 10 00 0a 00 0f 23 c8 b8 04 04 d0 00 0f 23 f8 8b 0c 25 10 00 0a 00 88 04 25 14 00 0a 00 66 89 04 25 0f 00 0a 00 90",
    );
    expect([vector, stack[0]]).toEqual([1, kernelCode + 0x10 + 7 + 7 + 8]);
    expect(w.vcpu.u64("DR", 6) & 15n).toBe(2n);
  });
  test("a watch on accesses counts each of them", () => {
    counting();
    w.system(
      /* mov $0xa0010, %eax; mov %rax, %dr1; mov $0xf00404, %eax; mov %rax, %dr7; mov 0xa0010, %ecx; mov %al, 0xa0013; incl 0xa0010; xor %eax, %eax; mov %rax, %dr7; mov %al, 0xa0010; hlt */ "b8 10 00 0a 00 0f 23 c8 b8 04 04 f0 00 0f 23 f8 8b 0c 25 10 00 0a 00 88 04 25 13 00 0a 00 ff 04 25 10 00 0a 00 31 c0 0f 23 f8 88 04 25 10 00 0a 00 f4",
    );
    expect(w.word(ends)).toBe(3n);
  });
  test("a watch that MOV SS meets traps after the next instruction, where no breakpoint stops either", () => {
    const { vector, stack } = w.system(
      /* mov $0xa0010, %eax; mov %rax, %dr1; mov $0x3001f, %eax; mov %rax, %dr0; mov $0xf00405, %eax; mov %rax, %dr7; mov 0xa0010, %ss; nop; nop */ "b8 10 00 0a 00 0f 23 c8 b8 1f 00 03 00 0f 23 c0 b8 05 04 f0 00 0f 23 f8 8e 14 25 10 00 0a 00 90 90",
    );
    expect([vector, stack[0]]).toEqual([1, kernelCode + 0x20]);
    expect(w.vcpu.u64("DR", 6) & 15n).toBe(2n);
  });
  test("a single step over INT or SYSCALL does not stop in the handler", () => {
    w.gate(0x80, { dpl: 3 });
    expect(w.user(/* push $0x102; popfq; int $0x80 */ "68 02 01 00 00 9d cd 80").vector).toBe(0x80);
    w.vcpu.setU64("STAR", (0x1bn << 48n) | (0x08n << 32n));
    w.vcpu.setU64("LSTAR", BigInt(0x14000));
    w.vcpu.setU64("SFMASK", 0x100n);
    expect(w.user(/* push $0x102; popfq; syscall */ "68 02 01 00 00 9d 0f 05").rip).toBe(0x14001);
  });
  test("a single step over a fault stops nowhere but in its handler", () => {
    const { vector, stack } = w.user(/* push $0x102; popfq; ud2 */ "68 02 01 00 00 9d 0f 0b");
    expect([vector, stack[2] & 0x100]).toEqual([6, 0x100]);
  });
});

describe("IRET", () => {
  test("with NT set is #GP", () => {
    expect(w.system(/* push $0x4002; popfq; iretq */ "68 02 40 00 00 9d 48 cf").vector).toBe(13);
  });
  test("goes to user code and takes the flags that ring 0 may change", () => {
    w.write(userCode, Uint8Array.of(0x0f, 0x0b));
    const { vector, stack } = w.system(
      /* push $0x23; push $0x90000; push $0x246ed7; push $0x2b; push $0x80000; iretq */ "6a 23 68 00 00 09 00 68 d7 6e 24 00 6a 2b 68 00 00 08 00 48 cf",
    );
    expect([vector, ...stack.slice(0, 5)]).toEqual([6, ...userFrame(userCode, 0x256ed7)]);
    // The handler starts without NT and TF, and with its own IF.
    expect(w.vcpu.u64("EFLAGS")).toBe(0x242402n);
  });
  test("goes to 32-bit user code, which comes back by INT 0x80", () => {
    w.gate(0x80, { dpl: 3 });
    w.write(userCode, Uint8Array.of(0x40, 0xcd, 0x80)); // inc %eax; int $0x80
    w.vcpu.setRegister(0, 0xffffffffn);
    const { vector, stack } = w.system(
      /* push $0x23; push $0x90000; push $2; push $0x1b; push $0x80000; iretq */ "6a 23 68 00 00 09 00 6a 02 6a 1b 68 00 00 08 00 48 cf",
    );
    expect([vector, stack[0], stack[1]]).toEqual([0x80, userCode + 3, selector.user32]);
    expect(w.vcpu.register(0)).toBe(0n);
  });
  test("to a code segment of a more inner level is #GP with its selector", () => {
    const { vector, stack } = w.user(
      /* push $0x23; push $0x90000; push $2; push $8; push $0x80000; iretq */ "6a 23 68 00 00 09 00 6a 02 6a 08 68 00 00 08 00 48 cf",
    );
    expect([vector, stack[0]]).toEqual([13, 8]);
  });
  test("to an address that is not canonical is #GP at the IRET", () => {
    const { vector, stack } = w.system(
      /* push $0x23; push $0x90000; push $2; push $0x2b; movabs $0x800000000000, %rax; push %rax; iretq */ "6a 23 68 00 00 09 00 6a 02 6a 2b 48 b8 00 00 00 00 00 80 00 00 50 48 cf",
    );
    expect([vector, stack[2]]).toEqual([13, selector.code]);
  });
  test("user code cannot turn interrupts on", () => {
    w.gate(3, { dpl: 3 });
    const { stack } = w.user(/* push $0x3202; popfq; int3 */ "68 02 32 00 00 9d cc");
    expect(stack[2]).toBe(2);
  });
});

describe("fast system calls", () => {
  test("SYSCALL and SYSRET keep the address in RCX and the flags in R11", () => {
    w.vcpu.setU64("STAR", (0x1bn << 48n) | (0x08n << 32n));
    w.vcpu.setU64("LSTAR", BigInt(kernelCode));
    w.vcpu.setU64("SFMASK", 0x400n);
    w.write(kernelCode, Uint8Array.of(0x48, 0x0f, 0x07)); // sysretq
    const { vector, stack } = w.user(/* std; syscall; ud2 */ "fd 0f 05 0f 0b");
    expect([vector, stack[0], stack[1]]).toEqual([6, userCode + 3, selector.user64]);
    expect(w.vcpu.register(1)).toBe(BigInt(userCode + 3));
    expect(w.vcpu.register(11)).toBe(0x402n);
    expect(stack[2] & 0x400).toBe(0x400);
  });
  test("SYSCALL from 32-bit code goes to CSTAR", () => {
    w.vcpu.setU64("STAR", (0x1bn << 48n) | (0x08n << 32n));
    w.vcpu.setU64("CSTAR", BigInt(0x14000));
    const { rip, cpl } = w.user32(/* syscall */ "0f 05");
    expect([rip, cpl]).toEqual([0x14001, 0]);
  });
  test("without EFER.SCE it is #UD", () => {
    w.vcpu.setU64("EFER", 0xd00n);
    expect(w.user(/* syscall */ "0f 05").vector).toBe(6);
  });
  test("SYSENTER is #UD", () => {
    expect(w.user(/* sysenter */ "0f 34").vector).toBe(6);
  });
});

describe("far transfers", () => {
  test("a far return goes to 32-bit code, a far jump comes back", () => {
    w.write(userCode + 0x100, Uint8Array.of(0x40, 0xea, 0x00, 0x02, 0x08, 0x00, 0x2b, 0x00)); // inc %eax; ljmp $0x2b, $0x80200
    w.write(userCode + 0x200, Uint8Array.of(0x0f, 0x0b));
    const { vector, stack } = w.user(/* push $0x1b; push $0x80100; lretq */ "6a 1b 68 00 01 08 00 48 cb");
    expect([vector, stack[0], stack[1]]).toEqual([6, userCode + 0x200, selector.user64]);
    expect(w.vcpu.register(0)).toBe(1n);
  });
  test("a call gate enters ring 0 on the stack of the TSS", () => {
    w.writeWords(userData, 0, 0x43n);
    w.write(userData, Uint8Array.of(0, 0, 0, 0, 0x43, 0));
    const { rip, cpl, stack } = w.user(/* lcall *0xa0000 */ "ff 1c 25 00 00 0a 00");
    expect([rip, cpl]).toEqual([0x14001, 0]);
    expect(stack.slice(0, 4)).toEqual([userCode + 7, selector.user64, userStack, selector.userData]);
    expect(Number(w.vcpu.register(4))).toBe(ring0Stack - 32);
  });
  test("user code cannot jump to system code", () => {
    w.write(userData, Uint8Array.of(0, 0, 3, 0, 0x08, 0));
    const { vector, stack } = w.user(/* ljmp *0xa0000 */ "ff 2c 25 00 00 0a 00");
    expect([vector, stack[0]]).toEqual([13, 8]);
  });
});
