/*
 * Error of transcendental results in units of the last place, against 113-bit arithmetic (libquadmath).
 * Input (stdin): records {modrm (u32), result (u32), x = ST(0) (16 bytes), y = ST(1) (16), ours (16)}; x, y and ours are 80-bit
 * values. `result` chooses among two results (FSINCOS: 0 sine, 1 cosine). Output: one double a record, −1 where there is no
 * reference. Trigonometric arguments are reduced by the 66-bit pi of x87 before the reference function sees them.
 */
#include <quadmath.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct record {
  uint32_t modrm, result;
  uint8_t x[16], y[16], ours[16];
};

static __float128 from80(const uint8_t *b) {
  uint64_t m;
  uint16_t se;
  memcpy(&m, b, 8);
  memcpy(&se, b + 8, 2);
  __float128 v = ldexpq((__float128)m, (se & 0x7fff) - 16383 - 63);
  return se >> 15 ? -v : v;
}

/* x minus the nearest multiple of pi66/2, and that multiple modulo 4. */
static __float128 reduce(const uint8_t *b, int *quadrant) {
  const unsigned __int128 pi = ((unsigned __int128)3 << 64) | 0x243f6a8885a308d3;
  uint64_t m;
  uint16_t se;
  memcpy(&m, b, 8);
  memcpy(&se, b + 8, 2);
  int e = (se & 0x7fff) - 16383;
  *quadrant = 0;
  if (e < -1) return from80(b);
  /* In units of 2^-65 the argument is m << (e + 2); take it modulo pi/2 of the same units. */
  unsigned __int128 rest = m;
  unsigned q = 0;
  for (int i = 0; i < e + 2; i++) {
    rest *= 2;
    q *= 2;
    if (rest >= pi) rest -= pi, q++;
  }
  __float128 r = ldexpq((__float128)(int64_t)(rest >> 32) * 4294967296.0Q + (uint32_t)rest, -65);
  if (2 * rest > pi) {
    unsigned __int128 other = pi - rest;
    r = -ldexpq((__float128)(int64_t)(other >> 32) * 4294967296.0Q + (uint32_t)other, -65);
    q++;
  }
  if (se >> 15) r = -r, q = -q;
  *quadrant = q & 3;
  return r;
}

static __float128 sine(__float128 r, int quadrant) {
  __float128 v = quadrant & 1 ? cosq(r) : sinq(r);
  return quadrant & 2 ? -v : v;
}

int main(void) {
  struct record r;
  const __float128 ln2 = M_LN2q;
  while (fread(&r, sizeof r, 1, stdin) == 1) {
    __float128 x = from80(r.x), y = from80(r.y), ours = from80(r.ours), v;
    int q;
    double error = -1;
    switch (r.modrm) {
      case 0xf0: v = fabsq(x) > 1 ? nanq("") : expm1q(x * ln2); break;
      case 0xf1: v = y * log2q(x); break;
      case 0xf2: x = reduce(r.x, &q); v = sine(x, q) / sine(x, (q + 1) & 3); break;
      case 0xf3: v = atan2q(y, x); break;
      case 0xf9: v = y * (log1pq(x) / ln2); break;
      default: x = reduce(r.x, &q); v = sine(x, (q + (r.result ? 1 : 0)) & 3); break;
    }
    if (finiteq(v) && v != 0 && finiteq(ours)) {
      int e;
      frexpq(v, &e);
      if (e < -16381) e = -16381;
      error = (double)ldexpq(fabsq(ours - v), 64 - e);
    }
    fwrite(&error, sizeof error, 1, stdout);
  }
  return 0;
}
