// The load: HTTP/1.1 requests over TCP on loopback, one thread, epoll. It counts answers by status, times each, and
// reads the CPU clock of the server's processes at the two ends of the measured span, so that neither its own start nor
// its own cost is in a figure. Knows nothing of tokens but that one stands at {token} in the head.
//
//   load [options] PORT HEAD-FILE
//     -c N     connections (64)
//     -d SEC   how long to measure (1); -n N: until N requests are answered, and then -d is the most it may take
//     -w SEC   how long to run before that, not measured (0); each connection asks at least once before
//     -r N     open loop: N requests a second at even distances; a request is timed from the moment at which it was due,
//              so a server that stalls pays for all that came due meanwhile (no coordinated omission)
//     -x       a new connection for each request, closed by the client after the reply
//     -t FILE  one token a line, all of one length, taken in turn; -k N: only the first N; -o N: begin with number N
//     -p PIDS  processes whose CPU time is summed (comma)
//     -a       hold: after the span print, keep the connections until stdin ends (to weigh the server)
//
// Prints one JSON object. Exits 1 where it could not run; answers other than expected are for the caller to judge.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { BUFFER = 16384, SOURCES = 64, SUB = 64, BUCKETS = 40 * SUB };
enum state { CLOSED, CONNECTING, IDLE, WAITING };

struct connection {
  int fd;
  enum state state;
  uint64_t due;        // when the request that is under way was due (open loop) or sent
  size_t skip;         // bytes of the body still to come
  int chunked, close;  // what the head of this reply said
  int status;          // 0 until the head is whole
  size_t filled;
  char *buffer;
};

static struct connection *connections;
static int count = 64, epoll_fd, one_each, port;
static double seconds = 1, warm, rate;
static uint64_t wanted;
static char *prefix, *suffix;
static size_t prefix_length, suffix_length;
static const char *tokens;
static size_t token_length, token_count, token_next;
static uint64_t answered, reconnects, errors, by_status[1000], histogram[BUCKETS], longest, total_ns;
static int measuring;
static int *idle, idle_count;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

// Log-linear buckets: 64 a power of two, so an error of at most 1.6 %.
static int bucket_of(uint64_t ns) {
  if (ns < SUB) return (int)ns;
  int top = 63 - __builtin_clzll(ns);
  int index = (top - 5) * SUB + (int)((ns >> (top - 6)) & (SUB - 1));
  return index < BUCKETS ? index : BUCKETS - 1;
}

static double bucket_ns(int index) {  // its upper end
  if (index < SUB) return index + 1;
  int top = index / SUB + 5;
  return (double)((uint64_t)1 << (top - 6)) * (SUB + index % SUB + 1);
}

static double quantile(double q) {
  uint64_t all = 0, so_far = 0;
  for (int i = 0; i < BUCKETS; i++) all += histogram[i];
  if (all == 0) return 0;
  for (int i = 0; i < BUCKETS; i++) {
    so_far += histogram[i];
    if ((double)so_far >= q * (double)all) return bucket_ns(i);
  }
  return bucket_ns(BUCKETS - 1);
}

static void start_connect(struct connection *c) {
  static unsigned source;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket");
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (one_each) {  // many source addresses, so that ports in TIME_WAIT never run out
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + source++ % SOURCES)};
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0) die("bind");
  }
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int result = connect(c->fd, (struct sockaddr *)&to, sizeof to);
  if (result != 0 && errno != EINPROGRESS) die("connect");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  c->state = IDLE;
  if (result != 0) {
    event.events = EPOLLOUT;
    c->state = CONNECTING;
  }
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
}

static void drop(struct connection *c) {
  close(c->fd);
  c->fd = -1;
  c->state = CLOSED;
  c->filled = 0;
  c->status = 0;
}

// A head fits the socket buffer of a connection that waits for nothing, so a short write is an error.
static void transmit(struct connection *c) {
  struct iovec parts[3] = {{prefix, prefix_length}, {0, 0}, {suffix, suffix_length}};
  if (tokens) {
    parts[1].iov_base = (char *)tokens + token_next * (token_length + 1);
    parts[1].iov_len = token_length;
    if (++token_next == token_count) token_next = 0;
  }
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
  size_t length = prefix_length + parts[1].iov_len + suffix_length;
  c->state = WAITING;
  c->filled = 0;
  c->status = 0;
  ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
  if (sent == (ssize_t)length) return;
  if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return;  // the read will tell
  die("sendmsg");
}

static void ask(struct connection *c, uint64_t due) {
  c->due = due;
  if (c->state == CLOSED) start_connect(c);
  if (c->state == IDLE) transmit(c);
}

static void finish(struct connection *c) {
  if (measuring) {
    uint64_t took = now_ns() - c->due;
    histogram[bucket_of(took)]++;
    total_ns += took;
    if (took > longest) longest = took;
    by_status[c->status < 1000 ? c->status : 0]++;
  }
  answered++;
  int again = one_each || c->close;
  if (again) {
    if (!one_each) reconnects++;
    drop(c);
  } else {
    c->state = IDLE;
    c->filled = 0;
    c->status = 0;
  }
  idle[idle_count++] = (int)(c - connections);
}

