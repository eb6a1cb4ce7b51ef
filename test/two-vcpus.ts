/**
 * Programs for two vCPUs: a kernel of a few hundred bytes that starts vCPU 1 by INIT and a startup IPI, as Linux does. Both run 64-bit
 * code of the test then; vCPU 0 ends the machine by a reset, after it has sent the eight bytes of RBX to COM1.
 *
 *   0x1000000  what starts vCPU 1          0x0300000  words that both write
 *   0x1000100  what vCPU 0 runs            0x0008000  what vCPU 1 starts in, in real mode
 *   0x1000400  what vCPU 1 runs            0x1000600  a subroutine of both
 */
import { hex } from "./guest-code.ts";

const start = hex(`
  fc                     ; cld
  488d3548000000         ; lea 0x48(%rip),%rsi
  bf00800000             ; mov $0x8000,%edi
  b990000000             ; mov $0x90,%ecx
  f3a4                   ; rep movsb %ds:(%rsi),%es:(%rdi)
  0f20d8                 ; mov %cr3,%rax
  89042563800000         ; mov %eax,0x8063
  b91b000000             ; mov $0x1b,%ecx
  b8000de0fe             ; mov $0xfee00d00,%eax
  31d2                   ; xor %edx,%edx
  0f30                   ; wrmsr
  b90f080000             ; mov $0x80f,%ecx
  b8ff010000             ; mov $0x1ff,%eax
  0f30                   ; wrmsr
  b930080000             ; mov $0x830,%ecx
  b800450c00             ; mov $0xc4500,%eax
  0f30                   ; wrmsr
  b808460c00             ; mov $0xc4608,%eax
  0f30                   ; wrmsr
  e9b0000000             ; jmp 0x100
`);
const trampoline = hex(`
  fa                     ; cli
  8cc8                   ; mov %cs,%ax
  8ed8                   ; mov %ax,%ds
  660f01166700           ; lgdtl 0x67
  66b820000000           ; mov $0x20,%eax
  0f22e0                 ; mov %eax,%cr4
  66a16300               ; mov 0x63,%eax
  0f22d8                 ; mov %eax,%cr3
  66b9800000c0           ; mov $0xc0000080,%ecx
  66b800090000           ; mov $0x900,%eax
  6631d2                 ; xor %edx,%edx
  0f30                   ; wrmsr
  66b811000080           ; mov $0x80000011,%eax
  0f22c0                 ; mov %eax,%cr0
  66ea3d8000001000       ; ljmpl $0x10,$0x803d
  ; in 64-bit mode
  bc00006000             ; mov $0x600000,%esp
  b91b000000             ; mov $0x1b,%ecx
  b8000ce0fe             ; mov $0xfee00c00,%eax
  31d2                   ; xor %edx,%edx
  0f30                   ; wrmsr
  b90f080000             ; mov $0x80f,%ecx
  b8ff010000             ; mov $0x1ff,%eax
  0f30                   ; wrmsr
  b800040001             ; mov $0x1000400,%eax
  ffe0                   ; jmp *%rax
  00000000               ; CR3
  1f00708000000f1f00     ; GDT: limit, base, padding
  0000000000000000       ; null
  0000000000000000       ; null
  00000000009b2000       ; 0x10: 64-bit code
  0000000000930000       ; 0x18: data
`);

export interface Program {
  /** What a person calls it: part of a sentence. */
  readonly name: string;
  readonly boot: string;
  readonly other: string;
  readonly both?: string;
  /** RBX at the end. */
  readonly result: bigint;
}

/** The kernel's code. */
export function twoVcpus(program: Program): Uint8Array {
  const code = new Uint8Array(0x700);
  code.set(start);
  code.set(trampoline, 0x50);
  code.set(hex(program.boot), 0x100);
  code.set(hex(program.other), 0x400);
  code.set(hex(program.both ?? ""), 0x600);
  return code;
}

/** What COM1 got, as a number. */
export function resultOf(serial: string): bigint {
  return [...serial].reduceRight((value, byte) => (value << 8n) | BigInt(byte.charCodeAt(0)), 0n);
}

