/*
 * What the guest programs of the benchmarks of single devices share. Each prints as bench/guest/main.c does:
 *
 *   @begin NAME
 *   @end NAME ns=N cpu=N count=N sum=HEX        or        @fail NAME WHY
 *   @done
 *
 *   PROGRAM DEVICE... ROW...          PROGRAM --list          prints: NAME GROUP COUNT UNIT
 */
#ifndef DEVICE_H
#define DEVICE_H
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef void work(uint64_t count);

struct row {
  const char *name, *group;
  work *run;
  uint64_t count;
  const char *unit;
  /* The row that makes what this one uses. */
  const char *needs;
};

static inline void die(const char *what) {
  printf("@fail %s %s\n", what, strerror(errno));
  exit(1);
}

static inline uint64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Aligned to a page, as reads and writes past the page cache want it. */
static inline void *buffer(size_t bytes) {
  void *found;
  if (posix_memalign(&found, 4096, bytes) != 0) die("memory");
  memset(found, 0x5a, bytes);
  return found;
}

/* xorshift64: the same sequence everywhere. */
static inline uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

/* To be asked first of all: true where the rows were all that was wanted. */
static inline bool listed(int argc, char **argv, const struct row *rows, int row_count) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc != 2 || strcmp(argv[1], "--list") != 0) return false;
  for (int n = 0; n < row_count; n++)
    printf("%s %s %" PRIu64 " %s\n", rows[n].name, rows[n].group, rows[n].count, rows[n].unit);
  return true;
}

static inline void measure(const struct row *row) {
  printf("@begin %s\n", row->name);
  uint64_t from = now(CLOCK_MONOTONIC);
  row->run(row->count);
  printf("@end %s ns=%" PRIu64 " cpu=0 count=%" PRIu64 " sum=0\n", row->name, now(CLOCK_MONOTONIC) - from, row->count);
}

#endif
