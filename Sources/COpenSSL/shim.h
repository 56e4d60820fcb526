// OpenSSL 3 for Swift: the headers, and static inline wrappers for what Swift can't import (macros, variadics).
// Nothing else lives here.
#pragma once
#include <sys/select.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
