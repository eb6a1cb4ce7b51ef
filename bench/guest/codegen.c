/* Code that a program makes: run once and thrown away, or patched between calls, as just-in-time compilers do. */
#include "bench.h"
#include <string.h>
#include <sys/mman.h>

static unsigned char *code_memory(size_t bytes) {
  unsigned char *code = memory(bytes);
  if (mprotect(code, bytes, PROT_READ | PROT_WRITE | PROT_EXEC)) die("mprotect");
  return code;
}

/* x86 needs nothing between a store to code and a jump there (SDM 3A, "Self-Modifying Code"); the compiler does. */
static uint64_t call(const unsigned char *code, uint64_t argument) {
  __asm__ volatile("" ::: "memory");
  return ((uint64_t(*)(uint64_t))(uintptr_t)code)(argument);
}

static unsigned char *bytes_to(unsigned char *at, const void *bytes, size_t length) {
  memcpy(at, bytes, length);
  return at + length;
}

static const unsigned char move_argument[] = {0x48, 0x89, 0xf8}; /* mov %rdi,%rax */
static const unsigned char return_near = 0xc3;

/* Fills a buffer with straight code of four kinds of instructions and new constants, runs it, and begins again. */
uint64_t run_once(uint64_t count) {
  enum { size = 65536 };
  static const unsigned char kinds[4][3] = {
      {0x48, 0x05, 0}, /* add $imm32,%rax */
      {0x48, 0x35, 0}, /* xor $imm32,%rax */
      {0x48, 0x69, 0xc0}, /* imul $imm32,%rax,%rax */
      {0x48, 0x8d, 0x80}, /* lea disp32(%rax),%rax */
  };
  unsigned char *code = code_memory(size);
  uint64_t random = 21, value = 1;
  for (uint64_t i = 0; i < count; i++) {
    unsigned char *at = bytes_to(code, move_argument, sizeof move_argument);
    while (at < code + size - 16) {
      uint64_t x = next_random(&random);
      uint32_t constant = (uint32_t)(x >> 32) | 1;
      at = bytes_to(at, kinds[x & 3], (x & 3) < 2 ? 2 : 3);
      at = bytes_to(at, &constant, sizeof constant);
    }
    *at = return_near;
    value = call(code, value);
  }
  return value;
}

/* A function that adds a constant, in a page with seven others; the constant of one is changed before each call. */
uint64_t patched(uint64_t count) {
  enum { functions = 8, apart = 512, turns = 20 };
  unsigned char *code = code_memory(4096);
  for (int i = 0; i < functions; i++) {
    unsigned char *at = bytes_to(code + i * apart, move_argument, sizeof move_argument);
    at = bytes_to(at, (const unsigned char[]){0x48, 0x05, 0, 0, 0, 0}, 6);   /* add $imm32,%rax */
    at = bytes_to(at, (const unsigned char[]){0x48, 0xc1, 0xc0, 0x07}, 4);   /* rol $7,%rax */
    *at = return_near;
  }
  uint64_t value = 1;
  for (uint64_t i = 0; i < count; i++) {
    unsigned char *function = code + (i & (functions - 1)) * apart;
    uint32_t constant = (uint32_t)(i * 2654435761u);
    memcpy(function + sizeof move_argument + 2, &constant, sizeof constant);
    for (int n = 0; n < turns; n++) value = call(function, value);
  }
  return value;
}
