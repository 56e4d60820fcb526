// Counts allocations of a program from outside, by whose they are: preload it, and it keeps three numbers in the file that
// $ALLOCATION_COUNTERS names. For bench/thresholds alone; it is no part of the program.
//
//   [0] malloc and its kin, called by neither of the two below: Swift and the C library
//   [1] libevent, by event_set_mem_functions
//   [2] OpenSSL, by CRYPTO_set_mem_functions
//
// A program that sets such functions itself gets its own called behind the count, so a pool under libevent still shows
// how often libevent asked.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OURS, LIBEVENT, OPENSSL, OWNERS };

static uint64_t before_start[OWNERS];
static uint64_t *counters = before_start;
// Set while the allocation below belongs to libevent or OpenSSL, which have counted it.
static __thread int counted __attribute__((tls_model("initial-exec")));

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static void count(int owner) { __atomic_fetch_add(&counters[owner], 1, __ATOMIC_RELAXED); }

static void count_plain(void) {
  if (!counted) count(OURS);
}

void *malloc(size_t size) {
  count_plain();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count_plain();
  return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size) {
  count_plain();
  return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
  count_plain();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  count_plain();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
  count_plain();
  void *made = __libc_memalign(alignment, size);
  if (!made) return ENOMEM;
  *block = made;
  return 0;
}

typedef void *event_malloc(size_t);
typedef void *event_realloc(void *, size_t);
typedef void event_free_block(void *);
static event_malloc *under_event_malloc = malloc;
static event_realloc *under_event_realloc = realloc;
static event_free_block *under_event_free = free;

static void *for_event_malloc(size_t size) {
  count(LIBEVENT);
  counted++;
  void *made = under_event_malloc(size);
  counted--;
  return made;
}

static void *for_event_realloc(void *block, size_t size) {
  count(LIBEVENT);
  counted++;
  void *made = under_event_realloc(block, size);
  counted--;
  return made;
}

static void for_event_free(void *block) { under_event_free(block); }

void event_set_mem_functions(event_malloc *a, event_realloc *b, event_free_block *c) {
  under_event_malloc = a ? a : malloc;
  under_event_realloc = b ? b : realloc;
  under_event_free = c ? c : free;
}

typedef void *crypto_malloc(size_t, const char *, int);
typedef void *crypto_realloc(void *, size_t, const char *, int);
typedef void crypto_free(void *, const char *, int);
static crypto_malloc *under_crypto_malloc;
static crypto_realloc *under_crypto_realloc;
static crypto_free *under_crypto_free;

static void *for_crypto_malloc(size_t size, const char *file, int line) {
  count(OPENSSL);
  counted++;
  void *made = under_crypto_malloc ? under_crypto_malloc(size, file, line) : malloc(size);
  counted--;
  return made;
}

static void *for_crypto_realloc(void *block, size_t size, const char *file, int line) {
  count(OPENSSL);
  counted++;
  void *made = under_crypto_realloc ? under_crypto_realloc(block, size, file, line) : realloc(block, size);
  counted--;
  return made;
}

static void for_crypto_free(void *block, const char *file, int line) {
  if (under_crypto_free) under_crypto_free(block, file, line);
  else free(block);
}

int CRYPTO_set_mem_functions(crypto_malloc *a, crypto_realloc *b, crypto_free *c) {
  if (a) under_crypto_malloc = a;
  if (b) under_crypto_realloc = b;
  if (c) under_crypto_free = c;
  return 1;
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("ALLOCATION_COUNTERS");
  if (!path) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void *map = mmap(NULL, sizeof before_start, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  void (*set_event)(event_malloc *, event_realloc *, event_free_block *) = dlsym(RTLD_NEXT, "event_set_mem_functions");
  int (*set_crypto)(crypto_malloc *, crypto_realloc *, crypto_free *) = dlsym(RTLD_NEXT, "CRYPTO_set_mem_functions");
  if (map == MAP_FAILED || !set_event || !set_crypto) return;
  set_event(for_event_malloc, for_event_realloc, for_event_free);
  if (set_crypto(for_crypto_malloc, for_crypto_realloc, for_crypto_free) != 1) return;
  counters = map;
}