static int field(const char *line, const char *name, size_t length) { return strncasecmp(line, name, length) == 0; }

// Reads the head of a reply when it is whole; 1 then.
static int read_head(struct connection *c) {
  char *end = memmem(c->buffer, c->filled, "\r\n\r\n", 4);
  if (!end) return 0;
  if (c->filled < 12 || memcmp(c->buffer, "HTTP/1.", 7) != 0) die("no HTTP reply");
  c->status = atoi(c->buffer + 9);
  c->skip = 0;
  c->chunked = 0;
  c->close = c->buffer[7] == '0';
  int sized = 0;
  for (char *line = memchr(c->buffer, '\n', c->filled) + 1; line < end + 2;) {
    if (field(line, "content-length:", 15)) {
      c->skip = strtoul(line + 15, NULL, 10);
      sized = 1;
    } else if (field(line, "transfer-encoding:", 18)) {
      c->chunked = sized = 1;
    } else if (field(line, "connection: close", 17)) {
      c->close = 1;
    }
    line = memchr(line, '\n', c->filled - (size_t)(line - c->buffer)) + 1;
  }
  if (!sized && c->status != 204 && c->status != 304) c->close = 1;
  size_t head = (size_t)(end + 4 - c->buffer);
  memmove(c->buffer, c->buffer + head, c->filled - head);
  c->filled -= head;
  return 1;
}

static void lost(struct connection *c) {
  if (c->state == WAITING) {
    errors++;
    idle[idle_count++] = (int)(c - connections);
  }
  drop(c);
}

static void readable(struct connection *c) {
  ssize_t got = recv(c->fd, c->buffer + c->filled, BUFFER - c->filled, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    if (c->state == IDLE) reconnects++;
    lost(c);
    return;
  }
  c->filled += (size_t)got;
  if (c->status == 0 && !read_head(c)) {
    if (c->filled == BUFFER) die("a reply's head is too long");
    return;
  }
  if (c->chunked) {
    if (c->filled >= 5 && memcmp(c->buffer + c->filled - 5, "0\r\n\r\n", 5) == 0) finish(c);
    else if (c->filled == BUFFER) die("a chunked body is too long");
    return;
  }
  size_t taken = c->filled < c->skip ? c->filled : c->skip;
  c->skip -= taken;
  c->filled = 0;
  if (c->skip == 0) finish(c);
}

static void turn(int timeout) {
  struct epoll_event events[256];
  int n = epoll_wait(epoll_fd, events, 256, timeout);
  for (int i = 0; i < n; i++) {
    struct connection *c = events[i].data.ptr;
    if (c->state == CONNECTING) {
      int error = 0;
      socklen_t length = sizeof error;
      getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
      if (error) {
        errno = error;
        die("connect");
      }
      struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
      epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
      c->state = IDLE;
      transmit(c);
    } else if (c->fd >= 0) {
      readable(c);
    }
  }
}

static clockid_t clocks[64];
static int clock_count;

static double cpu_seconds(void) {
  double sum = 0;
  for (int i = 0; i < clock_count; i++) {
    struct timespec t;
    if (clock_gettime(clocks[i], &t) != 0) die("a server's CPU clock");
    sum += (double)t.tv_sec + (double)t.tv_nsec / 1e9;
  }
  return sum;
}

// Closed loop: whoever is idle asks again, until the time is over or enough is answered.
static void closed_loop(uint64_t until, uint64_t enough) {
  while (now_ns() < until && answered < enough) {
    while (idle_count > 0) {
      struct connection *c = &connections[idle[--idle_count]];
      ask(c, now_ns());
    }
    turn(100);
  }
}

// Open loop: requests come due at even distances, whatever the server does. All that came due are waited for.
static void open_loop(uint64_t begin, uint64_t until) {
  double gap = 1e9 / rate;
  uint64_t issued = 0, patience = until + 20000000000u;
  uint64_t all = (uint64_t)((double)(until - begin) / gap);
  uint64_t already = answered + errors;
  while (answered + errors - already < all) {
    uint64_t now = now_ns();
    if (now > patience) {
      errors += all - (answered - already);
      return;
    }
    while (issued < all && idle_count > 0) {
      uint64_t due = begin + (uint64_t)((double)issued * gap);
      if (due > now) break;
      ask(&connections[idle[--idle_count]], due);
      issued++;
    }
    turn(0);
  }
}

static char *slurp(const char *path, size_t *length, int map) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) die(path);
  *length = (size_t)status.st_size;
  char *bytes = map ? mmap(NULL, *length, PROT_READ, MAP_PRIVATE, fd, 0) : malloc(*length + 1);
  if (bytes == MAP_FAILED || !bytes) die(path);
  if (!map && read(fd, bytes, *length) != (ssize_t)*length) die(path);
  close(fd);
  return bytes;
}

