/*
 * The network benchmark's guest program: connections to the host's server (bench/net-server.ts).
 *
 *   net PORT WARM SECONDS ROW...
 *
 * Each row does what it does for WARM seconds, which are not counted, since translators learn first, and then for SECONDS: a busy host
 * gets fewer units done, not a longer benchmark.
 */
#include "device.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { piece = 128 << 10, mib = 1 << 20, question = 64 };

typedef void talk(void);
static talk send_out, take_in, ask_tcp, ask_udp, open_close;

static const struct talk_row {
  const char *name, *group;
  talk *run;
  const char *unit;
} rows[] = {
    {"tcp-out", "net", send_out, "MiB sent"},
    {"tcp-in", "net", take_in, "MiB received"},
    {"tcp-ask", "net", ask_tcp, "questions of 64 bytes, one after the other"},
    {"udp-ask", "net", ask_udp, "the same in datagrams"},
    {"connect", "net", open_close, "connections, one after the other"},
};
enum { row_count = sizeof rows / sizeof *rows };

static int port;
static char bytes[piece];

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

/* Of the row that runs: when it is warm, and when over; what it has done since it was warm. */
static const char *name;
static uint64_t warm_at, over_at, count, started, started_cpu;

/* To be asked after each unit; false when the row is over. */
static bool more(void) {
  uint64_t at = now(CLOCK_MONOTONIC);
  if (started == 0) {
    if (at < warm_at) return true;
    printf("@begin %s\n", name);
    started = at;
    started_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    return true;
  }
  count++;
  if (at < over_at) return true;
  printf("@end %s ns=%" PRIu64 " cpu=%" PRIu64 " count=%" PRIu64 " sum=0\n", name, at - started,
         now(CLOCK_PROCESS_CPUTIME_ID) - started_cpu, count);
  return false;
}

/* The server takes everything; what is on the way is as much at the start as at the end. */
static void send_out(void) {
  int to = connected(SOCK_STREAM);
  put(to, "o", 1);
  do {
    for (int n = 0; n < mib / piece; n++) put(to, bytes, piece);
  } while (more());
  close(to);
}

/* The server sends until we go. */
static void take_in(void) {
  int from = connected(SOCK_STREAM);
  put(from, "i", 1);
  do get(from, mib);
  while (more());
  close(from);
}

static void ask(int with) {
  do {
    put(with, bytes, question);
    get(with, question);
  } while (more());
  close(with);
}

static void ask_tcp(void) {
  int with = connected(SOCK_STREAM);
  put(with, "e", 1);
  ask(with);
}

static void ask_udp(void) { ask(connected(SOCK_DGRAM)); }

static void open_close(void) {
  do {
    int with = connected(SOCK_STREAM);
    put(with, "e.", 2);
    get(with, 1);
    close(with);
  } while (more());
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 2 && strcmp(argv[1], "--list") == 0) {
    for (int n = 0; n < row_count; n++) printf("%s %s 1 %s\n", rows[n].name, rows[n].group, rows[n].unit);
    return 0;
  }
  if (argc < 5) return 2;
  port = atoi(argv[1]);
  uint64_t warm = (uint64_t)(atof(argv[2]) * 1e9), counted = (uint64_t)(atof(argv[3]) * 1e9);
  for (int n = 4; n < argc; n++) {
    for (int k = 0; k < row_count; k++) {
      if (strcmp(argv[n], rows[k].name) != 0) continue;
      name = rows[k].name;
      warm_at = now(CLOCK_MONOTONIC) + warm;
      over_at = warm_at + counted;
      count = started = 0;
      rows[k].run();
    }
  }
  puts("@done");
  return 0;
}
