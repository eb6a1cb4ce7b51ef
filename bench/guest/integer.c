/* Integer code as compilers make it: no vectors, no system calls. */
#include "bench.h"
#include <stdlib.h>
#include <string.h>

/* --- mix: a list, a matrix, a state machine and a CRC, one after the other --- */

struct node {
  struct node *next;
  int16_t key, index;
};
enum { list_length = 64, matrix_size = 16, text_length = 512 };

static struct node *reverse(struct node *list) {
  struct node *before = NULL;
  while (list) {
    struct node *next = list->next;
    list->next = before;
    before = list;
    list = next;
  }
  return before;
}

static const struct node *search(const struct node *list, int key) {
  while (list && list->key != key) list = list->next;
  return list;
}

static uint32_t multiply(int32_t *c, const int16_t *a, const int16_t *b) {
  uint32_t sum = 0;
  for (int i = 0; i < matrix_size; i++)
    for (int j = 0; j < matrix_size; j++) {
      int32_t cell = 0;
      for (int k = 0; k < matrix_size; k++) cell += a[i * matrix_size + k] * b[k * matrix_size + j];
      c[i * matrix_size + j] = cell;
      sum += (uint32_t)(cell >> 4) ^ (uint32_t)(cell & 15);
    }
  return sum;
}

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, POWER, WRONG, states };

/* Tells what kinds of numbers a text has. */
static void classify(const char *text, uint32_t *seen) {
  enum state state = START;
  for (; *text; text++) {
    char c = *text;
    int digit = c >= '0' && c <= '9';
    if (c == ',') {
      seen[state]++;
      state = START;
      continue;
    }
    switch (state) {
      case START: state = digit ? INTEGER : c == '-' || c == '+' ? SIGN : c == '.' ? POINT : WRONG; break;
      case SIGN: state = digit ? INTEGER : c == '.' ? POINT : WRONG; break;
      case INTEGER: state = digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : WRONG; break;
      case POINT:
      case FRACTION: state = digit ? FRACTION : c == 'e' ? EXPONENT : WRONG; break;
      case EXPONENT: state = digit || c == '-' ? POWER : WRONG; break;
      case POWER: state = digit ? POWER : WRONG; break;
      default: break;
    }
  }
  seen[state]++;
}

static uint16_t crc16(uint16_t crc, uint32_t value) {
  for (int bit = 0; bit < 32; bit++, value >>= 1) {
    unsigned carry = (crc ^ value) & 1;
    crc >>= 1;
    if (carry) crc ^= 0xa001;
  }
  return crc;
}

uint64_t mix(uint64_t count) {
  static struct node nodes[list_length];
  static int16_t a[matrix_size * matrix_size], b[matrix_size * matrix_size];
  static int32_t c[matrix_size * matrix_size];
  static char text[text_length];
  uint64_t random = 12345;
  for (int i = 0; i < list_length; i++)
    nodes[i] = (struct node){i + 1 < list_length ? &nodes[i + 1] : NULL, (int16_t)(next_random(&random) & 127), (int16_t)i};
  for (int i = 0; i < matrix_size * matrix_size; i++) {
    a[i] = (int16_t)(next_random(&random) & 255);
    b[i] = (int16_t)(next_random(&random) & 255);
  }
  for (int i = 0; i < text_length - 1; i++) text[i] = "0123456789,,.e-+x98765,01"[next_random(&random) % 25];
  struct node *list = nodes;
  uint16_t crc = 0;
  for (uint64_t pass = 0; pass < count; pass++) {
    list = reverse(list);
    uint32_t found = 0;
    for (int key = 0; key < 128; key += 8) {
      const struct node *node = search(list, key + (int)(pass & 7));
      found = found * 31 + (node ? (uint32_t)node->index : 99);
    }
    crc = crc16(crc, found);
    a[pass % (matrix_size * matrix_size)] ^= (int16_t)(pass & 63);
    crc = crc16(crc, multiply(c, a, b));
    uint32_t seen[states] = {0};
    classify(text, seen);
    for (int i = 0; i < states; i++) crc = crc16(crc, seen[i]);
    char *spot = &text[pass % (text_length - 1)];
    *spot = *spot == ',' ? '7' : ',';
  }
  return crc;
}

/* --- sieve --- */

uint64_t sieve(uint64_t count) {
  enum { size = 1 << 20 };
  unsigned char *composite = memory(size);
  uint64_t sum = 0;
  for (uint64_t pass = 0; pass < count; pass++) {
    memset(composite, 0, size);
    for (uint32_t i = 2; i * i < size; i++)
      if (!composite[i])
        for (uint32_t j = i * i; j < size; j += i) composite[j] = 1;
    uint64_t primes = 0;
    for (uint32_t i = 2; i < size; i++) primes += !composite[i];
    sum = fold(sum, primes + pass);
  }
  return sum;
}

