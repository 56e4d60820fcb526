// nghttp2 1.52 (at least Debian's 1.52.0-1+deb12u3) for Swift: the header, and static inline wrappers for what Swift can't
// import (macros, unions). Nothing else lives here.
#pragma once
#include <sys/select.h>

#include <malloc.h>
#include <nghttp2/nghttp2.h>

// The data source is a union with no member that is used: whose body it is follows from the stream.
static inline nghttp2_data_provider cnghttp2_data_provider(nghttp2_data_source_read_callback read) {
  nghttp2_data_provider provider = {.source = {.ptr = NULL}, .read_callback = read};
  return provider;
}
