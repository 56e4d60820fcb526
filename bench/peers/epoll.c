// The floor under every server: epoll, read, write. It looks for the end of the head and at nothing else, and lets
// everyone in.
//
//   epoll PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 16384, MOST = 32768 };

static const char reply[] =
    "HTTP/1.1 200 OK\r\n"
    "X-Auth-User: someone@example.com\r\nX-Auth-Email: someone@example.com\r\nX-Auth-Kind: user\r\n"
    "X-Auth-Subject: 7335d417-61da-459d-899c-0a01c76a2f94\r\nX-Auth-Expires: 1800000000\r\n"
    "Content-Length: 0\r\n\r\n";

struct connection {
  size_t filled;
  char buffer[BUFFER];
};
static struct connection *connections[MOST];

int main(int argc, char **argv) {
  if (argc != 2) return 64;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) {
    perror("listen");
    return 1;
  }
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    struct epoll_event events[256];
    int n = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        for (int client; (client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
          if (client >= MOST) {
            close(client);
            continue;
          }
          setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          if (!connections[client]) connections[client] = malloc(sizeof **connections);
          connections[client]->filled = 0;
          event = (struct epoll_event){.events = EPOLLIN, .data.fd = client};
          epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
        }
        continue;
      }
      struct connection *c = connections[fd];
      ssize_t got = read(fd, c->buffer + c->filled, BUFFER - c->filled);
      if (got <= 0) {
        close(fd);
        continue;
      }
      c->filled += (size_t)got;
      if (c->filled >= 4 && memcmp(c->buffer + c->filled - 4, "\r\n\r\n", 4) == 0) {
        c->filled = 0;
        if (write(fd, reply, sizeof reply - 1) != sizeof reply - 1) close(fd);
      } else if (c->filled == BUFFER) {
        close(fd);
      }
    }
  }
}
