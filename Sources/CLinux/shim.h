// Calls of Linux that Swift's Glibc module lacks, and wrappers of variadic ones. Nothing else lives here.
#pragma once
#include <sys/select.h>

#include <malloc.h>
#include <sys/prctl.h>

// prctl is variadic.
static inline int clinux_set_dumpable(int dumpable) { return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0); }