int main(int argc, char **argv) {
  size_t limit = 0;
  int hold = 0;
  for (int option; (option = getopt(argc, argv, "c:d:n:w:r:xt:k:o:p:a")) != -1;) {
    size_t length;
    switch (option) {
      case 'c': count = atoi(optarg); break;
      case 'd': seconds = atof(optarg); break;
      case 'n': wanted = strtoull(optarg, NULL, 10); break;
      case 'w': warm = atof(optarg); break;
      case 'r': rate = atof(optarg); break;
      case 'x': one_each = 1; break;
      case 'a': hold = 1; break;
      case 'k': limit = strtoull(optarg, NULL, 10); break;
      case 'o': token_next = strtoull(optarg, NULL, 10); break;
      case 't':
        tokens = slurp(optarg, &length, 1);
        char *end = memchr(tokens, '\n', length);
        if (!end) die("a file of tokens");
        token_length = (size_t)(end - tokens);
        token_count = length / (token_length + 1);
        break;
      case 'p':
        for (char *pid = strtok(optarg, ","); pid; pid = strtok(NULL, ","))
          if (clock_count == 64 || clock_getcpuclockid(atoi(pid), &clocks[clock_count++]) != 0) die("-p");
        break;
      default: return 64;
    }
  }
  if (argc - optind != 2 || count < 1) return 64;
  if (limit && limit < token_count) token_count = limit;
  if (token_count) token_next %= token_count;
  port = atoi(argv[optind]);
  size_t length;
  prefix = slurp(argv[optind + 1], &length, 0);
  prefix[length] = 0;
  prefix_length = length;
  suffix = prefix + length;
  char *place = strstr(prefix, "{token}");
  if (place) {
    if (!tokens) die("-t is needed: the head has a {token}");
    prefix_length = (size_t)(place - prefix);
    suffix = place + 7;
    suffix_length = length - prefix_length - 7;
  } else {
    tokens = NULL;
  }

  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  connections = calloc((size_t)count, sizeof *connections);
  idle = calloc((size_t)count, sizeof *idle);
  for (int i = 0; i < count; i++) {
    connections[i].fd = -1;
    connections[i].buffer = malloc(BUFFER);
  }
  if (one_each) {
    for (int i = 0; i < count; i++) idle[idle_count++] = i;
  } else {  // every connection is open and has asked once before anything is measured
    uint64_t deadline = now_ns() + 60000000000u;
    for (int opened = 0; answered < (uint64_t)count;) {
      // in steps, so that no listen queue overflows
      while (opened < count && (uint64_t)opened < answered + 128) ask(&connections[opened++], now_ns());
      turn(100);
      if (errors || now_ns() > deadline) die("opening the connections");
    }
  }
  if (warm > 0) closed_loop(now_ns() + (uint64_t)(warm * 1e9), UINT64_MAX);
  if (rate > 0)  // what is still under way belongs to nobody's clock
    for (uint64_t deadline = now_ns() + 10000000000u; idle_count < count && now_ns() < deadline;) turn(100);

  uint64_t first = answered, begin = now_ns(), until = begin + (uint64_t)(seconds * 1e9);
  double cpu = cpu_seconds();
  measuring = 1;
  if (rate > 0) open_loop(begin, until);
  else closed_loop(until, wanted ? first + wanted : UINT64_MAX);
  measuring = 0;
  cpu = cpu_seconds() - cpu;
  double took = (double)(now_ns() - begin) / 1e9;
  uint64_t requests = answered - first;

  printf("{\"requests\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"errors\":%llu,\"reconnects\":%llu,\"statuses\":{",
         (unsigned long long)requests, took, cpu, (unsigned long long)errors, (unsigned long long)reconnects);
  const char *comma = "";
  for (int i = 0; i < 1000; i++)
    if (by_status[i]) {
      printf("%s\"%d\":%llu", comma, i, (unsigned long long)by_status[i]);
      comma = ",";
    }
  printf("},\"latency_us\":{\"mean\":%.2f", requests ? (double)total_ns / (double)requests / 1e3 : 0);
  const double marks[] = {0.5, 0.9, 0.99, 0.999};
  const char *names[] = {"p50", "p90", "p99", "p99.9"};
  for (int i = 0; i < 4; i++) printf(",\"%s\":%.2f", names[i], quantile(marks[i]) / 1e3);
  printf(",\"max\":%.2f},\"histogram\":[", (double)longest / 1e3);
  comma = "";
  for (int i = 0; i < BUCKETS; i++)
    if (histogram[i]) {
      printf("%s[%.3f,%llu]", comma, bucket_ns(i) / 1e3, (unsigned long long)histogram[i]);
      comma = ",";
    }
  printf("]}\n");
  fflush(stdout);
  if (hold)
    while (getchar() != EOF) {
    }
  return 0;
}
