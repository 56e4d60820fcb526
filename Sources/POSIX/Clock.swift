// The kernel's clocks; no other file reads them.

import Glibc

/// The clocks that the server reads; all by vDSO, none allocates.
public enum Clock {
  package static func read(_ id: clockid_t) -> timespec {
    var time = timespec()
    unsafe clock_gettime(id, &time)
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
}
