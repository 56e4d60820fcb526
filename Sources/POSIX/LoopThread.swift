// A pthread that runs a closure.

import Glibc

/// A thread of the operating system that runs one closure and ends. It is never joined.
public enum LoopThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// - Parameter name: at most 15 bytes; shown by `top -H` and debuggers.
  public static func start(_ name: String, _ run: @escaping @Sendable () -> Void) throws(SystemError) {
    var thread = pthread_t()
    let body = unsafe Unmanaged.passRetained(Body(run))
    let code = unsafe pthread_create(
      &thread, nil,
      { context in
        unsafe Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, body.toOpaque())
    guard code == 0 else {
      unsafe body.release()
      throw SystemError("pthread_create", code: code)
    }
    _ = unsafe pthread_setname_np(thread, name)
    _ = pthread_detach(thread)
  }
}
