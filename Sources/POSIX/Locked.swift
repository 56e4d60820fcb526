// A value behind a lock. A pthread mutex and not Synchronization.Mutex, for one reason: the thread sanitizer knows pthread
// mutexes, and does not see the slow path of Swift 6.3's Mutex (a futex inside a library that is not instrumented), so
// that it reports what two threads do in turn under one. Our own tests under the thread sanitizer are worth a lock.

import Glibc

/// A value that is only reached under its lock. Not recursive. From any thread.
///
/// Safe: the two pointers are allocated here, never leave, and are freed once, in `deinit`, when no call can be under
/// way any more; the value is touched between lock and unlock alone.
@safe public struct Locked<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let value: UnsafeMutablePointer<Value>

  public init(_ value: consuming sending Value) {
    unsafe mutex = .allocate(capacity: 1)
    unsafe self.value = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe self.value.initialize(to: value)
  }

  deinit {
    unsafe value.deinitialize(count: 1)
    unsafe value.deallocate()
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Runs `body` on the value under the lock; keep it short, and call nothing that may wait.
  public borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return try unsafe body(&value.pointee)
  }
}
