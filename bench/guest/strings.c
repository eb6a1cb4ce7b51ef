/* Characters and bytes: loops of our own, libc's functions, a digest, packed pixels. */
#include "bench.h"
#include <emmintrin.h>
#include <string.h>

static size_t own_length(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}

/* An empty statement keeps the compiler from making memcpy or strlen of these loops. */
static void own_copy(char *to, const char *from) {
  while ((*to++ = *from++)) __asm__ volatile("");
}

static int own_compare(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (unsigned char)*a - (unsigned char)*b;
}

static uint32_t own_words(char *text) {
  uint32_t words = 0;
  int inside = 0;
  for (; *text; text++) {
    int letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
    words += letter && !inside;
    inside = letter;
    if (letter) *text ^= 32;
  }
  return words;
}

enum { block = 8192 };

static char *prose(uint64_t seed) {
  char *text = memory(block);
  for (int i = 0; i < block - 1; i++) text[i] = "etaoin shrdlu cmfwyp"[next_random(&seed) % 20];
  return text;
}

uint64_t strings_own(uint64_t count) {
  char *text = prose(5), *other = memory(block);
  uint64_t sum = 0;
  /* Each of the four goes over the whole block. */
  for (uint64_t done = 0; done < count; done += 4 * block / 1024) {
    sum = fold(sum, own_length(text));
    own_copy(other, text);
    sum = fold(sum, (uint64_t)own_compare(other, text));
    sum = fold(sum, own_words(text));
    text[(done * 7) % (block - 1)] = (char)('a' + done % 26);
  }
  return sum;
}

uint64_t strings_libc(uint64_t count) {
  char *text = prose(5), *other = memory(block);
  uint64_t sum = 0;
  for (uint64_t done = 0; done < count; done += 5 * block / 1024) {
    /* Through pointers that the compiler cannot see through. */
    __asm__ volatile("" : "+r"(text), "+r"(other)::"memory");
    sum = fold(sum, strlen(text));
    strcpy(other, text);
    sum = fold(sum, (uint64_t)strcmp(other, text));
    sum = fold(sum, memchr(text, 0, block) == text + block - 1);
    sum = fold(sum, strchr(other, 'X') == NULL);
    for (int i = 0; i < 128; i++) {
      size_t length = 8 + (size_t)(i & 31);
      memcpy(other + 64 * i, text + 63 * i, length);
      sum += (uint64_t)(memcmp(other + 64 * i, text + 63 * i, length) == 0) + strnlen(other + 64 * i, length);
    }
    text[(done * 7) % (block - 1)] = (char)('a' + done % 26);
  }
  return sum;
}

/* --- SHA-256 (FIPS 180-4) --- */

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void digest_block(uint32_t state[8], const unsigned char *bytes) {
  uint32_t w[64];
  for (int i = 0; i < 16; i++) {
    uint32_t word;
    memcpy(&word, bytes + 4 * i, 4);
    w[i] = __builtin_bswap32(word);
  }
  for (int i = 16; i < 64; i++) {
    uint32_t s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; i++) {
    uint32_t t1 = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + round_constants[i] + w[i];
    uint32_t t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

uint64_t sha256(uint64_t count) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  unsigned char *bytes = memory(16384);
  uint64_t random = 31;
  for (int i = 0; i < 16384; i++) bytes[i] = (unsigned char)next_random(&random);
  for (uint64_t done = 0; done < count * 1024; done += 64) digest_block(state, bytes + done % 16384);
  return (uint64_t)state[0] << 32 | state[1];
}

/* --- SSE2 integer: blending of pixels, sums of differences, dot products, clamping, shuffles --- */

uint64_t sse2(uint64_t count) {
  enum { size = 32768 };
  unsigned char *a = memory(size), *b = memory(size), *out = memory(size);
  uint64_t random = 17;
  for (int i = 0; i < size; i++) {
    a[i] = (unsigned char)next_random(&random);
    b[i] = (unsigned char)(next_random(&random) >> 8);
  }
  const __m128i zero = _mm_setzero_si128(), weight = _mm_set1_epi16(77), rest = _mm_set1_epi16(179);
  __m128i differences = zero, dots = zero, brightest = zero;
  for (uint64_t i = 0; i < count; i++) {
    size_t at = (size_t)(i * 16) % size;
    __m128i p = _mm_load_si128((const __m128i *)(a + at)), q = _mm_load_si128((const __m128i *)(b + at));
    __m128i pl = _mm_unpacklo_epi8(p, zero), ph = _mm_unpackhi_epi8(p, zero);
    __m128i ql = _mm_unpacklo_epi8(q, zero), qh = _mm_unpackhi_epi8(q, zero);
    __m128i low = _mm_srli_epi16(_mm_add_epi16(_mm_mullo_epi16(pl, weight), _mm_mullo_epi16(ql, rest)), 8);
    __m128i high = _mm_srli_epi16(_mm_add_epi16(_mm_mullo_epi16(ph, weight), _mm_mullo_epi16(qh, rest)), 8);
    __m128i blended = _mm_packus_epi16(low, high);
    differences = _mm_add_epi64(differences, _mm_sad_epu8(blended, p));
    dots = _mm_add_epi32(dots, _mm_madd_epi16(pl, qh));
    brightest = _mm_max_epu8(brightest, _mm_subs_epu8(blended, _mm_set1_epi8(9)));
    __m128i mask = _mm_cmpgt_epi8(p, q);
    blended = _mm_or_si128(_mm_and_si128(mask, blended), _mm_andnot_si128(mask, _mm_avg_epu8(p, q)));
    blended = _mm_shuffle_epi32(blended, _MM_SHUFFLE(1, 0, 3, 2));
    _mm_store_si128((__m128i *)(out + at), blended);
    b[(at + 5) % size] = (unsigned char)_mm_movemask_epi8(mask);
  }
  uint64_t sum = 0, lanes[6];
  _mm_storeu_si128((__m128i *)lanes, differences);
  _mm_storeu_si128((__m128i *)(lanes + 2), dots);
  _mm_storeu_si128((__m128i *)(lanes + 4), brightest);
  for (int i = 0; i < 6; i++) sum = fold(sum, lanes[i]);
  for (int i = 0; i < size; i++) sum = fold(sum, out[i]);
  return sum;
}
