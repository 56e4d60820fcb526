// A loop's view of the process's signals (signalfd).

import CEvent
import Glibc
import POSIX

/// The signals that the program acts on.
public enum ProcessSignal: Int32, CaseIterable, Sendable {
  case terminate = 15
  case interrupt = 2
  case hangUp = 1
}

/// Delivers signals to a loop. `block` must have been called on the main thread before any other started: all inherit it.
public final class SignalSource {
  private let descriptor: Int32
  private var watch: DescriptorWatch?

  private static var handled: sigset_t {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in ProcessSignal.allCases { unsafe sigaddset(&set, signal.rawValue) }
    return set
  }

  /// Blocks the handled signals for this thread and those that it starts, and ignores SIGPIPE for the process. First of all
  /// in the program: a signal that comes before would kill a process that is about to serve.
  public static func block() {
    var set = handled
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    _ = signal(SIGPIPE, SIG_IGN)
  }

  /// Lets the handled signals act in their usual way again, for a program that has no `SignalSource` after all. One that
  /// has come meanwhile ends the process in this call. SIGPIPE stays ignored.
  public static func unblock() {
    var set = handled
    unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
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
