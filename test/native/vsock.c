/*
 * A program of the guest for tests of its sockets:
 *   vsock echo PORT      listens, and sends back what one connection sends, up to its end
 *   vsock connect PORT   connects to the host; standard input goes there, what comes back goes to standard output
 *   vsock flood PORT N   connects to the host and sends N bytes, each its place in the stream modulo 251
 */
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void write_all(int fd, const char *bytes, long count) {
  while (count > 0) {
    long done = write(fd, bytes, count);
    if (done <= 0) fail("write");
    bytes += done;
    count -= done;
  }
}

static void copy(int from, int to) {
  static char buffer[65536];
  long count;
  while ((count = read(from, buffer, sizeof buffer)) > 0) write_all(to, buffer, count);
  if (count < 0) fail("read");
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = atoi(argv[2])};
  int s = socket(AF_VSOCK, SOCK_STREAM, 0);
  if (s < 0) fail("socket");
  if (strcmp(argv[1], "echo") == 0) {
    address.svm_cid = VMADDR_CID_ANY;
    if (bind(s, (struct sockaddr *)&address, sizeof address) || listen(s, 1)) fail("listen");
    puts("listening");
    fflush(stdout);
    int connection = accept(s, NULL, NULL);
    if (connection < 0) fail("accept");
    copy(connection, connection);
    return 0;
  }
  if (connect(s, (struct sockaddr *)&address, sizeof address)) fail("connect");
  if (strcmp(argv[1], "flood") == 0) {
    static char block[251 * 128];
    for (unsigned n = 0; n < sizeof block; n++) block[n] = n % 251;
    long left = argc > 3 ? atol(argv[3]) : 0;
    for (; left > 0; left -= sizeof block) write_all(s, block, left < (long)sizeof block ? left : (long)sizeof block);
    return 0;
  }
  copy(0, s);
  shutdown(s, SHUT_WR);
  copy(s, 1);
  return 0;
}
