/*
 * Runs rows by name and prints, for the host to stamp:
 *
 *   @begin NAME
 *   @end NAME ns=N cpu=N count=N sum=HEX        or        @fail NAME WHY
 *   @done
 *
 * Each row has a process of its own, so that one that crashes does not end the rest.
 *
 *   bench [--busybox FILE] [--data DIR] [--scratch DIR] [--divide N] ROW...
 *   bench --list                 prints: NAME GROUP COUNT UNIT
 */
#include "bench.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

struct row {
  const char *name, *group;
  kernel *run;
  uint64_t count;
  const char *unit;
};

static const struct row rows[] = {
    {"mix", "integer", mix, 30000, "passes over list, matrix, states, CRC"},
    {"sieve", "integer", sieve, 130, "sieves of 1 M numbers"},
    {"strings-own", "integer", strings_own, 300000, "kibibytes by byte loops"},
    {"strings-libc", "integer", strings_libc, 900000, "kibibytes by libc"},
    {"sort", "integer", sort, 1500000, "numbers sorted by qsort"},
    {"sha256", "integer", sha256, 45000, "kibibytes"},
    {"bytecode", "integer", bytecode, 70000000, "instructions interpreted"},
    {"fib", "integer", fib, 38, "th Fibonacci number by recursion"},
    {"indirect", "integer", indirect, 45000000, "calls through a table"},
    {"widening", "integer", widening, 4000000, "64x64 multiplies and 128/64 divides"},
    {"chase-256k", "memory", chase_near, 120000000, "hops in 256 KiB"},
    {"chase-8m", "memory", chase_far, 6000000, "hops in 8 MiB"},
    {"memcpy", "memory", copy, 1000000, "kibibytes by libc"},
    {"triad", "memory", triad, 24000000, "a[i] = b[i] + s * c[i]"},
    {"sse2", "vector", sse2, 9000000, "steps of 16 pixels"},
    {"mandelbrot", "fp", mandelbrot, 1200, "rows of 400 points"},
    {"nbody", "fp", nbody, 500000, "steps of five bodies"},
    {"x87", "x87", x87, 1500000, "long double terms"},
    {"getpid", "os", getpid_loop, 2000000, "system calls"},
    {"fork-exec", "os", fork_exec, 450, "processes"},
    {"pipe", "os", pipe_pingpong, 14000, "round trips"},
    {"page-faults", "os", page_faults, 100000, "pages touched"},
    {"mmap", "os", map_unmap, 9000, "mappings made and removed"},
    {"read-4k", "os", read_small, 400000, "reads"},
    {"read-1m", "os", read_large, 2500, "reads"},
    {"gunzip", "os", gunzip, 4, "files by busybox"},
    {"unxz", "os", unxz, 2, "files by busybox"},
    {"shell", "os", shell, 36000, "turns of a loop in busybox's shell"},
    {"once", "pathological", run_once, 70, "buffers of 64 KiB of code run once"},
    {"patched", "pathological", patched, 100000, "patches of an immediate, each called"},
    {"rep-movs", "pathological", rep_movs, 1500000, "copies of 1 to 8192 bytes"},
    {"aliased", "pathological", aliased, 500000, "copies of 1 KiB, buffers 2^n apart"},
    {"spills", "pathological", spills, 400000000, "values stored and loaded again"},
    {"one-thread", "threads", one_thread, 160, "sieves by one thread"},
    {"two-threads", "threads", two_threads, 160, "sieves by each of two threads"},
};
enum { row_count = sizeof rows / sizeof *rows };

struct places places = {.busybox = "/bin/busybox", .data = "/bench", .scratch = "/tmp"};

void die(const char *what) {
  fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
  _exit(99);
}

void *memory(size_t bytes) {
  void *found = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) die("mmap");
  return found;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Processor time of this process and of those that it has waited for. */
static uint64_t processor_time(void) {
  uint64_t ns = 0;
  for (int who = 0; who < 2; who++) {
    struct rusage usage;
    if (getrusage(who == 0 ? RUSAGE_SELF : RUSAGE_CHILDREN, &usage)) die("getrusage");
    ns += (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u;
    ns += (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
  }
  return ns;
}

/* A line that has left the machine when this returns: the host stamps its arrival. */
static void say(const char *line) {
  size_t length = strlen(line);
  while (length > 0) {
    ssize_t written = write(STDOUT_FILENO, line, length);
    if (written < 0) die("write");
    line += written;
    length -= (size_t)written;
  }
  tcdrain(STDOUT_FILENO);
}

static void run(const struct row *row, uint64_t divisor) {
  char line[256];
  uint64_t count = row->count > divisor ? row->count / divisor : 1;
  if (row->run == fib) count = row->count;
  snprintf(line, sizeof line, "@begin %s\n", row->name);
  say(line);
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    uint64_t from = now();
    uint64_t sum = row->run(count);
    uint64_t ns = now() - from;
    snprintf(line, sizeof line, "@end %s ns=%" PRIu64 " cpu=%" PRIu64 " count=%" PRIu64 " sum=%016" PRIx64 "\n", row->name, ns,
             processor_time(), count, sum);
    say(line);
    _exit(0);
  }
  int status;
  if (waitpid(child, &status, 0) < 0) die("waitpid");
  if (status == 0) return;
  snprintf(line, sizeof line, "@fail %s %s %d\n", row->name, WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  say(line);
}

static const struct row *find(const char *name) {
  for (int i = 0; i < row_count; i++)
    if (strcmp(rows[i].name, name) == 0) return &rows[i];
  fprintf(stderr, "bench: there is no row %s\n", name);
  exit(2);
}

int main(int argc, char **argv) {
  /* What fork-exec starts. */
  if (argc == 2 && strcmp(argv[1], "--exit") == 0) _exit(7);
  static char self[4096];
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) die("/proc/self/exe");
  places.self = self;
  uint64_t divisor = 1;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--list") == 0)
      for (int n = 0; n < row_count; n++)
        printf("%s %s %" PRIu64 " %s\n", rows[n].name, rows[n].group, rows[n].count, rows[n].unit);
    else if (strcmp(argv[i], "--busybox") == 0 && i + 1 < argc) places.busybox = argv[++i];
    else if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) places.data = argv[++i];
    else if (strcmp(argv[i], "--scratch") == 0 && i + 1 < argc) places.scratch = argv[++i];
    else if (strcmp(argv[i], "--divide") == 0 && i + 1 < argc) divisor = strtoull(argv[++i], NULL, 10);
    else run(find(argv[i]), divisor ? divisor : 1);
  }
  fflush(stdout);
  if (argc > 1 && strcmp(argv[1], "--list") != 0) say("@done\n");
  return 0;
}
