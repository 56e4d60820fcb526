// What libevent has to say: its warnings go to whoever installed a receiver, and so does its last word before it ends
// the process. Without this it writes to stderr in a form of its own, and exits in silence.

import CEvent
import POSIX

/// How bad libevent thinks it is (`event_set_log_callback`).
public enum LibeventSeverity: Sendable {
  case debug, message, warning, error

  init(_ code: Int32) {
    switch code {
    case EVENT_LOG_DEBUG: self = .debug
    case EVENT_LOG_MSG: self = .message
    case EVENT_LOG_WARN: self = .warning
    default: self = .error
    }
  }
}

/// Receivers of libevent's log and of its two ways to end the process (evhttp's "illegal connection state", and a peer
/// address that getnameinfo cannot write).
public enum LibeventReports {
  /// Call once, before the first `EventLoop`. Both run on the thread where libevent speaks, which may hold none of the
  /// receiver's locks.
  ///
  /// - Parameters:
  ///   - log: gets each message. Many may come at once: limit what is written.
  ///   - fatal: gets the exit code that libevent wants. The process exits with it when this returns; a supervisor
  ///     starts the next one.
  public static func install(
    log: @escaping @Sendable (LibeventSeverity, String) -> Void, fatal: @escaping @Sendable (Int32) -> Void
  ) {
    receivers.withLock { $0 = Receivers(log: log, fatal: fatal) }
    // The callbacks are constants, and the text is libevent's own buffer, copied before they return.
    unsafe event_set_log_callback { severity, text in
      guard let text = unsafe text, let receivers = receivers.withLock({ $0 }) else { return }
      receivers.log(LibeventSeverity(severity), unsafe String(cString: text))
    }
    event_set_fatal_callback { code in receivers.withLock { $0 }?.fatal(code) }
  }
}

private struct Receivers: Sendable {
  var log: @Sendable (LibeventSeverity, String) -> Void
  var fatal: @Sendable (Int32) -> Void
}

/// libevent's callbacks get no context, so what they lead to is the process's.
private let receivers = Locked<Receivers?>(nil)
