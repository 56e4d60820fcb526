// What this process has open, and how much it may.

import Glibc

/// How many descriptors this process has open; nil without /proc.
package func countOpenDescriptors() -> Int? {
  // The folder's own descriptor is one of them.
  Folder.count(in: "/proc/self/fd").map { max($0 - 1, 0) }
}

/// The soft limit of open descriptors; nil if there is none.
package func descriptorLimit() -> UInt64? {
  var limit = rlimit()
  // Safe: getrlimit fills one rlimit, which is this frame's own and alive for the call.
  guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur != rlim_t.max else {
    return nil
  }
  return UInt64(limit.rlim_cur)
}
