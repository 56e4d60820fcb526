// OpenSSL 3 for Swift: the headers, and static inline wrappers for what Swift can't import (macros, variadics).
// Nothing else lives here.
#pragma once
#include <sys/select.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// EVP_PKEY_PUBLIC_KEY is an expression over other macros.
static inline int copenssl_pkey_fromdata_public(EVP_PKEY_CTX *ctx, EVP_PKEY **out, OSSL_PARAM *params) {
  return EVP_PKEY_fromdata(ctx, out, EVP_PKEY_PUBLIC_KEY, params);
}

// Swift imports string macros as Strings and passes copies that end with the call, but a parameter keeps the pointer to
// its name: these pointers are good for ever.
static inline const char *copenssl_name_rsa_n(void) { return OSSL_PKEY_PARAM_RSA_N; }
static inline const char *copenssl_name_rsa_e(void) { return OSSL_PKEY_PARAM_RSA_E; }
static inline const char *copenssl_name_group(void) { return OSSL_PKEY_PARAM_GROUP_NAME; }
static inline const char *copenssl_name_public_key(void) { return OSSL_PKEY_PARAM_PUB_KEY; }

// EVP_RSA_gen is a macro over the variadic EVP_PKEY_Q_keygen.
static inline EVP_PKEY *copenssl_generate_rsa(size_t bits) {
  return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
}

// EVP_EC_gen is a macro over the variadic EVP_PKEY_Q_keygen.
static inline EVP_PKEY *copenssl_generate_ec(const char *curve) {
  return EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);
}

// EVP_PKEY_Q_keygen is variadic; Ed25519 and Ed448 take no parameter.
static inline EVP_PKEY *copenssl_generate_edwards(const char *name) {
  return EVP_PKEY_Q_keygen(NULL, NULL, name);
}

// BIO_get_mem_data is a macro over BIO_ctrl.
static inline long copenssl_bio_bytes(BIO *bio, char **bytes) {
  return BIO_get_mem_data(bio, bytes);
}

// BIO_eof is a macro over BIO_ctrl.
static inline int copenssl_bio_eof(BIO *bio) {
  return (int)BIO_eof(bio);
}

// SHA-256 whose state is a plain value of the caller's: the EVP interface of OpenSSL 3.0 allocates its state anew at
// each init, and the token cache digests once a request. The code behind is the same (SHA extensions where there
// are some). OpenSSL marks these functions as deprecated in favour of EVP; they have wrappers so that the mark is
// answered here, once.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
static inline int copenssl_sha256_init(SHA256_CTX *state) {
  return SHA256_Init(state);
}
static inline int copenssl_sha256_update(SHA256_CTX *state, const void *bytes, size_t count) {
  return SHA256_Update(state, bytes, count);
}
static inline int copenssl_sha256_final(unsigned char *digest, SHA256_CTX *state) {
  return SHA256_Final(digest, state);
}
#pragma clang diagnostic pop
// Macros over SSL_CTX_ctrl and SSL_ctrl.
static inline int copenssl_ctx_require_tls12(SSL_CTX *context) {
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

static inline int copenssl_set_sni(SSL *session, const char *host) {
  return (int)SSL_set_tlsext_host_name(session, host);
}

// SSL_OP_NO_RENEGOTIATION is an expression over a macro with an argument.
static inline void copenssl_ctx_refuse_renegotiation(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
}

// ERR_SYSTEM_ERROR and ERR_GET_REASON are macros over a cast: the errno that an error stands for; 0: for none.
static inline int copenssl_system_error(unsigned long code) {
  return ERR_SYSTEM_ERROR(code) ? ERR_GET_REASON(code) : 0;
}

// Macros over SSL_CTX_ctrl, for a server (Sources/TLS).
static inline void copenssl_ctx_forget_sessions(SSL_CTX *context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}
static inline void copenssl_ctx_set_modes(SSL_CTX *context) {
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}
// SSL_OP_BIT is a macro of casts, so the options are no constants to Swift.
static inline void copenssl_ctx_refuse_resumption(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE);
}

// Type-safe stacks are macros.
static inline int copenssl_general_names_count(const GENERAL_NAMES *names) {
  return sk_GENERAL_NAME_num(names);
}
static inline const GENERAL_NAME *copenssl_general_name(const GENERAL_NAMES *names, int index) {
  return sk_GENERAL_NAME_value(names, index);
}
// GENERAL_NAME holds a union by type: a dNSName or URI as its IA5String, else NULL.
static inline const ASN1_IA5STRING *copenssl_general_name_text(const GENERAL_NAME *name, int type) {
  return name->type == type && (type == GEN_DNS || type == GEN_URI) ? name->d.ia5 : NULL;
}
static inline void copenssl_general_names_free(GENERAL_NAMES *names) {
  GENERAL_NAMES_free(names);
}
// X509V3_set_ctx_nodb is a macro; the value is a text of ours.
static inline X509_EXTENSION *copenssl_extension(int nid, X509 *issuer, X509 *subject, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, subject, NULL, NULL, 0);
  return X509V3_EXT_conf_nid(NULL, &context, nid, value);
}
static inline int copenssl_ctx_add_chain(SSL_CTX *context, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

// ERR_GET_LIB and ERR_GET_REASON are functions in a header; the reasons are macros.
static inline int copenssl_is_end_of_pem(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}
static inline int copenssl_is_unexpected_end(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}
static inline int copenssl_ctx_limit_version(SSL_CTX *context, int lowest, int highest) {
  return SSL_CTX_set_min_proto_version(context, lowest) && SSL_CTX_set_max_proto_version(context, highest);
}
