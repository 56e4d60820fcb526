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

  /// Ignores SIGPIPE for the process, which would end it when a peer has closed. Call first of all.
  public static func ignoreBrokenPipes() { _ = signal(SIGPIPE, SIG_IGN) }

  /// Blocks the handled signals for this thread and those that it starts, and ignores SIGPIPE for the process.
  public static func block() {
    var set = handled
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    ignoreBrokenPipes()
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
