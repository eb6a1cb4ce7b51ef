/*
 * The guest program of the benchmark of shared directories. Prints as bench/guest/main.c does:
 *
 *   @begin NAME
 *   @end NAME ns=N cpu=N count=N sum=HEX        or        @fail NAME WHY
 *   @done
 *
 *   files FOLDER ROW...          files --list     prints: NAME GROUP COUNT UNIT
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { page = 4096, large = 1 << 20, area = 64 << 20, files = 5000, appended = 20000 };

typedef void work(uint64_t count);
static work make, look, look_again, read_small, list, append, read_random, write_large, read_large, rename_all, remove_all;

/* So many that the first thousands, in which a translator still gets to know the kernel's code, are a small part. */
static const struct row {
  const char *name, *group;
  work *run;
  uint64_t count;
  const char *unit;
  /* The row that makes the files. */
  const char *needs;
} rows[] = {
    {"create", "fs", make, files, "files made, 100 bytes written", NULL},
    {"stat", "fs", look, files, "stat of files that the guest has forgotten", "create"},
    {"stat-known", "fs", look_again, 20 * files, "stat of files that the guest knows", "create"},
    {"open-read", "fs", read_small, files, "files opened, read and closed", "create"},
    {"list", "fs", list, 20 * files, "entries listed", "create"},
    {"write-4k", "fs", append, appended, "writes of 4 KiB, one after the other", NULL},
    {"read-4k", "fs", read_random, appended, "reads of 4 KiB anywhere, past the guest's cache", "write-4k"},
    {"write-1m", "fs", write_large, 2048, "writes of 1 MiB, past the guest's cache", NULL},
    {"read-1m", "fs", read_large, 4096, "reads of 1 MiB, past the guest's cache", "write-1m"},
    {"rename", "fs", rename_all, files, "files renamed", "create"},
    {"unlink", "fs", remove_all, files, "files removed", "rename"},
};
enum { row_count = sizeof rows / sizeof *rows };

static void die(const char *what) {
  printf("@fail %s %s\n", what, strerror(errno));
  exit(1);
}

static const char *name_of(uint64_t n, const char *kind) {
  static char name[64];
  snprintf(name, sizeof name, "%s-%" PRIu64, kind, n);
  return name;
}

static void *buffer(size_t bytes) {
  void *found;
  if (posix_memalign(&found, page, bytes) != 0) die("memory");
  memset(found, 0x5a, bytes);
  return found;
}

static int opened(const char *name, int flags) {
  int file = open(name, flags, 0644);
  if (file < 0) die(name);
  return file;
}

/* Names and attributes, not what is in files. */
static void forget(void) {
  int file = opened("/proc/sys/vm/drop_caches", O_WRONLY);
  if (write(file, "2", 1) != 1) die("drop_caches");
  close(file);
}

static void make(uint64_t count) {
  char text[100] = "";
  for (uint64_t n = 0; n < count; n++) {
    int file = opened(name_of(n, "file"), O_CREAT | O_EXCL | O_WRONLY);
    if (write(file, text, sizeof text) != sizeof text) die("write");
    close(file);
  }
}

static void look(uint64_t count) {
  struct stat found;
  forget();
  for (uint64_t n = 0; n < count; n++)
    if (stat(name_of(n, "file"), &found) != 0) die("stat");
}

static void look_again(uint64_t count) {
  struct stat found;
  for (uint64_t n = 0; n < count; n++)
    if (stat(name_of(n % 100, "file"), &found) != 0) die("stat");
}

static void read_small(uint64_t count) {
  char text[200];
  for (uint64_t n = 0; n < count; n++) {
    int file = opened(name_of(n, "file"), O_RDONLY);
    if (read(file, text, sizeof text) != 100) die("read");
    close(file);
  }
}

static void list(uint64_t count) {
  for (uint64_t seen = 0; seen < count;) {
    DIR *folder = opendir(".");
    if (folder == NULL) die("opendir");
    uint64_t before = seen;
    while (readdir(folder) != NULL) seen++;
    closedir(folder);
    if (seen == before) die("readdir");
  }
}

static void append(uint64_t count) {
  void *bytes = buffer(page);
  int file = opened("appended", O_CREAT | O_TRUNC | O_WRONLY);
  for (uint64_t n = 0; n < count; n++)
    if (write(file, bytes, page) != page) die("write");
  close(file);
}

static void write_large(uint64_t count) {
  void *bytes = buffer(large);
  int file = opened("large", O_CREAT | O_WRONLY | O_DIRECT);
  for (uint64_t n = 0; n < count; n++)
    if (pwrite(file, bytes, large, (off_t)(n * large % area)) != large) die("write");
  close(file);
}

static void read_large(uint64_t count) {
  void *bytes = buffer(large);
  int file = opened("large", O_RDONLY | O_DIRECT);
  for (uint64_t n = 0; n < count; n++)
    if (pread(file, bytes, large, (off_t)(n * large % area)) != large) die("read");
  close(file);
}

static void read_random(uint64_t count) {
  void *bytes = buffer(page);
  int file = opened("appended", O_RDONLY | O_DIRECT);
  uint64_t state = 1;
  for (uint64_t n = 0; n < count; n++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if (pread(file, bytes, page, (off_t)(state % appended) * page) != page) die("read");
  }
  close(file);
}

static void rename_all(uint64_t count) {
  char from[64];
  for (uint64_t n = 0; n < count; n++) {
    strcpy(from, name_of(n, "file"));
    if (rename(from, name_of(n, "renamed")) != 0) die("rename");
  }
}

static void remove_all(uint64_t count) {
  for (uint64_t n = 0; n < count; n++)
    if (unlink(name_of(n, "renamed")) != 0) die("unlink");
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 2 && strcmp(argv[1], "--list") == 0) {
    for (int n = 0; n < row_count; n++)
      printf("%s %s %" PRIu64 " %s\n", rows[n].name, rows[n].group, rows[n].count, rows[n].unit);
    return 0;
  }
  if (argc < 3) return 2;
  if (chdir(argv[1]) != 0 || mkdir("bench", 0755) != 0 || chdir("bench") != 0) die("folder");
  int wanted[row_count] = {0}, needed[row_count] = {0};
  for (int n = row_count - 1; n >= 0; n--) {
    for (int word = 2; word < argc; word++) wanted[n] |= strcmp(argv[word], rows[n].name) == 0;
    for (int k = 0; k < n; k++)
      needed[k] |= (wanted[n] || needed[n]) && rows[n].needs != NULL && strcmp(rows[n].needs, rows[k].name) == 0;
  }
  for (int n = 0; n < row_count; n++) {
    if (!wanted[n]) {
      if (needed[n]) rows[n].run(rows[n].count);
      continue;
    }
    printf("@begin %s\n", rows[n].name);
    uint64_t from = now();
    rows[n].run(rows[n].count);
    printf("@end %s ns=%" PRIu64 " cpu=0 count=%" PRIu64 " sum=0\n", rows[n].name, now() - from, rows[n].count);
  }
  printf("@done\n");
  return 0;
}
