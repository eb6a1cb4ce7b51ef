/*
 * The CPU as judge: runs short pieces of machine code in user mode and reports the whole end state.
 *
 * Model. Case records come on stdin, one end-state record for each goes to stdout, in order. The layout of both is
 * below and in tools/oracle/native.ts. Memory is the same for every case (tools/oracle/case.ts names it):
 *
 *   DATA  10000000 rw   10001000 rw   10002000 r   10003000 hole   10004000 rw (stack)   10005000 hole
 *   CODE  20000000 rx   20001000 rx   20002000 hole; bytes outside the case's code are int3
 *
 * Each data page starts from a pattern (a seed) and the case's patches. The harness itself writes through a second
 * mapping of the same memory, so protections never change.
 *
 * A case is entered by IRETQ, which loads RFLAGS, RSP and (for 32-bit code) CS without a spare register, and left by
 * a signal on an alternate stack, always: the int3 after its last byte, or a fault. The handler takes the state out
 * of the signal frame and jumps back to the caller of enter_case(), without sigreturn.
 *
 * Law: one record in, one record out, whatever the code does within user mode. The code must make no system call;
 * the generator sees to that. Endless loops end by SIGALRM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096u
#define DATA_BASE 0x10000000u
#define CODE_BASE 0x20000000u
#define CODE_SIZE (2 * PAGE)
#define INT3 0xcc
#define MAX_CODE 256
#define MAX_RECORD 65536
#define STATUS_FLAGS 0x200cd5u /* ID, OF, DF, SF, ZF, AF, PF, CF */

/* Data pages in the order in which they lie in the backing file. */
static const struct { uint32_t address; int writable; } PAGES[] = {
  {DATA_BASE, 1}, {DATA_BASE + PAGE, 1}, {DATA_BASE + 2 * PAGE, 0}, {DATA_BASE + 4 * PAGE, 1},
};
#define PAGE_COUNT 4

