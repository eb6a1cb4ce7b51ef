/*
 * The benchmark's guest program: the same binary runs natively, under QEMU and under memvisor.
 *
 * A kernel does a fixed amount of work, so that it is equal for all, and gives back a checksum of what it computed.
 * Counts are chosen for about a second under QEMU's translator.
 */
#ifndef BENCH_H
#define BENCH_H
#include <stddef.h>
#include <stdint.h>

/* Runs `count` units of work. The result depends on nothing but `count`. */
typedef uint64_t kernel(uint64_t count);

kernel mix, sieve, strings_own, strings_libc, sort, sha256, bytecode, fib, indirect, widening;
kernel chase_near, chase_far, copy, triad;
kernel mandelbrot, nbody, x87;
kernel sse2;
kernel getpid_loop, fork_exec, pipe_pingpong, page_faults, map_unmap, read_small, read_large, gunzip, unxz, shell;
kernel run_once, patched, rep_movs, aliased, spills;
kernel one_thread, two_threads;

/* Where the outside world is; see main.c for the options. */
struct places {
  const char *self;    /* this program */
  const char *busybox; /* natively: the guest's own */
  const char *data;    /* folder with text.gz and text.xz */
  const char *scratch; /* a tmpfs */
};
extern struct places places;

/* Ends the program with the errno of what failed. */
void die(const char *what) __attribute__((noreturn));

/* Memory of a kernel: zeroed, aligned to a page, never freed: each kernel has a process of its own. */
void *memory(size_t bytes);

/* xorshift64: the same sequence everywhere. */
static inline uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

/* Folds a value into a checksum. */
static inline uint64_t fold(uint64_t sum, uint64_t value) {
  return (sum ^ value) * 0x9e3779b97f4a7c15u + (sum >> 29);
}

#endif
