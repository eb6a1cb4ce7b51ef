/* Floating point: scalar SSE2 doubles, and the x87's 80 bits. */
#include "bench.h"
#include <math.h>
#include <string.h>

uint64_t mandelbrot(uint64_t count) {
  enum { width = 400, most = 200 };
  uint64_t sum = 0;
  for (uint64_t y = 0; y < count; y++)
    for (int x = 0; x < width; x++) {
      double cr = 3.0 * x / width - 2.25, ci = 2.4 * (double)(y % 400) / 400 - 1.2;
      double zr = 0, zi = 0;
      int turns = 0;
      while (turns < most) {
        double rr = zr * zr, ii = zi * zi;
        if (rr + ii > 4) break;
        zi = 2 * zr * zi + ci;
        zr = rr - ii + cr;
        turns++;
      }
      sum = fold(sum, (uint64_t)turns);
    }
  return sum;
}

/* --- the sun and four planets of no particular system --- */

struct body {
  double x, y, z, vx, vy, vz, mass;
};
enum { bodies = 5 };

uint64_t nbody(uint64_t count) {
  struct body body[bodies] = {{0, 0, 0, 0, 0, 0, 40},
                              {5, 0, 0.2, 0, 2.8, 0.01, 0.04},
                              {0, 9.5, -0.3, -2.0, 0, 0.02, 0.011},
                              {-19, 1, 0.1, 0, -1.45, 0.01, 0.0017},
                              {2, -30, 0.5, 1.15, 0, -0.01, 0.002}};
  const double step = 0.001;
  for (uint64_t n = 0; n < count; n++) {
    for (int i = 0; i < bodies; i++)
      for (int j = i + 1; j < bodies; j++) {
        double dx = body[i].x - body[j].x, dy = body[i].y - body[j].y, dz = body[i].z - body[j].z;
        double square = dx * dx + dy * dy + dz * dz;
        double pull = step / (square * sqrt(square));
        body[i].vx -= dx * body[j].mass * pull;
        body[i].vy -= dy * body[j].mass * pull;
        body[i].vz -= dz * body[j].mass * pull;
        body[j].vx += dx * body[i].mass * pull;
        body[j].vy += dy * body[i].mass * pull;
        body[j].vz += dz * body[i].mass * pull;
      }
    for (int i = 0; i < bodies; i++) {
      body[i].x += step * body[i].vx;
      body[i].y += step * body[i].vy;
      body[i].z += step * body[i].vz;
    }
  }
  uint64_t sum = 0;
  for (int i = 0; i < bodies; i++) {
    uint64_t bits[3];
    memcpy(bits, &body[i], sizeof bits);
    sum = fold(fold(fold(sum, bits[0]), bits[1]), bits[2]);
  }
  return sum;
}

/* --- a long double: Horner's rule, a quotient, a square root and a comparison for each term --- */

uint64_t x87(uint64_t count) {
  static const long double coefficients[8] = {1.0L, -0.5L, 1 / 6.0L, -1 / 24.0L, 1 / 120.0L, -1 / 720.0L, 0.001L, 3.0L};
  long double total = 0, x = 0.1L, smallest = 10;
  for (uint64_t i = 0; i < count; i++) {
    long double value = 0;
    for (int n = 7; n >= 0; n--) value = value * x + coefficients[n];
    long double root = __builtin_sqrtl(value * value + x);
    total += value / root;
    if (root < smallest) smallest = root;
    x += 1e-7L * (long double)(int)(i & 7);
  }
  uint64_t bits = 0;
  total += smallest;
  memcpy(&bits, &total, 8);
  return bits;
}
