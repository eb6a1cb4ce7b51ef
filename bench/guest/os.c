/* What programs ask of an operating system: calls, processes, pages, files, and busybox at work. */
#include "bench.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

uint64_t getpid_loop(uint64_t count) {
  uint64_t same = 0;
  long first = syscall(SYS_getpid);
  for (uint64_t i = 0; i < count; i++) same += syscall(SYS_getpid) == first;
  return same;
}

static int start_and_wait(char *const argv[], int output) {
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    if (output >= 0 && dup2(output, STDOUT_FILENO) < 0) die("dup2");
    execv(argv[0], argv);
    die(argv[0]);
  }
  int status;
  if (waitpid(child, &status, 0) < 0) die("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

uint64_t fork_exec(uint64_t count) {
  char *argv[] = {(char *)places.self, "--exit", NULL};
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; i++) sum += (uint64_t)start_and_wait(argv, -1);
  return sum;
}

uint64_t pipe_pingpong(uint64_t count) {
  int there[2], back[2];
  if (pipe(there) || pipe(back)) die("pipe");
  pid_t child = fork();
  if (child < 0) die("fork");
  unsigned char byte = 0;
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &byte, 1) == 1) {
      byte++;
      if (write(back[1], &byte, 1) != 1) break;
    }
    _exit(0);
  }
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; i++) {
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) die("pipe");
    sum += byte;
  }
  close(there[1]);
  waitpid(child, NULL, 0);
  return sum;
}

uint64_t page_faults(uint64_t count) {
  enum { pages = 1024, page = 4096 };
  unsigned char *bytes = memory(pages * page);
  /* One page at a time, whatever the kernel's policy on huge ones. */
  madvise(bytes, pages * page, MADV_NOHUGEPAGE);
  uint64_t sum = 0;
  for (uint64_t done = 0; done < count; done += pages) {
    for (int i = 0; i < pages; i++) sum += ++bytes[i * page];
    if (madvise(bytes, pages * page, MADV_DONTNEED)) die("madvise");
  }
  return sum;
}

uint64_t map_unmap(uint64_t count) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; i++) {
    size_t size = 4096 * (1 + (i & 15));
    unsigned char *bytes = memory(size);
    bytes[size - 1] = (unsigned char)i;
    sum += bytes[size - 1];
    if (munmap(bytes, size)) die("munmap");
  }
  return sum;
}

/* --- files on a tmpfs --- */

static int scratch_file(const char *name, int flags) {
  char path[4200];
  snprintf(path, sizeof path, "%s/bench-%s", places.scratch, name);
  int file = open(path, flags, 0600);
  if (file < 0) die(path);
  if (flags & O_CREAT) unlink(path);
  return file;
}

static uint64_t read_file(uint64_t count, size_t piece) {
  enum { size = 8 << 20 };
  unsigned char *bytes = memory(1 << 20);
  int file = scratch_file("read", O_RDWR | O_CREAT | O_TRUNC);
  uint64_t random = 6, sum = 0;
  for (size_t done = 0; done < size; done += 1 << 20) {
    for (size_t i = 0; i < 1 << 20; i += 8) memcpy(bytes + i, &(uint64_t){next_random(&random)}, 8);
    if (write(file, bytes, 1 << 20) != 1 << 20) die("write");
  }
  for (uint64_t i = 0; i < count; i++) {
    if (pread(file, bytes, piece, (off_t)(i * piece % size)) != (ssize_t)piece) die("pread");
    sum = fold(sum, bytes[i % piece]);
  }
  return sum;
}

uint64_t read_small(uint64_t count) { return read_file(count, 4096); }
uint64_t read_large(uint64_t count) { return read_file(count, 1 << 20); }

/* --- busybox --- */

/* What a command of busybox printed, digested. */
static uint64_t busybox(char *const argv[]) {
  int file = scratch_file("output", O_RDWR | O_CREAT | O_TRUNC);
  if (start_and_wait(argv, file) != 0) die(argv[1]);
  static uint64_t words[8192];
  uint64_t sum = 0;
  ssize_t length;
  lseek(file, 0, SEEK_SET);
  while ((length = read(file, words, sizeof words)) > 0) {
    memset((char *)words + length, 0, -(size_t)length & 7);
    for (ssize_t i = 0; i < (length + 7) / 8; i++) sum = fold(sum, words[i]);
  }
  close(file);
  return sum;
}

static uint64_t decompress(uint64_t count, const char *applet, const char *name) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s", places.data, name);
  char *argv[] = {(char *)places.busybox, (char *)applet, "-c", path, NULL};
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; i++) sum = fold(sum, busybox(argv));
  return sum;
}

uint64_t gunzip(uint64_t count) { return decompress(count, "gunzip", "text.gz"); }
uint64_t unxz(uint64_t count) { return decompress(count, "unxz", "text.xz"); }

uint64_t shell(uint64_t count) {
  static const char script[] = "i=0; t=; while [ $i -lt $0 ]; do i=$((i + 1)); case $i in *7) t=x$((i * 3 % 1001));; esac; "
                               "[ \"$t\" = x21 ] && echo \"$i ${t#x}\"; done; echo $i $t";
  char turns[24];
  snprintf(turns, sizeof turns, "%llu", (unsigned long long)count);
  char *argv[] = {(char *)places.busybox, "sh", "-c", (char *)script, turns, NULL};
  return busybox(argv);
}
