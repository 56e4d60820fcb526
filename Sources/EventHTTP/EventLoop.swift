// One libevent loop, its timers and its wake-ups. Everything here belongs to the thread that runs the loop, but for
// `WakeUp.notify`. No HTTP.

import CEvent
import Glibc

/// What went wrong when a resource of the operating system could not be had.
public struct SystemError: Error, CustomStringConvertible, Sendable {
  /// The call that failed, as `socket` or `bind 0.0.0.0:8000`.
  public let operation: String
  /// Its `errno`; 0 where there is none.
  public let code: Int32

  public init(_ operation: String, code: Int32 = errno) {
    self.operation = operation
    self.code = code
  }

  public var description: String {
    guard code != 0 else { return operation }
    return "\(operation): \(unsafe String(cString: strerror(code)))"
  }
}

/// An event loop: one `event_base`, used by one thread only (libevent's locks are off).
///
/// Other threads reach it by a `WakeUp` and a `Mailbox`, by nothing else. Whatever holds an event, a bufferevent or an
/// evhttp of a loop holds the loop too: freeing one of them reads the `event_base`.
@safe public final class EventLoop {
  let base: OpaquePointer
  /// CLOCK_MONOTONIC_COARSE in milliseconds would do for deadlines; kept as a function so that none is ever stale.
  var now: Int64 { Clock.monotonicMilliseconds }

  /// Makes a loop on epoll, with the change list on (two `epoll_ctl` fewer a reply that goes through evhttp).
  public init() throws(SystemError) {
    guard let config = unsafe event_config_new() else { throw SystemError("event_config_new") }
    defer { unsafe event_config_free(config) }
    let flags = EVENT_BASE_FLAG_NOLOCK.rawValue | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST.rawValue
    _ = unsafe event_config_set_flag(config, Int32(flags | EVENT_BASE_FLAG_IGNORE_ENV.rawValue))
    guard let base = unsafe event_base_new_with_config(config) else { throw SystemError("event_base_new") }
    unsafe self.base = unsafe base
  }

  deinit { unsafe event_base_free(base) }

  /// Runs until `stop`. Call on the thread that owns the loop.
  public func run() { _ = unsafe event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY) }

  /// Looks once at what is ready, runs its callbacks, and returns.
  func turn() { _ = unsafe event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) }

  /// Ends `run` after the callbacks that are due. Call on the loop's thread.
  public func stop() { _ = unsafe event_base_loopbreak(base) }
}

/// The clocks that the server reads; all by vDSO, none allocates.
public enum Clock {
  static func read(_ id: clockid_t) -> timespec {
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

/// A one-shot timer or a deferred call on a loop. Thread: the loop's.
@safe public final class LoopTimer {
  private var event: OpaquePointer?
  /// `event_free` reads the `event_base`, so whoever holds an event keeps its loop, whatever order its owner goes in.
  private let loop: EventLoop
  private let action: () -> Void

  /// - Parameter action: runs on the loop's thread. Capture weakly or unowned what owns the timer.
  public init(on loop: EventLoop, _ action: @escaping () -> Void) {
    self.loop = loop
    self.action = action
    unsafe event = unsafe event_new(
      loop.base, -1, 0,
      { _, _, context in
        unsafe Unmanaged<LoopTimer>.fromOpaque(context!).takeUnretainedValue().action()
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  deinit {
    if let event = unsafe event { unsafe event_free(event) }
  }

  /// Fires once after `milliseconds`, in place of an earlier schedule.
  public func schedule(afterMilliseconds milliseconds: Int64) {
    var interval = timeval(
      tv_sec: Int(milliseconds / 1000), tv_usec: Int(milliseconds % 1000) * 1000)
    _ = unsafe event_add(event, &interval)
  }

  /// Fires once in this turn of the loop, after the callbacks that are already due.
  public func fireSoon() { unsafe event_active(event, Int32(EV_TIMEOUT), 0) }

  /// Forgets a schedule.
  public func cancel() { _ = unsafe event_del(event) }
}

/// Runs a callback while a descriptor is readable or writable. Thread: the loop's. Does not own the descriptor.
@safe final class DescriptorWatch {
  private var event: OpaquePointer?
  /// As in `LoopTimer`.
  private let loop: EventLoop
  private let action: () -> Void

  init(_ descriptor: Int32, for what: Int32, on loop: EventLoop, _ action: @escaping () -> Void) {
    self.loop = loop
    self.action = action
    unsafe event = unsafe event_new(
      loop.base, descriptor, Int16(what | EV_PERSIST),
      { _, _, context in
        let watch = unsafe Unmanaged<DescriptorWatch>.fromOpaque(context!).takeUnretainedValue()
        watch.action()
      }, Unmanaged.passUnretained(self).toOpaque())
    _ = unsafe event_add(event, nil)
  }

  deinit {
    if let event = unsafe event { unsafe event_free(event) }
  }
}
