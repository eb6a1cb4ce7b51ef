/* Loads and stores: chains of pointers, copies, streams, and what translators find hard in memory. */
#include "bench.h"
#include <string.h>

/* --- a ring of cache lines in a random order (Sattolo's shuffle: one cycle through all) --- */

struct line {
  struct line *next;
  uint64_t value;
  char rest[48];
};

static uint64_t chase(uint64_t count, size_t bytes) {
  size_t lines = bytes / sizeof(struct line);
  struct line *ring = memory(bytes);
  uint32_t *order = memory(lines * sizeof *order);
  uint64_t random = 2024, sum = 0;
  for (size_t i = 0; i < lines; i++) order[i] = (uint32_t)i;
  for (size_t i = lines - 1; i > 0; i--) {
    size_t other = next_random(&random) % i;
    uint32_t swapped = order[i];
    order[i] = order[other];
    order[other] = swapped;
  }
  for (size_t i = 0; i < lines; i++) {
    ring[order[i]].next = &ring[order[(i + 1) % lines]];
    ring[order[i]].value = i;
  }
  const struct line *at = ring;
  for (uint64_t i = 0; i < count; i++) {
    sum += at->value;
    at = at->next;
  }
  return fold(sum, at->value);
}

uint64_t chase_near(uint64_t count) { return chase(count, 256 << 10); }
uint64_t chase_far(uint64_t count) { return chase(count, 8 << 20); }

/* --- memcpy of 64 bytes to 64 KiB, a kibibyte of each size in turn --- */

uint64_t copy(uint64_t count) {
  enum { size = 1 << 20 };
  char *from = memory(size), *to = memory(size);
  uint64_t random = 3, sum = 0, done = 0;
  for (int i = 0; i < size; i += 8) memcpy(from + i, &(uint64_t){next_random(&random)}, 8);
  while (done < count * 1024) {
    for (size_t length = 64; length <= 65536; length *= 4) {
      size_t repeats = 65536 / length;
      for (size_t i = 0; i < repeats; i++) {
        size_t offset = (i * length * 5) & (size / 2 - 1);
        memcpy(to + offset, from + (offset ^ 4096), length);
      }
      done += 65536;
    }
    sum = fold(sum, (uint64_t)(unsigned char)to[done / 64 % (size / 2)]);
    from[done / 128 % size]++;
  }
  return sum;
}

/* --- triad, three arrays of 1 MiB --- */

uint64_t triad(uint64_t count) {
  enum { size = 131072 };
  double *a = memory(size * sizeof *a), *b = memory(size * sizeof *b), *c = memory(size * sizeof *c);
  for (int i = 0; i < size; i++) b[i] = i, c[i] = size - i;
  for (uint64_t done = 0; done < count; done += size) {
    double s = 1.0 + (double)(done / size) / 1024;
    for (int i = 0; i < size; i++) a[i] = b[i] + s * c[i];
    double *next = a;
    a = b;
    b = c;
    c = next;
    for (int i = 0; i < size; i += 4096) c[i] = i;
    if ((done / size) % 16 == 15)
      for (int i = 0; i < size; i++) b[i] = i, c[i] = size - i;
  }
  uint64_t sum = 0;
  for (int i = 0; i < size; i += 31) {
    uint64_t bits;
    memcpy(&bits, &a[i], 8);
    sum = fold(sum, bits);
  }
  return sum;
}

/* --- REP MOVSB and REP MOVSQ, 1 byte to 8 KiB, mostly short --- */

uint64_t rep_movs(uint64_t count) {
  enum { size = 1 << 16 };
  char *from = memory(size), *to = memory(size);
  uint64_t random = 8, sum = 0;
  for (int i = 0; i < size; i++) from[i] = (char)next_random(&random);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t x = next_random(&random);
    size_t length = (x >> 8 & 0x1fff) >> (x & 15);
    char *target = to + (x >> 24 & 0x7fff);
    const char *source = from + (x >> 40 & 0x7fff);
    if (x & 16) {
      length += 1;
      __asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(length)::"memory");
    } else {
      length = length / 8 + 1;
      __asm__ volatile("rep movsq" : "+D"(target), "+S"(source), "+c"(length)::"memory");
    }
    sum += (uint64_t)(unsigned char)target[-1];
  }
  return fold(sum, (uint64_t)(unsigned char)to[12345]);
}

/* --- copies between buffers 4 KiB to 16 MiB apart: the same slot of a direct-mapped TLB or cache --- */

uint64_t aliased(uint64_t count) {
  enum { size = 32 << 20, length = 1024 };
  char *bytes = memory(size);
  for (int i = 0; i < size; i += 4096) bytes[i] = (char)(i >> 12);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; i++) {
    size_t distance = (size_t)4096 << (i % 13);
    const uint64_t *source = (const uint64_t *)(bytes + (i % 3) * 1024);
    uint64_t *target = (uint64_t *)(bytes + distance + (i % 3) * 1024);
    for (int n = 0; n < length / 8; n++) {
      target[n] = source[n] + i;
      __asm__ volatile("" ::: "memory");
    }
    sum += target[i & 127];
  }
  return sum;
}

/* --- values that go through memory at once: spills, and loads of another size than the store --- */

uint64_t spills(uint64_t count) {
  volatile uint64_t slots[8] = {1, 2, 3, 5, 7, 11, 13, 17};
  union {
    volatile uint64_t whole;
    volatile uint16_t part[4];
  } overlap = {.whole = 1};
  for (uint64_t i = 0; i < count; i += 10) {
    slots[0] = slots[0] + i;
    slots[1] = slots[1] ^ slots[0];
    slots[2] = slots[2] + slots[1];
    slots[3] = slots[3] - slots[2];
    slots[4] = slots[4] + (slots[3] >> 3);
    slots[5] = slots[5] ^ slots[4];
    slots[6] = slots[6] + slots[5] * 5;
    slots[7] = slots[7] + slots[6];
    overlap.whole = overlap.whole + slots[7];
    slots[0] = slots[0] + overlap.part[i & 3];
  }
  return fold(slots[7], overlap.whole);
}
