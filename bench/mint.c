// Mints many RS256 tokens like Access's, all of one length, one a line: a user each, told apart by a number in email and
// subject. Knows no sockets; whoever runs it gives key, time and names.
//
//   mint KEY.pem KID ISSUER AUDIENCE COUNT BYTES ISSUED EXPIRES > FILE
//
// BYTES: about how long a token is to be, reached by the length of the email. ISSUED, EXPIRES: seconds since 1970, in
// digits of the same number, so that lengths agree. One process a core writes each its part of the file.
#define _GNU_SOURCE
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what) {
  perror(what);
  exit(1);
}

static size_t base64url(const unsigned char *bytes, size_t length, char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  size_t n = 0;
  for (size_t i = 0; i < length; i += 3) {
    unsigned v = (unsigned)bytes[i] << 16;
    if (i + 1 < length) v |= (unsigned)bytes[i + 1] << 8;
    if (i + 2 < length) v |= bytes[i + 2];
    out[n++] = digits[v >> 18];
    out[n++] = digits[v >> 12 & 63];
    if (i + 1 < length) out[n++] = digits[v >> 6 & 63];
    if (i + 2 < length) out[n++] = digits[v & 63];
  }
  return n;
}

static char *kid, *issuer, *audience, *issued, *expires;
static EVP_PKEY *key;
static int padding;

static size_t mint(unsigned long number, char *out) {
  char text[8192], name[4096];
  unsigned char signature[1024];
  size_t signature_length = sizeof signature;
  snprintf(name, sizeof name, "%0*lu", padding, number);
  int length = snprintf(text, sizeof text, "{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", kid);
  size_t n = base64url((unsigned char *)text, (size_t)length, out);
  out[n++] = '.';
  length = snprintf(
      text, sizeof text,
      "{\"aud\":[\"%s\"],\"email\":\"u%s@example.com\",\"exp\":%s,\"iat\":%s,\"nbf\":%s,\"iss\":\"%s\",\"type\":\"app\","
      "\"identity_nonce\":\"6ei69kawdKzMIAPF\",\"sub\":\"7335d417-61da-459d-899c-%012lx\",\"country\":\"NL\"}",
      audience, name, expires, issued, issued, issuer, number);
  if (length >= (int)sizeof text) die("too long");
  n += base64url((unsigned char *)text, (size_t)length, out + n);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
      EVP_DigestSign(context, signature, &signature_length, (unsigned char *)out, n) != 1)
    die("sign");
  EVP_MD_CTX_free(context);
  out[n++] = '.';
  n += base64url(signature, signature_length, out + n);
  out[n++] = '\n';
  return n;
}

int main(int argc, char **argv) {
  if (argc != 9) return 64;
  FILE *file = fopen(argv[1], "r");
  key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
  if (!key) die(argv[1]);
  kid = argv[2], issuer = argv[3], audience = argv[4], issued = argv[7], expires = argv[8];
  unsigned long count = strtoul(argv[5], NULL, 10), wanted = strtoul(argv[6], NULL, 10);
  static char line[16384];
  size_t length;
  for (padding = 8; (length = mint(0, line)) < wanted && padding < 240;) padding++;
  long processes = sysconf(_SC_NPROCESSORS_ONLN);
  for (long p = 0; p < processes; p++) {
    if (fork() != 0) continue;
    for (unsigned long i = (unsigned long)p; i < count; i += (unsigned long)processes)
      if (mint(i, line) != length || pwrite(STDOUT_FILENO, line, length, (off_t)(i * length)) != (ssize_t)length)
        die("write");
    _exit(0);
  }
  int status, failed = 0;
  while (wait(&status) > 0) failed |= status;
  return failed != 0;
}
