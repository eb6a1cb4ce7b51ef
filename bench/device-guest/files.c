/*
 * The guest program of the benchmark of shared directories.
 *
 *   files FOLDER ROW...
 */
#include "device.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { page = 4096, large = 1 << 20, area = 64 << 20, files = 5000, appended = 20000 };

static work make, look, look_again, read_small, list, append, read_random, write_large, read_large, rename_all, remove_all;

/* So many that the first thousands, in which a translator still gets to know the kernel's code, are a small part. */
static const struct row rows[] = {
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

static const char *name_of(uint64_t n, const char *kind) {
  static char name[64];
  snprintf(name, sizeof name, "%s-%" PRIu64, kind, n);
  return name;
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
    if (pread(file, bytes, page, (off_t)(next_random(&state) % appended) * page) != page) die("read");
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

int main(int argc, char **argv) {
  if (listed(argc, argv, rows, row_count)) return 0;
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
    measure(&rows[n]);
  }
  printf("@done\n");
  return 0;
}