/* Request: this header, then `code_length` bytes, then patches {u32 address, u32 length, bytes}. */
struct request {
  uint32_t size; /* of the whole record */
  uint16_t code_length, mode; /* mode: 64 or 32 */
  uint32_t rip, page_seed;
  uint32_t patch_count, reserved;
  uint64_t gpr[16]; /* in encoding order: rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
  uint64_t rflags, fs_base, gs_base;
  uint8_t fx[512];
};

/* Response: this header, then runs {u32 address, u32 length, bytes}: bytes that differ from the start. */
struct response {
  uint32_t size;
  uint8_t signal, trap;
  uint16_t run_count;
  uint32_t error, reserved;
  uint64_t cr2, rip;
  uint64_t gpr[16];
  uint64_t rflags, fs_base, gs_base;
  uint8_t fx[512];
};

/* What enter_case() pops, in this order; the last five are IRETQ's frame. */
struct entry {
  uint64_t gpr[16];
  uint64_t rip, cs, rflags, rsp, ss;
};

/* What on_signal_entry() keeps on its stack: an alarm may come in the midst of another signal. */
struct bases {
  uint64_t fs, gs;
  uint32_t selectors[4];
};

/* Shared with the assembly below. */
struct entry entry __attribute__((aligned(64)));
uint8_t entry_fx[512] __attribute__((aligned(64)));
uint64_t entry_fs, entry_gs, host_rsp, host_fs;
uint32_t have_fsgsbase, entry_is_32;
void enter_case(void);
void on_signal_entry(int, siginfo_t *, void *);

static volatile sig_atomic_t in_case;
static volatile uint64_t case_number, alarm_case;
static struct response end;

static uint8_t *alias_data, *alias_code;
static uint8_t base_data[PAGE_COUNT][PAGE], start_data[PAGE_COUNT][PAGE];
static uint32_t base_seed;
static int base_valid;

/*
 * enter_case: load everything, IRETQ. Nothing after the FS base is set may touch thread-local storage.
 * on_signal_entry: note FS and GS bases, give the host its FS back, ask note_signal(); 0 means: go on with the case.
 * Without FSGSBASE the bases go through arch_prctl (158): SET_GS 0x1001, SET_FS 0x1002, GET_FS 0x1003, GET_GS 0x1004.
 */
__asm__(
  ".text\n"
  ".globl enter_case\n.type enter_case,@function\n"
  "enter_case:\n"
  "  pushq %rbx\n  pushq %rbp\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
  "  movq %rsp, host_rsp(%rip)\n"
  "  fxrstor64 entry_fx(%rip)\n"
  "  cmpl $0, entry_is_32(%rip)\n  je 1f\n"
  "  movl $0x2b, %eax\n  movl %eax, %ds\n  movl %eax, %es\n  movl %eax, %fs\n  movl %eax, %gs\n"
  "1: cmpl $0, have_fsgsbase(%rip)\n  je 2f\n"
  "  movq entry_fs(%rip), %rax\n  wrfsbase %rax\n"
  "  movq entry_gs(%rip), %rax\n  wrgsbase %rax\n"
  "  jmp 3f\n"
  "2: movl $0x1002, %edi\n  movq entry_fs(%rip), %rsi\n  movl $158, %eax\n  syscall\n"
  "  movl $0x1001, %edi\n  movq entry_gs(%rip), %rsi\n  movl $158, %eax\n  syscall\n"
  "3: leaq entry(%rip), %rsp\n"
  "  popq %rax\n  popq %rcx\n  popq %rdx\n  popq %rbx\n  leaq 8(%rsp), %rsp\n  popq %rbp\n  popq %rsi\n  popq %rdi\n"
  "  popq %r8\n  popq %r9\n  popq %r10\n  popq %r11\n  popq %r12\n  popq %r13\n  popq %r14\n  popq %r15\n"
  "  iretq\n"
  ".size enter_case, .-enter_case\n"
  ".globl on_signal_entry\n.type on_signal_entry,@function\n"
  "on_signal_entry:\n"
  "  pushq $2\n  popfq\n" /* AC and NT are the case's, too */
  "  subq $40, %rsp\n" /* struct bases */
  "  movl %edi, %ebx\n  movq %rsi, %r12\n  movq %rdx, %r13\n"
  "  movl %ds, %eax\n  movl %eax, 16(%rsp)\n  movl %es, %eax\n  movl %eax, 20(%rsp)\n"
  "  movl %fs, %eax\n  movl %eax, 24(%rsp)\n  movl %gs, %eax\n  movl %eax, 28(%rsp)\n"
  "  cmpl $0, have_fsgsbase(%rip)\n  je 4f\n"
  "  rdfsbase %rax\n  movq %rax, (%rsp)\n  rdgsbase %rax\n  movq %rax, 8(%rsp)\n"
  "  xorl %eax, %eax\n  movl %eax, %fs\n  movl %eax, %gs\n  movl %eax, %ds\n  movl %eax, %es\n"
  "  movq host_fs(%rip), %rax\n  wrfsbase %rax\n"
  "  jmp 5f\n"
  "4: movl $0x1003, %edi\n  movq %rsp, %rsi\n  movl $158, %eax\n  syscall\n"
  "  movl $0x1004, %edi\n  leaq 8(%rsp), %rsi\n  movl $158, %eax\n  syscall\n"
  "  xorl %eax, %eax\n  movl %eax, %fs\n  movl %eax, %gs\n  movl %eax, %ds\n  movl %eax, %es\n"
  "  movl $0x1002, %edi\n  movq host_fs(%rip), %rsi\n  movl $158, %eax\n  syscall\n"
  "5: movl %ebx, %edi\n  movq %r12, %rsi\n  movq %r13, %rdx\n  movq %rsp, %rcx\n"
  "  call note_signal\n"
  "  testl %eax, %eax\n  je 6f\n"
  "  movq host_rsp(%rip), %rsp\n"
  "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbp\n  popq %rbx\n"
  "  cld\n  ret\n"
  /* An alarm that ends nothing: all as it was, then sigreturn. */
  "6: movl 16(%rsp), %eax\n  movl %eax, %ds\n  movl 20(%rsp), %eax\n  movl %eax, %es\n"
  "  movl 24(%rsp), %eax\n  movl %eax, %fs\n  movl 28(%rsp), %eax\n  movl %eax, %gs\n"
  "  cmpl $0, have_fsgsbase(%rip)\n  je 8f\n"
  "  movq (%rsp), %rax\n  wrfsbase %rax\n  movq 8(%rsp), %rax\n  wrgsbase %rax\n"
  "  addq $40, %rsp\n  ret\n"
  "8: movl $0x1002, %edi\n  movq (%rsp), %rsi\n  movl $158, %eax\n  syscall\n"
  "  movl $0x1001, %edi\n  movq 8(%rsp), %rsi\n  movl $158, %eax\n  syscall\n"
  "  addq $40, %rsp\n  ret\n"
  ".size on_signal_entry, .-on_signal_entry\n");

/*
 * Takes x87 and SSE state from the frame. What is in its initial state need not have been written there: XSTATE_BV
 * (byte 512, valid with FP_XSTATE_MAGIC1 at 464) tells. MXCSR is written always.
 */
static void note_fx(const uint8_t *frame) {
  uint32_t magic;
  uint64_t present = 3;
  memcpy(&magic, frame + 464, 4);
  if (magic == 0x46505853) memcpy(&present, frame + 512, 8);
  memcpy(end.fx, frame, 416);
  memset(end.fx + 416, 0, 96);
  if (!(present & 1)) {
    memset(end.fx, 0, 24);
    memset(end.fx + 32, 0, 128);
    end.fx[0] = 0x7f;
    end.fx[1] = 0x03;
  }
  if (!(present & 2)) memset(end.fx + 160, 0, 256);
}

/* Runs on the alternate stack. Gives 1 when the case is over. */
__attribute__((used)) int note_signal(int signal, siginfo_t *info, void *context, const struct bases *bases) {
  (void)info;
  ucontext_t *uc = context;
  greg_t *g = uc->uc_mcontext.gregs;
  if (signal == SIGALRM) {
    uint64_t number = case_number;
    if (!in_case || alarm_case != number) {
      alarm_case = number;
      return 0;
    }
  } else if (!in_case) {
    fprintf(stderr, "harness: signal %d (trap %d) at %llx outside of a case\n", signal, (int)g[REG_TRAPNO], g[REG_RIP]);
    _exit(3);
  }
  in_case = 0;
  static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  for (int i = 0; i < 16; i++) end.gpr[i] = (uint64_t)g[order[i]];
  end.signal = (uint8_t)signal;
  end.trap = signal == SIGALRM ? 0xff : (uint8_t)g[REG_TRAPNO];
  end.error = (uint32_t)g[REG_ERR];
  end.cr2 = end.trap == 14 ? (uint64_t)g[REG_CR2] : 0;
  end.rip = (uint64_t)g[REG_RIP];
  end.rflags = (uint64_t)g[REG_EFL];
  end.fs_base = bases->fs;
  end.gs_base = bases->gs;
  note_fx((const uint8_t *)uc->uc_mcontext.fpregs);
  return 1;
}

static void die(const char *what) {
  fprintf(stderr, "harness: %s: %s\n", what, strerror(errno));
  exit(2);
}

static void *map(uint64_t address, size_t size, int protection, int fd, off_t offset) {
  int flags = MAP_SHARED | (address ? MAP_FIXED_NOREPLACE : 0);
  void *p = mmap((void *)address, size, protection, flags, fd, offset);
  if (p == MAP_FAILED || (address && p != (void *)address)) die("mmap");
  return p;
}

static void set_up(void) {
  int fd = memfd_create("cases", 0);
  if (fd < 0 || ftruncate(fd, PAGE_COUNT * PAGE + CODE_SIZE)) die("memfd");
  alias_data = map(0, PAGE_COUNT * PAGE + CODE_SIZE, PROT_READ | PROT_WRITE, fd, 0);
  alias_code = alias_data + PAGE_COUNT * PAGE;
  for (int i = 0; i < PAGE_COUNT; i++)
    map(PAGES[i].address, PAGE, PROT_READ | (PAGES[i].writable ? PROT_WRITE : 0), fd, i * (off_t)PAGE);
  map(CODE_BASE, CODE_SIZE, PROT_READ | PROT_EXEC, fd, PAGE_COUNT * (off_t)PAGE);
  memset(alias_code, INT3, CODE_SIZE);
  /* Error codes tell "not present" from "not allowed": every page must be in the page tables, and stay. */
  for (int i = 0; i < PAGE_COUNT; i++) {
    volatile uint8_t *page = (volatile uint8_t *)(uintptr_t)PAGES[i].address;
    if (PAGES[i].writable) *page = *page;
    else (void)*page;
  }
  (void)*(volatile uint8_t *)(uintptr_t)CODE_BASE;
  (void)*(volatile uint8_t *)(uintptr_t)(CODE_BASE + PAGE);
  mlockall(MCL_CURRENT);

  have_fsgsbase = (getauxval(AT_HWCAP2) & 2) != 0;
  __asm__ volatile("movq %%fs:0, %0" : "=r"(host_fs)); /* the thread pointer's own address lies at fs:0 */

  stack_t stack = {.ss_sp = malloc(1 << 18), .ss_size = 1 << 18};
  if (!stack.ss_sp || sigaltstack(&stack, 0)) die("sigaltstack");
  struct sigaction action = {.sa_sigaction = on_signal_entry, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
  static const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGALRM};
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
    if (sigaction(signals[i], &action, 0)) die("sigaction");
  struct itimerval timer = {{0, 100000}, {0, 100000}};
  if (setitimer(ITIMER_REAL, &timer, 0)) die("setitimer");
}

/* The pattern of all data pages: xorshift32, little-endian words. The same function is in tools/oracle/case.ts. */
static void fill_base(uint32_t seed) {
  uint32_t x = seed ? seed : 1;
  uint8_t *out = &base_data[0][0];
  for (unsigned i = 0; i < sizeof base_data; i += 4) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    memcpy(out + i, &x, 4);
  }
  memcpy(start_data, base_data, sizeof base_data);
  memcpy(alias_data, base_data, sizeof base_data);
  base_seed = seed;
  base_valid = 1;
}

