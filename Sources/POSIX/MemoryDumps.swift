// Whether the process's memory may be written to disk or read by others.

import CLinux

/// Whether the system may write this process's memory to a file when it crashes, and other processes of its user may read
/// it (prctl(2), PR_SET_DUMPABLE). For the process, from any thread.
package func allowMemoryDumps(_ isAllowed: Bool) { _ = clinux_set_dumpable(isAllowed ? 1 : 0) }
