// The calls into C that log and metrics need; the only `unsafe` of this module. Nothing here decides anything.

import Glibc

/// A moment of the real-time clock.
public struct Timestamp: Equatable, Sendable {
  /// Seconds since 1970, UTC.
  public var seconds: Int
  /// 0...999.
  public var milliseconds: Int

  public init(seconds: Int, milliseconds: Int) {
    self.seconds = seconds
    self.milliseconds = milliseconds
  }

  /// CLOCK_REALTIME, now.
  public static func now() -> Timestamp {
    let time = clock(CLOCK_REALTIME)
    return Timestamp(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
  }
}

/// A clock's time. The clocks that this module asks for always exist, so a failure cannot be met; it would read 0.
package func clock(_ id: clockid_t) -> timespec {
  var time = timespec()
  // Safe: clock_gettime fills one timespec, which is this frame's own and alive for the call.
  _ = unsafe clock_gettime(id, &time)
  return time
}

/// Writes all of `bytes` to a descriptor, waiting as long as that takes; a non-blocking one is polled.
///
/// - Returns: false if the descriptor refuses (closed, full disk, reader gone), perhaps after a part was written.
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  var written = 0
  while written < bytes.count {
    // Safe: the pointer and count are those of the rest of `bytes`, which is not changed meanwhile, and write(2) only
    // reads from it.
    let result = unsafe bytes.withUnsafeBytes {
      unsafe write(descriptor, $0.baseAddress! + written, $0.count - written)
    }
    if result > 0 {
      written += result
    } else if result < 0, errno == EAGAIN {
      var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      // Safe: one pollfd of this frame's own, alive for the call.
      if unsafe poll(&wait, 1, -1) < 0, errno != EINTR { return false }
    } else if !(result < 0 && errno == EINTR) {
      return false
    }
  }
  return true
}

/// The first 4,095 bytes of a small file, such as those in /proc; nil if it cannot be read.
package func readSmallFile(_ path: String) -> [UInt8]? {
  // Safe: the bridged C string ends with NUL and lives for the call, which only reads it.
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes = [UInt8](repeating: 0, count: 4095)
  // Safe: read(2) writes at most the array's own count into it, and the array is not touched meanwhile.
  let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress!, $0.count) }
  guard count >= 0 else { return nil }
  return Array(bytes.prefix(count))
}

/// How many descriptors this process has open; nil without /proc.
package func countOpenDescriptors() -> Int? {
  // Safe: opendir gives nil or a stream that stays valid until closedir, which is called once; readdir's result is
  // only compared with nil, and no other thread has this stream.
  guard let folder = unsafe opendir("/proc/self/fd") else { return nil }
  var entries = 0
  while unsafe readdir(folder) != nil {
    entries += 1
  }
  _ = unsafe closedir(folder)
  // `.`, `..` and the folder's own descriptor.
  return max(entries - 3, 0)
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
