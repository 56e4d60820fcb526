// Threads and signals: a pthread that runs a closure, and a loop's view of the process's signals (signalfd).

import CEvent
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

/// Whether the system may write this process's memory to a file when it crashes, and other processes of its user may read
/// it (prctl(2), PR_SET_DUMPABLE). For the process, from any thread.
public func allowMemoryDumps(_ isAllowed: Bool) { _ = cevent_set_dumpable(isAllowed ? 1 : 0) }

/// The signals that the program acts on.
public enum ProcessSignal: Int32, CaseIterable, Sendable {
  case terminate = 15
  case interrupt = 2
  case hangUp = 1
}

/// Delivers signals to a loop. Call `block` on the main thread before any other thread starts, so that all inherit it.
public final class SignalSource {
  private let descriptor: Int32
  private var watch: DescriptorWatch?

  private static var handled: sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in ProcessSignal.allCases { unsafe sigaddset(&set, signal.rawValue) }
    return set
  }

  /// Blocks the handled signals for this thread and those that it starts, and ignores SIGPIPE for the process.
  public static func block() {
    var set = handled
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    _ = signal(SIGPIPE, SIG_IGN)
  }

  /// - Parameter receive: runs on the loop's thread.
  public init(on loop: EventLoop, _ receive: @escaping (ProcessSignal) -> Void) throws(SystemError) {
    var set = Self.handled
    let descriptor = unsafe signalfd(-1, &set, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
    guard descriptor >= 0 else { throw SystemError("signalfd") }
    self.descriptor = descriptor
    watch = DescriptorWatch(descriptor, for: EV_READ, on: loop) {
      var info = signalfd_siginfo()
      let size = MemoryLayout<signalfd_siginfo>.size
      while unsafe read(descriptor, &info, size) == size {
        if let signal = ProcessSignal(rawValue: Int32(info.ssi_signo)) { receive(signal) }
      }
    }
  }

  deinit {
    watch = nil
    close(descriptor)
  }
}