/* --- sort --- */

static int ascending(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

uint64_t sort(uint64_t count) {
  enum { size = 50000 };
  uint32_t *numbers = memory(size * sizeof *numbers);
  uint64_t random = 777, sum = 0;
  for (uint64_t done = 0; done < count; done += size) {
    for (int i = 0; i < size; i++) numbers[i] = (uint32_t)next_random(&random);
    qsort(numbers, size, sizeof *numbers, ascending);
    for (int i = 0; i < size; i += 97) sum = fold(sum, numbers[i]);
  }
  return sum;
}

/* --- bytecode: a stack machine runs Collatz sequences --- */

enum opcode { PUSH, LOAD, STORE, ADD, MUL, HALF, ODD, JUMP_ZERO, JUMP, EQUAL, TALLY, HALT };

uint64_t bytecode(uint64_t count) {
  /* for (n = seed; n != 1; tally) n = odd(n) ? 3 * n + 1 : n / 2; */
  static const int16_t code[] = {
      /*  0 */ LOAD, 0, STORE, 1,
      /*  4 */ LOAD, 1, PUSH, 1, EQUAL, JUMP_ZERO, 12, HALT,
      /* 12 */ TALLY, LOAD, 1, ODD, JUMP_ZERO, 30,
      /* 18 */ LOAD, 1, PUSH, 3, MUL, PUSH, 1, ADD, STORE, 1, JUMP, 4,
      /* 30 */ LOAD, 1, HALF, STORE, 1, JUMP, 4,
  };
  uint64_t stack[16], variables[2] = {27, 0}, tally = 0, steps = 0;
  while (steps < count) {
    int at = 0, top = 0;
    for (;;) {
      steps++;
      switch ((enum opcode)code[at++]) {
        case PUSH: stack[top++] = (uint64_t)code[at++]; continue;
        case LOAD: stack[top++] = variables[code[at++]]; continue;
        case STORE: variables[code[at++]] = stack[--top]; continue;
        case ADD: top--; stack[top - 1] += stack[top]; continue;
        case MUL: top--; stack[top - 1] *= stack[top]; continue;
        case HALF: stack[top - 1] >>= 1; continue;
        case ODD: stack[top - 1] &= 1; continue;
        case JUMP_ZERO: at = stack[--top] ? at + 1 : code[at]; continue;
        case JUMP: at = code[at]; continue;
        case EQUAL: top--; stack[top - 1] = stack[top - 1] == stack[top]; continue;
        case TALLY: tally++; continue;
        case HALT: break;
      }
      break;
    }
    variables[0]++;
  }
  return fold(tally, variables[0]);
}

/* --- calls --- */

static __attribute__((noinline)) uint64_t fibonacci(uint64_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

uint64_t fib(uint64_t count) { return fibonacci(count); }

#define OPERATION(name, expression) \
  static uint64_t name(uint64_t a, uint64_t b) { return expression; }
OPERATION(op_add, a + b)
OPERATION(op_sub, a - b * 3)
OPERATION(op_xor, a ^ b)
OPERATION(op_mul, a * (b | 1))
OPERATION(op_rotate, (a << 7 | a >> 57) ^ b)
OPERATION(op_shift, a + (b >> 3))
OPERATION(op_apart, (a < b ? b - a : a - b) + 11)
OPERATION(op_odd, b & 1 ? a + 5 : a - 9)

uint64_t indirect(uint64_t count) {
  static uint64_t (*volatile const table[8])(uint64_t, uint64_t) = {op_add, op_sub, op_xor,   op_mul,
                                                                    op_rotate, op_shift, op_apart, op_odd};
  /* Mostly the same function for a while, as in real programs, and now and then any of them. */
  uint64_t a = 1, random = 99, which = 0;
  for (uint64_t i = 0; i < count; i++) {
    if ((i & 15) == 0) which = next_random(&random);
    a = table[(which + (i & 3)) & 7](a, i);
  }
  return a;
}

/* --- widening multiply and divide --- */

uint64_t widening(uint64_t count) {
  uint64_t value = 3, modulus = 0xffffffffffffffc5u, sum = 0, random = 4711;
  for (uint64_t i = 0; i < count; i++) {
    unsigned __int128 product = (unsigned __int128)value * (value ^ i);
    uint64_t high = (uint64_t)(product >> 64) % modulus, low = (uint64_t)product, quotient, rest;
    /* 128 / 64 has no form in C: the compiler would call a function. high < modulus, so the quotient fits. */
    __asm__("divq %4" : "=a"(quotient), "=d"(rest) : "a"(low), "d"(high), "r"(modulus) : "cc");
    value = rest | 1;
    sum += quotient ^ (value / (next_random(&random) >> 40 | 1));
  }
  return fold(sum, value);
}
