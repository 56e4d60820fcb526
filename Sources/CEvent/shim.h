// libevent 2.1 (core, extra, openssl) for Swift: the headers, and static inline wrappers for what Swift
// can't import (macros, variadics). Nothing else lives here.
#pragma once
#include <sys/select.h>

#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <event2/util.h>