/* Offset of an address in the backing file, or -1 when it is in no data page. */
static int64_t data_offset(uint32_t address) {
  for (int i = 0; i < PAGE_COUNT; i++)
    if (address - PAGES[i].address < PAGE) return (int64_t)i * PAGE + (address - PAGES[i].address);
  return -1;
}

/* Writes the changed runs to `out` and takes the pages back to the pattern. */
static uint8_t *collect(uint8_t *out, uint16_t *run_count) {
  uint8_t *start = &start_data[0][0], *base = &base_data[0][0];
  for (int page = 0; page < PAGE_COUNT; page++) {
    if (!PAGES[page].writable) continue;
    for (unsigned block = 0; block < PAGE; block += 128) {
      unsigned from = page * PAGE + block;
      if (!memcmp(alias_data + from, start + from, 128)) continue;
      for (unsigned i = from; i < from + 128; i++) {
        if (alias_data[i] == start[i]) continue;
        unsigned stop = i + 1;
        while (stop < from + 128 && alias_data[stop] != start[stop]) stop++;
        uint32_t head[2] = {PAGES[page].address + i % PAGE, stop - i};
        memcpy(out, head, 8);
        memcpy(out + 8, alias_data + i, stop - i);
        out += 8 + (stop - i);
        ++*run_count;
        i = stop;
      }
      memcpy(alias_data + from, base + from, 128);
    }
  }
  return out;
}