const countsBoth = `
  f0ff042548003000      ; lock incl 0x300048
  f390                  ; pause
  833c254800300002      ; cmpl $0x2,0x300048
  75f4                  ; jne 0x8
  b800060001            ; mov $0x1000600,%eax
  ffd0                  ; call *%rax
  f0ff042540003000      ; lock incl 0x300040
  f390                  ; pause
  833c254000300002      ; cmpl $0x2,0x300040
  75f4                  ; jne 0x23
  488b1c2500003000      ; mov 0x300000,%rbx
  baf8030000            ; mov $0x3f8,%edx
  b908000000            ; mov $0x8,%ecx
  88d8                  ; mov %bl,%al
  ee                    ; out %al,(%dx)
  48c1eb08              ; shr $0x8,%rbx
  ffc9                  ; dec %ecx
  75f5                  ; jne 0x41
  baf90c0000            ; mov $0xcf9,%edx
  b006                  ; mov $0x6,%al
  ee                    ; out %al,(%dx)
  f4                    ; hlt
  ebfd                  ; jmp 0x54
`;
const countsToo = `
  f0ff042548003000      ; lock incl 0x300048
  f390                  ; pause
  833c254800300002      ; cmpl $0x2,0x300048
  75f4                  ; jne 0x8
  b800060001            ; mov $0x1000600,%eax
  ffd0                  ; call *%rax
  f0ff042540003000      ; lock incl 0x300040
  f4                    ; hlt
  ebfd                  ; jmp 0x23
`;

/** Both do the same, and then vCPU 0 has what lies at 0x300000. */
const contended = (name: string, both: string, result: bigint): Program => ({
  name,
  boot: countsBoth,
  other: countsToo,
  both,
  result,
});

