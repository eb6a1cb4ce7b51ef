/*
 * The network benchmark's guest program: connections to the host's server (bench/net-server.ts). Prints as bench/guest/main.c
 * does:
 *
 *   @begin NAME
 *   @end NAME ns=N cpu=N count=N sum=HEX        or        @fail NAME WHY
 *   @done
 *
 *   net PORT ROW...              net --list        prints: NAME GROUP COUNT UNIT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { piece = 128 << 10, mib = 1 << 20, question = 64 };

typedef void work(uint64_t count);
static work send_out, take_in, ask_tcp, ask_udp, open_close;

static const struct row {
  const char *name, *group;
  work *run;
  uint64_t count;
  const char *unit;
} rows[] = {
    {"tcp-out", "net", send_out, 2000, "MiB sent"},
    {"tcp-in", "net", take_in, 2000, "MiB received"},
    {"tcp-ask", "net", ask_tcp, 40000, "questions of 64 bytes, one after the other"},
    {"udp-ask", "net", ask_udp, 40000, "the same in datagrams"},
    {"connect", "net", open_close, 10000, "connections, one after the other"},
};
enum { row_count = sizeof rows / sizeof *rows };

static int port;
static char bytes[piece];

static void die(const char *what) {
  printf("@fail %s %s\n", what, strerror(errno));
  exit(1);
}

static int connected(int type) {
  int found = socket(AF_INET, type, 0), on = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, "10.0.2.2", &to.sin_addr);
  if (found < 0 || connect(found, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
  if (type == SOCK_STREAM) setsockopt(found, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return found;
}

static void put(int to, const void *from, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t sent = write(to, (const char *)from + done, length - done);
    if (sent <= 0) die("write");
    done += (size_t)sent;
  }
}

static void get(int from, size_t length) {
  while (length > 0) {
    ssize_t got = read(from, bytes, length < piece ? length : piece);
    if (got <= 0) die("read");
    length -= (size_t)got;
  }
}

/* The server answers by one byte when it has all. */
static void send_out(uint64_t count) {
  int to = connected(SOCK_STREAM);
  put(to, "o", 1);
  for (uint64_t n = 0; n < count * mib / piece; n++) put(to, bytes, piece);
  shutdown(to, SHUT_WR);
  get(to, 1);
  close(to);
}

static void take_in(uint64_t count) {
  int from = connected(SOCK_STREAM);
  uint32_t wanted = (uint32_t)count;
  put(from, "i", 1);
  put(from, &wanted, sizeof wanted);
  get(from, count * mib);
  close(from);
}

static void ask_tcp(uint64_t count) {
  int with = connected(SOCK_STREAM);
  put(with, "e", 1);
  for (uint64_t n = 0; n < count; n++) {
    put(with, bytes, question);
    get(with, question);
  }
  close(with);
}

static void ask_udp(uint64_t count) {
  int with = connected(SOCK_DGRAM);
  for (uint64_t n = 0; n < count; n++) {
    put(with, bytes, question);
    get(with, question);
  }
  close(with);
}

static void open_close(uint64_t count) {
  for (uint64_t n = 0; n < count; n++) {
    int with = connected(SOCK_STREAM);
    put(with, "e.", 2);
    get(with, 1);
    close(with);
  }
}

static uint64_t now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
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
  port = atoi(argv[1]);
  for (int n = 2; n < argc; n++) {
    for (int k = 0; k < row_count; k++) {
      if (strcmp(argv[n], rows[k].name) != 0) continue;
      printf("@begin %s\n", rows[k].name);
      uint64_t started = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
      rows[k].run(rows[k].count);
      printf("@end %s ns=%" PRIu64 " cpu=%" PRIu64 " count=%" PRIu64 " sum=0\n", rows[k].name,
             now(CLOCK_MONOTONIC) - started, now(CLOCK_PROCESS_CPUTIME_ID) - cpu, rows[k].count);
    }
  }
  puts("@done");
  return 0;
}