/* Where patches lie; a patch may not pass the end of its page. */
static int next_patch(const uint8_t **p, const uint8_t *limit, int64_t *offset, uint32_t *length) {
  uint32_t head[2];
  if (limit - *p < 8) return 0;
  memcpy(head, *p, 8);
  *offset = data_offset(head[0]);
  *length = head[1];
  if (*offset < 0 || *length > PAGE || *offset % PAGE + *length > PAGE || limit - *p < 8 + (int64_t)*length) return 0;
  *p += 8;
  return 1;
}

static size_t run_case(const uint8_t *record, uint8_t *out) {
  struct request request;
  memcpy(&request, record, sizeof request);
  const uint8_t *code = record + sizeof request, *limit = record + request.size;
  uint32_t code_offset = request.rip - CODE_BASE;
  if (request.code_length > MAX_CODE || code_offset + request.code_length > CODE_SIZE || code + request.code_length > limit) {
    errno = EINVAL;
    die("bad record");
  }
  if (!base_valid || base_seed != request.page_seed) fill_base(request.page_seed);
  memcpy(alias_code + code_offset, code, request.code_length);

  const uint8_t *patches = code + request.code_length, *p = patches;
  int64_t offset;
  uint32_t length;
  for (uint32_t i = 0; i < request.patch_count && next_patch(&p, limit, &offset, &length); i++, p += length) {
    memcpy(alias_data + offset, p, length);
    memcpy(&start_data[0][0] + offset, p, length);
  }

  int is_32 = request.mode == 32;
  memcpy(entry.gpr, request.gpr, sizeof entry.gpr);
  entry.rip = request.rip;
  entry.cs = is_32 ? 0x23 : 0x33;
  entry.ss = 0x2b;
  entry.rsp = is_32 ? (uint32_t)request.gpr[4] : request.gpr[4];
  entry.rflags = (request.rflags & STATUS_FLAGS) | 0x202;
  memcpy(entry_fx, request.fx, 512);
  entry_fx[26] = entry_fx[27] = 0; /* MXCSR bits 16..31 are reserved: #GP */
  entry_fs = request.fs_base;
  entry_gs = request.gs_base;
  entry_is_32 = is_32;
  case_number++;
  in_case = 1;
  enter_case();

  memset(alias_code + code_offset, INT3, request.code_length);
  end.run_count = 0;
  uint8_t *tail = collect(out + sizeof end, &end.run_count);
  p = patches;
  for (uint32_t i = 0; i < request.patch_count && next_patch(&p, limit, &offset, &length); i++, p += length) {
    memcpy(alias_data + offset, &base_data[0][0] + offset, length);
    memcpy(&start_data[0][0] + offset, &base_data[0][0] + offset, length);
  }
  end.size = (uint32_t)(tail - out);
  memcpy(out, &end, sizeof end);
  return end.size;
}

static void write_all(const uint8_t *p, size_t size) {
  while (size) {
    ssize_t n = write(1, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) exit(1);
    p += n;
    size -= (size_t)n;
  }
}

int main(void) {
  enum { IN = 1 << 20, OUT = 1 << 20, LARGEST_RESPONSE = 1 << 17 };
  uint8_t *in = malloc(IN), *out = malloc(OUT + LARGEST_RESPONSE);
  if (!in || !out) die("malloc");
  set_up();
  size_t have = 0, ready = 0;
  for (;;) {
    ssize_t n = read(0, in + have, IN - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += (size_t)n;
    size_t at = 0;
    while (have - at >= sizeof(struct request)) {
      uint32_t size;
      memcpy(&size, in + at, 4);
      if (size < sizeof(struct request) || size > MAX_RECORD) {
        errno = EINVAL;
        die("bad record size");
      }
      if (have - at < size) break;
      ready += run_case(in + at, out + ready);
      at += size;
      if (ready >= OUT) {
        write_all(out, ready);
        ready = 0;
      }
    }
    memmove(in, in + at, have - at);
    have -= at;
    if (ready) {
      write_all(out, ready);
      ready = 0;
    }
  }
  return 0;
}
