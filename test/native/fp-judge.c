/*
 * The real CPU judges x87 and SSE instructions: it runs one instruction on many given states and reports the end states.
 *
 * Input (stdin), repeated to the end: a header of 8 u32 {kind, length, count, code[5]}, then `count` cases. The code is the
 * instruction; its memory operand, if any, is [rsi], the case's `operand` field.
 *   kind 0 (x87), case and result: FSAVE image (112 bytes), operand (16), rflags (8), unused (8).
 *   kind 1 (SSE), case and result: xmm0 (16), xmm1 (16), rax (8), rflags (4), mxcsr (4), trapped (4), unused (12).
 *   kind 2 (x87 with a memory image), case and result: FSAVE image (112), unused (16), the image at [rsi] (512).
 * An unmasked SSE exception arrives as SIGFPE: then `trapped` is 1 and mxcsr is what the handler saw.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

struct x87 {
  uint8_t image[112];
  uint8_t operand[16];
  uint64_t rflags, unused;
};

struct sse {
  uint8_t xmm0[16], xmm1[16];
  uint64_t rax;
  uint32_t rflags, mxcsr, trapped, unused[3];
};

struct image {
  uint8_t image[112], unused[16], area[512];
};

static sigjmp_buf out;
static uint32_t trapped_mxcsr;

static void on_fpe(int sig, siginfo_t *info, void *context) {
  (void)sig, (void)info;
  trapped_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(out, 1);
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t n) {
  memcpy(at, bytes, n);
  return at + n;
}
#define PUT(...) at = put(at, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* rdi: the case. rsi: its operand. */
static void assemble_image(uint8_t *at, const uint8_t *code, uint32_t length) {
  PUT(0x48, 0x8d, 0xb7, 128, 0, 0, 0);       /* lea rsi, [rdi+128] */
  PUT(0xdb, 0xe3);                           /* fninit */
  PUT(0xdd, 0x27);                           /* frstor [rdi] */
  at = put(at, code, length);
  PUT(0xdd, 0x37);                           /* fnsave [rdi] */
  PUT(0xc3);
}

static void assemble_x87(uint8_t *at, const uint8_t *code, uint32_t length) {
  PUT(0x48, 0x8d, 0x77, 112);                /* lea rsi, [rdi+112] */
  PUT(0xdb, 0xe3);                           /* fninit */
  PUT(0xdd, 0x27);                           /* frstor [rdi] */
  PUT(0xff, 0xb7, 128, 0, 0, 0, 0x9d);       /* push qword [rdi+128]; popfq */
  at = put(at, code, length);
  PUT(0x9c, 0x8f, 0x87, 128, 0, 0, 0);       /* pushfq; pop qword [rdi+128] */
  PUT(0xdd, 0x37);                           /* fnsave [rdi] */
  PUT(0xc3);
}

static void assemble_sse(uint8_t *at, const uint8_t *code, uint32_t length) {
  PUT(0x0f, 0x10, 0x07);                     /* movups xmm0, [rdi] */
  PUT(0x0f, 0x10, 0x4f, 16);                 /* movups xmm1, [rdi+16] */
  PUT(0x48, 0x8b, 0x47, 32);                 /* mov rax, [rdi+32] */
  PUT(0x0f, 0xae, 0x57, 44);                 /* ldmxcsr [rdi+44] */
  at = put(at, code, length);
  PUT(0x0f, 0xae, 0x5f, 44);                 /* stmxcsr [rdi+44] */
  PUT(0x48, 0x89, 0x47, 32);                 /* mov [rdi+32], rax */
  PUT(0x0f, 0x11, 0x07);                     /* movups [rdi], xmm0 */
  PUT(0x9c, 0x58, 0x89, 0x47, 40);           /* pushfq; pop rax; mov [rdi+40], eax */
  PUT(0xc3);
}

static int read_all(void *to, size_t n) {
  return fread(to, 1, n, stdin) == n;
}

int main(void) {
  struct sigaction action = {0};
  action.sa_sigaction = on_fpe;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &action, 0);
  uint8_t *page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 2;
  static uint32_t header[8];
  const uint32_t normal = 0x1f80;
  while (read_all(header, sizeof header)) {
    volatile size_t size = header[0] == 2 ? sizeof(struct image) : header[0] ? sizeof(struct sse) : sizeof(struct x87);
    uint8_t *cases = malloc(size * header[2]);
    if (!cases || header[1] > 20 || !read_all(cases, size * header[2])) return 3;
    (header[0] == 2 ? assemble_image : header[0] ? assemble_sse : assemble_x87)(page, (uint8_t *)(header + 3), header[1]);
    void (*run)(void *) = (void (*)(void *))page;
    for (volatile uint32_t i = 0; i < header[2]; i++) {
      uint8_t *one = cases + size * i;
      if (sigsetjmp(out, 0) == 0) {
        run(one);
        if (header[0]) __asm__ volatile("ldmxcsr %0" ::"m"(normal));
      } else {
        __asm__ volatile("fninit; ldmxcsr %0" ::"m"(normal));
        if (header[0] != 1) return 4;
        ((struct sse *)one)->mxcsr = trapped_mxcsr;
        ((struct sse *)one)->trapped = 1;
      }
    }
    if (fwrite(cases, size, header[2], stdout) != header[2]) return 5;
    free(cases);
  }
  return 0;
}
