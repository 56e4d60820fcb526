// Calls of Linux that Swift's Glibc module lacks, and wrappers of variadic ones. Nothing else lives here.
#pragma once
#include <sys/select.h>

#include <linux/filter.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/socket.h>

// BPF_STMT is a macro. The program is `return index`; -1 where the kernel refuses it.
static inline int clinux_steer_reuseport(int descriptor, unsigned index) {
  struct sock_filter program[] = {BPF_STMT(BPF_RET | BPF_K, index)};
  struct sock_fprog all = {1, program};
  return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &all, sizeof all);
}

// prctl is variadic.
static inline int clinux_set_dumpable(int dumpable) { return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0); }
