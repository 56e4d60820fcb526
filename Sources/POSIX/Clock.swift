// The kernel's clocks; no other file reads them.

import Glibc

/// The clocks that the server reads; all by vDSO, none allocates.
public enum Clock {
  /// The clocks that are read here always exist, so a failure cannot be met; it would read 0.
  package static func read(_ id: clockid_t) -> timespec {
    var time = timespec()
    // Safe: clock_gettime fills one timespec, which is this frame's own and alive for the call.
    _ = unsafe clock_gettime(id, &time)
    return time
  }

  /// Milliseconds of a clock that never steps, at the kernel's tick (1 to 4 ms): for deadlines.
  public static var monotonicMilliseconds: Int64 {
    let time = read(CLOCK_MONOTONIC_COARSE)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// Nanoseconds of a clock that never steps: for durations.
  public static var monotonicNanoseconds: UInt64 {
    let time = read(CLOCK_MONOTONIC)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Seconds since 1970 with the kernel's tick as resolution: what `exp`, `nbf` and `iat` are held against.
  public static var wallSeconds: Double {
    let time = read(CLOCK_REALTIME_COARSE)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// When the machine started, in seconds since 1970 by the clock of now.
  package static var machineStartSeconds: Double {
    let now = read(CLOCK_REALTIME)
    let sinceStart = read(CLOCK_BOOTTIME)
    return Double(now.tv_sec - sinceStart.tv_sec) + Double(now.tv_nsec - sinceStart.tv_nsec) / 1e9
  }
}