export const programs: readonly Program[] = [
  contended(
    "LOCK INC of one counter",
    `
  b988130000            ; mov $0x1388,%ecx
  f048ff042500003000    ; lock incq 0x300000
  e2f5                  ; loop 0x5
  c3                    ; ret
`,
    10000n,
  ),
  contended(
    "LOCK XADD of one counter",
    `
  b988130000            ; mov $0x1388,%ecx
  b801000000            ; mov $0x1,%eax
  f0480fc1042500003000  ; lock xadd %rax,0x300000
  e2ef                  ; loop 0x5
  c3                    ; ret
`,
    10000n,
  ),
  contended(
    "LOCK CMPXCHG of one counter",
    `
  b988130000            ; mov $0x1388,%ecx
  488b042500003000      ; mov 0x300000,%rax
  488d5001              ; lea 0x1(%rax),%rdx
  f0480fb1142500003000  ; lock cmpxchg %rdx,0x300000
  75f0                  ; jne 0xd
  e2e6                  ; loop 0x5
  c3                    ; ret
`,
    10000n,
  ),
  contended(
    "LOCK CMPXCHG16B of two counters",
    `
  be88130000            ; mov $0x1388,%esi
  488b042500003000      ; mov 0x300000,%rax
  488b142508003000      ; mov 0x300008,%rdx
  488d5801              ; lea 0x1(%rax),%rbx
  488d4a01              ; lea 0x1(%rdx),%rcx
  f0480fc70c2500003000  ; lock cmpxchg16b 0x300000
  75ec                  ; jne 0x15
  ffce                  ; dec %esi
  75d8                  ; jne 0x5
  488b042508003000      ; mov 0x300008,%rax
  c3                    ; ret
`,
    10000n,
  ),
  contended(
    "LOCK ADD across a page",
    `
  b9d0070000            ; mov $0x7d0,%ecx
  f048830425fd0f300001  ; lock addq $0x1,0x300ffd
  e2f4                  ; loop 0x5
  f0ff042544003000      ; lock incl 0x300044
  f390                  ; pause
  833c254400300002      ; cmpl $0x2,0x300044
  75f4                  ; jne 0x19
  488b0425fd0f3000      ; mov 0x300ffd,%rax
  4889042500003000      ; mov %rax,0x300000
  c3                    ; ret
`,
    4000n,
  ),
  contended(
    "LOCK ADD of aligned and unaligned words that overlap",
    `
  b9d0070000            ; mov $0x7d0,%ecx
  f08304250201300001    ; lock addl $0x1,0x300102
  f0488104250001300000000100; lock addq $0x10000,0x300100
  e2e8                  ; loop 0x5
  f0ff042544003000      ; lock incl 0x300044
  f390                  ; pause
  833c254400300002      ; cmpl $0x2,0x300044
  75f4                  ; jne 0x25
  488b042500013000      ; mov 0x300100,%rax
  48c1e810              ; shr $0x10,%rax
  4889042500003000      ; mov %rax,0x300000
  c3                    ; ret
`,
    8000n,
  ),
  contended(
    "plain adds under a spin lock",
    `
  b988130000            ; mov $0x1388,%ecx
  b801000000            ; mov $0x1,%eax
  f390                  ; pause
  87042580003000        ; xchg %eax,0x300080
  85c0                  ; test %eax,%eax
  75f3                  ; jne 0xa
  488b042500003000      ; mov 0x300000,%rax
  48ffc0                ; inc %rax
  4889042500003000      ; mov %rax,0x300000
  c704258000300000000000; movl $0x0,0x300080
  e2ce                  ; loop 0x5
  c3                    ; ret
`,
    10000n,
  ),
  {
    name: "code that the other vCPU rewrites while it runs",
    boot: `
  c7042500103000b8000000; movl $0xb8,0x301000
  c704250410300000c30000; movl $0xc300,0x301004
  c704251000300001000000; movl $0x1,0x300010
  bb64000000            ; mov $0x64,%ebx
  b901000000            ; mov $0x1,%ecx
  890c2501103000        ; mov %ecx,0x301001
  f390                  ; pause
  390c2508003000        ; cmp %ecx,0x300008
  75f5                  ; jne 0x32
  ffc1                  ; inc %ecx
  39d9                  ; cmp %ebx,%ecx
  76e8                  ; jbe 0x2b
  baf8030000            ; mov $0x3f8,%edx
  b908000000            ; mov $0x8,%ecx
  88d8                  ; mov %bl,%al
  ee                    ; out %al,(%dx)
  48c1eb08              ; shr $0x8,%rbx
  ffc9                  ; dec %ecx
  75f5                  ; jne 0x4d
  baf90c0000            ; mov $0xcf9,%edx
  b006                  ; mov $0x6,%al
  ee                    ; out %al,(%dx)
  f4                    ; hlt
  ebfd                  ; jmp 0x60
`,
    other: `
  f390                  ; pause
  833c251000300001      ; cmpl $0x1,0x300010
  75f4                  ; jne 0x0
  b800103000            ; mov $0x301000,%eax
  ffd0                  ; call *%rax
  89042508003000        ; mov %eax,0x300008
  ebf0                  ; jmp 0xc
`,
    result: 100n,
  },
  {
    name: "interrupts from vCPU to vCPU and back",
    boot: `
  b800060001            ; mov $0x1000600,%eax
  ffd0                  ; call *%rax
  f390                  ; pause
  833c252000300001      ; cmpl $0x1,0x300020
  75f4                  ; jne 0x7
  41b801000000          ; mov $0x1,%r8d
  b930080000            ; mov $0x830,%ecx
  b840400000            ; mov $0x4040,%eax
  ba01000000            ; mov $0x1,%edx
  0f30                  ; wrmsr
  fa                    ; cli
  4439042500003000      ; cmp %r8d,0x300000
  7304                  ; jae 0x39
  fb                    ; sti
  f4                    ; hlt
  ebf1                  ; jmp 0x2a
  fb                    ; sti
  41ffc0                ; inc %r8d
  4181f8f4010000        ; cmp $0x1f4,%r8d
  76d3                  ; jbe 0x19
  488b1c2500003000      ; mov 0x300000,%rbx
  baf8030000            ; mov $0x3f8,%edx
  b908000000            ; mov $0x8,%ecx
  88d8                  ; mov %bl,%al
  ee                    ; out %al,(%dx)
  48c1eb08              ; shr $0x8,%rbx
  ffc9                  ; dec %ecx
  75f5                  ; jne 0x58
  baf90c0000            ; mov $0xcf9,%edx
  b006                  ; mov $0x6,%al
  ee                    ; out %al,(%dx)
  f4                    ; hlt
  ebfd                  ; jmp 0x6b
`,
    other: `
  b800060001            ; mov $0x1000600,%eax
  ffd0                  ; call *%rax
  c704252000300001000000; movl $0x1,0x300020
  fb                    ; sti
  f4                    ; hlt
  ebfd                  ; jmp 0x13
`,
    both: `
  488d0550000000        ; lea 0x50(%rip),%rax # 57
  bf00003100            ; mov $0x310000,%edi
  66898700040000        ; mov %ax,0x400(%rdi)
  668cc9                ; mov %cs,%cx
  66898f02040000        ; mov %cx,0x402(%rdi)
  66c78704040000008e    ; movw $0x8e00,0x404(%rdi)
  48c1e810              ; shr $0x10,%rax
  66898706040000        ; mov %ax,0x406(%rdi)
  48c7870804000000000000; movq $0x0,0x408(%rdi)
  66c7042530003000ff0f  ; movw $0xfff,0x300030
  48893c2532003000      ; mov %rdi,0x300032
  0f011c2530003000      ; lidt 0x300030
  c3                    ; ret
  50                    ; push %rax
  51                    ; push %rcx
  52                    ; push %rdx
  b902080000            ; mov $0x802,%ecx
  0f32                  ; rdmsr
  89c2                  ; mov %eax,%edx
  ff048500003000        ; incl 0x300000(,%rax,4)
  b90b080000            ; mov $0x80b,%ecx
  31c0                  ; xor %eax,%eax
  52                    ; push %rdx
  31d2                  ; xor %edx,%edx
  0f30                  ; wrmsr
  58                    ; pop %rax
  85c0                  ; test %eax,%eax
  740e                  ; je 89
  b930080000            ; mov $0x830,%ecx
  b840400000            ; mov $0x4040,%eax
  31d2                  ; xor %edx,%edx
  0f30                  ; wrmsr
  5a                    ; pop %rdx
  59                    ; pop %rcx
  58                    ; pop %rax
  48cf                  ; iretq
`,
    result: (500n << 32n) | 500n,
  },
  {
    name: "NMIs to a vCPU that sleeps",
    boot: `
  f390                  ; pause
  833c252000300001      ; cmpl $0x1,0x300020
  75f4                  ; jne 0x0
  41b801000000          ; mov $0x1,%r8d
  b930080000            ; mov $0x830,%ecx
  b800440000            ; mov $0x4400,%eax
  ba01000000            ; mov $0x1,%edx
  0f30                  ; wrmsr
  f390                  ; pause
  4439042500003000      ; cmp %r8d,0x300000
  75f4                  ; jne 0x23
  41ffc0                ; inc %r8d
  4183f864              ; cmp $0x64,%r8d
  76da                  ; jbe 0x12
  488b1c2500003000      ; mov 0x300000,%rbx
  baf8030000            ; mov $0x3f8,%edx
  b908000000            ; mov $0x8,%ecx
  88d8                  ; mov %bl,%al
  ee                    ; out %al,(%dx)
  48c1eb08              ; shr $0x8,%rbx
  ffc9                  ; dec %ecx
  75f5                  ; jne 0x4a
  baf90c0000            ; mov $0xcf9,%edx
  b006                  ; mov $0x6,%al
  ee                    ; out %al,(%dx)
  f4                    ; hlt
  ebfd                  ; jmp 0x5d
`,
    other: `
  488d054e000000        ; lea 0x4e(%rip),%rax # 55
  bf00003100            ; mov $0x310000,%edi
  66894720              ; mov %ax,0x20(%rdi)
  668cc9                ; mov %cs,%cx
  66894f22              ; mov %cx,0x22(%rdi)
  66c74724008e          ; movw $0x8e00,0x24(%rdi)
  48c1e810              ; shr $0x10,%rax
  66894726              ; mov %ax,0x26(%rdi)
  48c7472800000000      ; movq $0x0,0x28(%rdi)
  66c7042530003000ff0f  ; movw $0xfff,0x300030
  48893c2532003000      ; mov %rdi,0x300032
  0f011c2530003000      ; lidt 0x300030
  c704252000300001000000; movl $0x1,0x300020
  f4                    ; hlt
  ebfd                  ; jmp 52
  f0ff042500003000      ; lock incl 0x300000
  48cf                  ; iretq
`,
    result: 100n,
  },
  {
    name: "messages that never come before what they announce",
    boot: `
  31db                  ; xor %ebx,%ebx
  8b042580003000        ; mov 0x300080,%eax
  8b0c2500003000        ; mov 0x300000,%ecx
  39c1                  ; cmp %eax,%ecx
  7302                  ; jae 0x16
  ffc3                  ; inc %ebx
  3da0860100            ; cmp $0x186a0,%eax
  72e5                  ; jb 0x2
  baf8030000            ; mov $0x3f8,%edx
  b908000000            ; mov $0x8,%ecx
  88d8                  ; mov %bl,%al
  ee                    ; out %al,(%dx)
  48c1eb08              ; shr $0x8,%rbx
  ffc9                  ; dec %ecx
  75f5                  ; jne 0x27
  baf90c0000            ; mov $0xcf9,%edx
  b006                  ; mov $0x6,%al
  ee                    ; out %al,(%dx)
  f4                    ; hlt
  ebfd                  ; jmp 0x3a
`,
    other: `
  31c9                  ; xor %ecx,%ecx
  ffc1                  ; inc %ecx
  890c2500003000        ; mov %ecx,0x300000
  890c2580003000        ; mov %ecx,0x300080
  81f9a0860100          ; cmp $0x186a0,%ecx
  72e8                  ; jb 0x2
  f4                    ; hlt
  ebfd                  ; jmp 0x1a
`,
    result: 0n,
  },
  {
    name: "stores that MFENCE keeps before later loads",
    boot: `
  c704254000300001000000; movl $0x1,0x300040
  833c254400300001      ; cmpl $0x1,0x300044
  72f6                  ; jb 0xb       # who is late finds the other at 2
  31c9                  ; xor %ecx,%ecx
  c6810000320001        ; movb $0x1,0x320000(%rcx)
  0faef0                ; mfence
  8a8100003300          ; mov 0x330000(%rcx),%al
  888100003400          ; mov %al,0x340000(%rcx)
  ffc1                  ; inc %ecx
  81f9ffff0000          ; cmp $0xffff,%ecx
  72e0                  ; jb 0x17
  c704254000300002000000; movl $0x2,0x300040
  f390                  ; pause
  833c254400300002      ; cmpl $0x2,0x300044
  75f4                  ; jne 0x42
  31db                  ; xor %ebx,%ebx
  31c9                  ; xor %ecx,%ecx
  8a8100003400          ; mov 0x340000(%rcx),%al
  0a8100003500          ; or 0x350000(%rcx),%al
  7502                  ; jne 0x62
  ffc3                  ; inc %ebx
  ffc1                  ; inc %ecx
  81f9ffff0000          ; cmp $0xffff,%ecx
  72e6                  ; jb 0x52
  baf8030000            ; mov $0x3f8,%edx
  b908000000            ; mov $0x8,%ecx
  88d8                  ; mov %bl,%al
  ee                    ; out %al,(%dx)
  48c1eb08              ; shr $0x8,%rbx
  ffc9                  ; dec %ecx
  75f5                  ; jne 0x76
  baf90c0000            ; mov $0xcf9,%edx
  b006                  ; mov $0x6,%al
  ee                    ; out %al,(%dx)
  f4                    ; hlt
  ebfd                  ; jmp 0x89
`,
    other: `
  c704254400300001000000; movl $0x1,0x300044
  833c254000300001      ; cmpl $0x1,0x300040
  72f6                  ; jb 0xb       # who is late finds the other at 2
  31c9                  ; xor %ecx,%ecx
  c6810000330001        ; movb $0x1,0x330000(%rcx)
  0faef0                ; mfence
  8a8100003200          ; mov 0x320000(%rcx),%al
  888100003500          ; mov %al,0x350000(%rcx)
  ffc1                  ; inc %ecx
  81f9ffff0000          ; cmp $0xffff,%ecx
  72e0                  ; jb 0x17
  c704254400300002000000; movl $0x2,0x300044
  f4                    ; hlt
  ebfd                  ; jmp 0x42
`,
    result: 0n,
  },
];
