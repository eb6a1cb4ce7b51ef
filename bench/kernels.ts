/**
 * Integer code for measuring, written for this: each kernel runs for ever and touches registers and 128 KiB at 0x200000.
 * Bytes on the left, then their offset and what they are.
 */
export interface Kernel {
  readonly name: string;
  readonly what: string;
  /** As `hex` of test/guest-code.ts reads it. */
  readonly code: string;
}

export const kernels: readonly Kernel[] = [
  {
    name: "sieve",
    what: "Eratosthenes: a byte for each number below 65536, filled by REP STOSB",
    code: `
      31c0                   ;  0  xor %eax,%eax
      bf00002000             ;  2  mov $0x200000,%edi
      b900000100             ;  7  mov $0x10000,%ecx
      b001                   ;  c  mov $0x1,%al
      f3aa                   ;  e  rep stos %al,%es:(%rdi)
      bb02000000             ; 10  mov $0x2,%ebx
      80bb0000200000         ; 15  cmpb $0x0,0x200000(%rbx)
      741e                   ; 1c  je 3c
      89d9                   ; 1e  mov %ebx,%ecx
      0fafcb                 ; 20  imul %ebx,%ecx
      81f900000100           ; 23  cmp $0x10000,%ecx
      7311                   ; 29  jae 3c
      c6810000200000         ; 2b  movb $0x0,0x200000(%rcx)
      01d9                   ; 32  add %ebx,%ecx
      81f900000100           ; 34  cmp $0x10000,%ecx
      72ef                   ; 3a  jb 2b
      ffc3                   ; 3c  inc %ebx
      81fb00000100           ; 3e  cmp $0x10000,%ebx
      72cf                   ; 44  jb 15
      ebb8                   ; 46  jmp 0
    `,
  },
  {
    name: "crc",
    what: "CRC-32 bit by bit over 4 KiB",
    code: `
      b8ffffffff             ;  0  mov $0xffffffff,%eax
      be00002000             ;  5  mov $0x200000,%esi
      b900100000             ;  a  mov $0x1000,%ecx
      0fb616                 ;  f  movzbl (%rsi),%edx
      48ffc6                 ; 12  inc %rsi
      31d0                   ; 15  xor %edx,%eax
      bb08000000             ; 17  mov $0x8,%ebx
      89c2                   ; 1c  mov %eax,%edx
      d1e8                   ; 1e  shr %eax
      83e201                 ; 20  and $0x1,%edx
      f7da                   ; 23  neg %edx
      81e22083b8ed           ; 25  and $0xedb88320,%edx
      31d0                   ; 2b  xor %edx,%eax
      ffcb                   ; 2d  dec %ebx
      75eb                   ; 2f  jne 1c
      ffc9                   ; 31  dec %ecx
      75da                   ; 33  jne f
      f7d0                   ; 35  not %eax
      ebc7                   ; 37  jmp 0
    `,
  },
  {
    name: "chase",
    what: "a ring of 4096 nodes followed in a scattered order, 64 KiB",
    code: `
      31c9                   ;  0  xor %ecx,%ecx
      8d548901               ;  2  lea 0x1(%rcx,%rcx,4),%edx
      81e2ff0f0000           ;  6  and $0xfff,%edx
      c1e204                 ;  c  shl $0x4,%edx
      81c200002000           ;  f  add $0x200000,%edx
      89cb                   ; 15  mov %ecx,%ebx
      c1e304                 ; 17  shl $0x4,%ebx
      48899300002000         ; 1a  mov %rdx,0x200000(%rbx)
      48898b08002000         ; 21  mov %rcx,0x200008(%rbx)
      ffc1                   ; 28  inc %ecx
      81f900100000           ; 2a  cmp $0x1000,%ecx
      72d0                   ; 30  jb 2
      be00002000             ; 32  mov $0x200000,%esi
      b900100000             ; 37  mov $0x1000,%ecx
      31c0                   ; 3c  xor %eax,%eax
      48034608               ; 3e  add 0x8(%rsi),%rax
      488b36                 ; 42  mov (%rsi),%rsi
      ffc9                   ; 45  dec %ecx
      75f5                   ; 47  jne 3e
      ebe7                   ; 49  jmp 32
    `,
  },
  {
    name: "calls",
    what: "fib(20), called recursively",
    code: `
      bf14000000             ;  0  mov $0x14,%edi
      e802000000             ;  5  call c
      ebf4                   ;  a  jmp 0
      83ff02                 ;  c  cmp $0x2,%edi
      7218                   ;  f  jb 29
      53                     ; 11  push %rbx
      57                     ; 12  push %rdi
      ffcf                   ; 13  dec %edi
      e8f2ffffff             ; 15  call c
      89c3                   ; 1a  mov %eax,%ebx
      5f                     ; 1c  pop %rdi
      83ef02                 ; 1d  sub $0x2,%edi
      e8e7ffffff             ; 20  call c
      01d8                   ; 25  add %ebx,%eax
      5b                     ; 27  pop %rbx
      c3                     ; 28  ret
      89f8                   ; 29  mov %edi,%eax
      c3                     ; 2b  ret
    `,
  },
  {
    name: "strings",
    what: "strlen, strcpy and strcmp of 1000 characters, byte by byte",
    code: `
      bf00002000             ;  0  mov $0x200000,%edi
      b9e8030000             ;  5  mov $0x3e8,%ecx
      b061                   ;  a  mov $0x61,%al
      f3aa                   ;  c  rep stos %al,%es:(%rdi)
      c60700                 ;  e  movb $0x0,(%rdi)
      be00002000             ; 11  mov $0x200000,%esi
      31d2                   ; 16  xor %edx,%edx
      803c1600               ; 18  cmpb $0x0,(%rsi,%rdx,1)
      7405                   ; 1c  je 23
      48ffc2                 ; 1e  inc %rdx
      ebf5                   ; 21  jmp 18
      bf00002100             ; 23  mov $0x210000,%edi
      31c9                   ; 28  xor %ecx,%ecx
      8a040e                 ; 2a  mov (%rsi,%rcx,1),%al
      88040f                 ; 2d  mov %al,(%rdi,%rcx,1)
      48ffc1                 ; 30  inc %rcx
      84c0                   ; 33  test %al,%al
      75f3                   ; 35  jne 2a
      31c9                   ; 37  xor %ecx,%ecx
      0fb6040e               ; 39  movzbl (%rsi,%rcx,1),%eax
      0fb6140f               ; 3d  movzbl (%rdi,%rcx,1),%edx
      39d0                   ; 41  cmp %edx,%eax
      75cc                   ; 43  jne 11
      48ffc1                 ; 45  inc %rcx
      85c0                   ; 48  test %eax,%eax
      75ed                   ; 4a  jne 39
      ebc3                   ; 4c  jmp 11
    `,
  },
  {
    name: "mix",
    what: "random numbers through shifts, rotates, multiplies, carries, conditions",
    code: `
      48b8157c4a7fb979379e   ;  0  movabs $0x9e3779b97f4a7c15,%rax
      48c7c339300000         ;  a  mov $0x3039,%rbx
      4889c2                 ; 11  mov %rax,%rdx
      48c1ea0c               ; 14  shr $0xc,%rdx
      4831d0                 ; 18  xor %rdx,%rax
      4889c2                 ; 1b  mov %rax,%rdx
      48c1e219               ; 1e  shl $0x19,%rdx
      4831d0                 ; 22  xor %rdx,%rax
      4889c2                 ; 25  mov %rax,%rdx
      48c1ea1b               ; 28  shr $0x1b,%rdx
      4831d0                 ; 2c  xor %rdx,%rax
      4869f091f44525         ; 2f  imul $0x2545f491,%rax,%rsi
      89f1                   ; 36  mov %esi,%ecx
      48d3c3                 ; 38  rol %cl,%rbx
      4801f3                 ; 3b  add %rsi,%rbx
      4883d307               ; 3e  adc $0x7,%rbx
      480fbae305             ; 42  bt $0x5,%rbx
      480f42fe               ; 47  cmovb %rsi,%rdi
      410f95c0               ; 4b  setne %r8b
      4c0fbece               ; 4f  movsbq %sil,%r9
      4c29cb                 ; 53  sub %r9,%rbx
      480fcf                 ; 56  bswap %rdi
      4831fb                 ; 59  xor %rdi,%rbx
      ebb3                   ; 5c  jmp 11
    `,
  },
];
