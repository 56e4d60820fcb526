// libevent's own messages in the gateway's log, and its last one before it ends the process.

import EventLoops
import Glibc
import HTTPFetch
import HTTPServing
import POSIX
import Telemetry

enum LibeventLog {
  private static let limit = Locked(RateLimit(perSecond: 1, burst: 10))

  /// Before the first event loop is made.
  static func install(_ log: Log) {
    LibeventReports.install(
      log: { severity, text in
        let verdict = limit.withLock { $0.admit(atMilliseconds: Int(Clock.monotonicMilliseconds)) }
        // What is fatal is said whatever was said before: the process ends behind it.
        var held = 0
        if case .write(let suppressed) = verdict { held = suppressed } else if severity != .error { return }
        let level: LogLevel =
          switch severity {
          case .debug: .debug
          case .message: .info
          case .warning: .warning
          case .error: .error
          }
        log.line(level, "libevent", [("message", .string(text)), ("suppressed", .int(held))])
      },
      fatal: { code in
        log.error("libevent_fatal", ("exit_code", .int(Int(code))))
        log.flush(milliseconds: 1000)
        // Not exit(3): its handlers would run beside the other loops' threads.
        _exit(code == 0 ? 1 : code)
      })
  }
}
