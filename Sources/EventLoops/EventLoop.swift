// One libevent loop, its timers and its wake-ups. Everything here belongs to the thread that runs the loop, but for
// `WakeUp.notify`. No HTTP.

import CEvent
import Glibc
import POSIX

/// An event loop: one `event_base`, used by one thread only (libevent's locks are off).
///
/// Other threads reach it by a `WakeUp` and a `Mailbox`, by nothing else. Whatever holds an event, a bufferevent or an
/// evhttp of a loop holds the loop too: freeing one of them reads the `event_base`.
@safe public final class EventLoop {
  package let base: OpaquePointer
  /// CLOCK_MONOTONIC_COARSE in milliseconds would do for deadlines; kept as a function so that none is ever stale.
  package var now: Int64 { Clock.monotonicMilliseconds }

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
  package func turn() { _ = unsafe event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) }

  /// Ends `run` after the callbacks that are due. Call on the loop's thread.
  public func stop() { _ = unsafe event_base_loopbreak(base) }
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
@safe package final class DescriptorWatch {
  private var event: OpaquePointer?
  /// As in `LoopTimer`.
  private let loop: EventLoop
  private let action: () -> Void

  package init(_ descriptor: Int32, for what: Int32, on loop: EventLoop, _ action: @escaping () -> Void) {
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
