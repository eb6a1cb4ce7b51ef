/* The same kernel by one thread and by each of two: what a second processor gives. */
#include "bench.h"
#include <pthread.h>

static void *sieves(void *count) { return (void *)sieve((uint64_t)count); }

static uint64_t in_threads(uint64_t count, int threads) {
  pthread_t running[2];
  uint64_t sum = 0;
  for (int i = 0; i < threads; i++)
    if (pthread_create(&running[i], NULL, sieves, (void *)count)) die("pthread_create");
  for (int i = 0; i < threads; i++) {
    void *result;
    pthread_join(running[i], &result);
    sum = fold(sum, (uint64_t)result);
  }
  return sum;
}

uint64_t one_thread(uint64_t count) { return in_threads(count, 1); }
uint64_t two_threads(uint64_t count) { return in_threads(count, 2); }
