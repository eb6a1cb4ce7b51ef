/*
 * The disk benchmark's guest program: requests to a disk, past the guest's page cache.
 *
 *   disk DISK ROW...
 */
#include "device.h"
#include <fcntl.h>
#include <pthread.h>

/* So much of the disk is used. */
enum { area = 256 << 20, page = 4096, large = 1 << 20, threads = 16 };

static work read_large, write_large, read_random, write_random, read_many, write_flushed;

/* So many that the first thousands, in which a translator still gets to know the kernel's code, are a small part, but in the first row. */
static const struct row rows[] = {
    {"read-4k-new", "blk", read_random, 5000, "reads of 4 KiB anywhere, the first since the machine was started", NULL},
    {"read-1m", "blk", read_large, 8192, "reads of 1 MiB, one after the other", NULL},
    {"write-1m", "blk", write_large, 4096, "writes of 1 MiB, one after the other", NULL},
    {"read-4k", "blk", read_random, 100000, "reads of 4 KiB anywhere", NULL},
    {"write-4k", "blk", write_random, 100000, "writes of 4 KiB anywhere", NULL},
    {"read-4k-16", "blk", read_many, 160000, "reads of 4 KiB anywhere by 16 threads", NULL},
    {"write-fsync", "blk", write_flushed, 3000, "writes of 4 KiB, each flushed", NULL},
};
enum { row_count = sizeof rows / sizeof *rows };

static const char *disk;
static int file;

static off_t anywhere(uint64_t *state) { return (off_t)(next_random(state) % (area / page)) * page; }

static void read_at(void *to, size_t bytes, off_t offset) {
  if (pread(file, to, bytes, offset) != (ssize_t)bytes) die("read");
}

static void write_at(const void *from, size_t bytes, off_t offset) {
  if (pwrite(file, from, bytes, offset) != (ssize_t)bytes) die("write");
}

static void read_large(uint64_t count) {
  void *bytes = buffer(large);
  for (uint64_t n = 0; n < count; n++) read_at(bytes, large, (off_t)(n * large % area));
}

static void write_large(uint64_t count) {
  void *bytes = buffer(large);
  for (uint64_t n = 0; n < count; n++) write_at(bytes, large, (off_t)(n * large % area));
}

static void read_random(uint64_t count) {
  void *bytes = buffer(page);
  uint64_t state = 1;
  for (uint64_t n = 0; n < count; n++) read_at(bytes, page, anywhere(&state));
}

static void write_random(uint64_t count) {
  void *bytes = buffer(page);
  uint64_t state = 2;
  for (uint64_t n = 0; n < count; n++) write_at(bytes, page, anywhere(&state));
}

static void write_flushed(uint64_t count) {
  void *bytes = buffer(page);
  uint64_t state = 3;
  for (uint64_t n = 0; n < count; n++) {
    write_at(bytes, page, anywhere(&state));
    if (fdatasync(file) != 0) die("fdatasync");
  }
}

struct reader {
  pthread_t thread;
  uint64_t count, state;
};

static void *reader_main(void *argument) {
  struct reader *reader = argument;
  void *bytes = buffer(page);
  for (uint64_t n = 0; n < reader->count; n++) read_at(bytes, page, anywhere(&reader->state));
  return NULL;
}

static void read_many(uint64_t count) {
  struct reader readers[threads];
  for (int n = 0; n < threads; n++) {
    readers[n].count = count / threads;
    readers[n].state = (uint64_t)n + 10;
    if (pthread_create(&readers[n].thread, NULL, reader_main, &readers[n]) != 0) die("thread");
  }
  for (int n = 0; n < threads; n++) pthread_join(readers[n].thread, NULL);
}

int main(int argc, char **argv) {
  if (listed(argc, argv, rows, row_count)) return 0;
  if (argc < 3) return 2;
  disk = argv[1];
  file = open(disk, O_RDWR | O_DIRECT);
  if (file < 0) die("open");
  for (int word = 2; word < argc; word++) {
    for (int n = 0; n < row_count; n++) {
      if (strcmp(rows[n].name, argv[word]) != 0) continue;
      /* What was written before is not this row's. */
      fdatasync(file);
      measure(&rows[n]);
    }
  }
  printf("@done\n");
  return 0;
}
