// Two floors on libevent's evhttp; both let everyone in.
//
//   evhttp PORT         evhttp as it comes: it parses the head, a callback answers 200
//   evhttp PORT stub    what a first-seen token costs at least: each head is replaced by a short stub before evhttp sees
//                       it, one RSA-2048 signature is verified (EVP_PKEY_verify, contexts reused), and the reply is
//                       written at once. Whole heads in one read only, which is all that the load sends.
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int stub_mode;
static EVP_PKEY_CTX *verify_context;
static unsigned char digest[32], signature[256];
static size_t signature_length = sizeof signature;

static void prepare_signature(void) {
  EVP_PKEY *key = EVP_RSA_gen(2048);
  memset(digest, 7, sizeof digest);
  EVP_PKEY_CTX *sign = EVP_PKEY_CTX_new(key, NULL);
  if (EVP_PKEY_sign_init(sign) != 1 || EVP_PKEY_CTX_set_rsa_padding(sign, RSA_PKCS1_PADDING) != 1 ||
      EVP_PKEY_CTX_set_signature_md(sign, EVP_sha256()) != 1 ||
      EVP_PKEY_sign(sign, signature, &signature_length, digest, sizeof digest) != 1)
    abort();
  EVP_PKEY_CTX_free(sign);
  verify_context = EVP_PKEY_CTX_new(key, NULL);
  if (EVP_PKEY_verify_init(verify_context) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(verify_context, RSA_PKCS1_PADDING) != 1 ||
      EVP_PKEY_CTX_set_signature_md(verify_context, EVP_sha256()) != 1)
    abort();
}

static void input_came(struct evbuffer *input, const struct evbuffer_cb_info *info, void *context) {
  static int editing;
  (void)context;
  if (info->n_added == 0 || editing) return;
  size_t length = evbuffer_get_length(input);
  char end[4];
  struct evbuffer_ptr at;
  if (length < 4 || evbuffer_ptr_set(input, &at, length - 4, EVBUFFER_PTR_SET) != 0 ||
      evbuffer_copyout_from(input, &at, end, 4) != 4 || memcmp(end, "\r\n\r\n", 4) != 0)
    return;
  editing = 1;
  evbuffer_drain(input, length);
  evbuffer_add(input, "GET / HTTP/1.1\r\n\r\n", 18);
  editing = 0;
}

static struct bufferevent *make(struct event_base *base, void *context) {
  (void)context;
  struct bufferevent *made = bufferevent_socket_new(base, -1, 0);
  if (stub_mode) evbuffer_add_cb(bufferevent_get_input(made), input_came, NULL);
  return made;
}

static const char *date(void) {
  static char text[64];
  static time_t made;
  time_t now = time(NULL);
  if (now != made) {
    struct tm parts;
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
    made = now;
  }
  return text;
}

static void answer(struct evhttp_request *request, void *context) {
  (void)context;
  struct evkeyvalq *fields = evhttp_request_get_output_headers(request);
  evhttp_add_header(fields, "X-Auth-User", "someone@example.com");
  evhttp_add_header(fields, "X-Auth-Email", "someone@example.com");
  evhttp_add_header(fields, "X-Auth-Kind", "user");
  evhttp_add_header(fields, "X-Auth-Subject", "7335d417-61da-459d-899c-0a01c76a2f94");
  evhttp_add_header(fields, "X-Auth-Expires", "1800000000");
  if (!stub_mode) {
    evhttp_send_reply(request, 200, "OK", NULL);
    return;
  }
  int good = EVP_PKEY_verify(verify_context, signature, signature_length, digest, sizeof digest) == 1;
  evhttp_add_header(fields, "Date", date());
  evhttp_add_header(fields, "Content-Type", "text/plain");
  struct bufferevent *connection = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
  evhttp_send_reply(request, good ? 200 : 401, good ? "OK" : "Unauthorized", NULL);
  struct evbuffer *output = bufferevent_get_output(connection);
  evbuffer_unfreeze(output, 1);
  evbuffer_write(output, bufferevent_getfd(connection));
  evbuffer_freeze(output, 1);
  if (evbuffer_get_length(output) == 0) {
    bufferevent_disable(connection, EV_WRITE);
    bufferevent_trigger(connection, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) return 64;
  stub_mode = argc > 2;
  if (stub_mode) prepare_signature();
  struct event_config *config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | (stub_mode ? EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST : 0));
  struct event_base *base = event_base_new_with_config(config);
  struct evhttp *server = evhttp_new(base);
  evhttp_set_bevcb(server, make, NULL);
  evhttp_set_gencb(server, answer, NULL);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct evconnlistener *listener = evconnlistener_new_bind(
      base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096, (struct sockaddr *)&address, sizeof address);
  if (!listener || !evhttp_bind_listener(server, listener)) {
    perror("listen");
    return 1;
  }
  event_base_dispatch(base);
}
