/** Bare programs for tiny machines that several tests run. */
import { hex } from "./guest-code.ts";

/** Fills 64 KiB with multiples of a counter, through a call, by code that it rewrites now and then. Endless. */
export const rewritingProgram = hex(`
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

/** Fills words from 0x304000 downwards, one a round of a call, and then stands still. */
export const fillingProgram = hex(`
  bc00006000             ; mov $0x600000,%esp
  b900100000             ; mov $0x1000,%ecx
  01c8                   ; 1: add %ecx,%eax
  89048d00003000         ; mov %eax,0x300000(,%rcx,4)
  e806000000             ; call 2f
  ffc9                   ; dec %ecx
  75ee                   ; jne 1b
  ebfe                   ; jmp .
  0fafc0                 ; 2: imul %eax,%eax
  ffc0                   ; inc %eax
  c3                     ; ret
`);
