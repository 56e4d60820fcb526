// Log lines about requests that are answered and never judged, because somebody's configuration is wrong: what came and
// what to change. Rate-limited, cut, without queries, never a token.

import EventLoops
import HTTPServing
import HTTPSyntax
import POSIX
import Telemetry

/// One a loop; at most a line a second in the long run, with a word about those left out. Thread: the loop's.
final class MistakeLog {
  private let log: Log
  private let maxHeadBytes: Int
  private var limit = RateLimit(perSecond: 1, burst: 10)

  /// - Parameter maxHeadBytes: the setting, to be named.
  init(_ log: Log, maxHeadBytes: Int) {
    self.log = log
    self.maxHeadBytes = maxHeadBytes
  }

  /// A well-formed request for a path that asks about no audience.
  func notFound(_ target: Span<UInt8>) {
    write("not_found", change: Self.advice(target), target)
  }

  /// A head that is refused. Only what a wrong configuration brings about is worth a line: all else are strangers.
  func refused(_ refusal: Refusal, _ bytes: Span<UInt8>) {
    switch refusal {
    case .targetTooLong, .headTooLarge:
      write(
        "refused",
        change: "max_head_bytes, \(maxHeadBytes) now, or what makes the request so long",
        bytes.extracting(Self.target(of: bytes)), refusal)
    case .tooManyFieldLines:
      write(
        "refused", change: "send at most \(HeadLimits().maxFieldLines) header lines",
        bytes.extracting(Self.target(of: bytes)), refusal)
    case .badRequestLine, .badTarget, .badFieldLine:
      switch ForeignProtocol(bytes) {
      case .tls:
        write("refused", change: "use http:// here: TLS came in on a plain listener", nothing.span, refusal)
      case .proxyHeader:
        write(
          "refused", change: "switch off send-proxy: a PROXY header came in, and none is read", nothing.span, refusal)
      case nil: break
      }
    case .badHost, .badFraming, .badExpect, .headTimeout, .methodNotImplemented, .codingNotImplemented,
      .tooManyConnections,
      .tooManyPartialHeads, .versionNotSupported:
      break
    }
  }

  /// A client of a TLS listener that does not trust its certificate, shows none, or speaks no TLS.
  func handshakeFailed(_ reason: String) {
    guard log.isEnabled(.info),
      case .write(let suppressed) = limit.admit(atMilliseconds: Int(Clock.monotonicMilliseconds))
    else { return }
    log.line(
      .info, "handshake_failed", [("reason", .string(reason)), ("suppressed", .int(suppressed))])
  }

  private func write(
    _ event: StaticString, change: @autoclosure () -> String, _ target: Span<UInt8>, _ refusal: Refusal? = nil
  ) {
    guard log.isEnabled(.info),
      case .write(let suppressed) = limit.admit(atMilliseconds: Int(Clock.monotonicMilliseconds))
    else { return }
    var fields: [(StaticString, LogValue)] = []
    if let refusal { fields.append(("reason", .string("\(refusal.name)"))) }
    if let text = Self.text(target) { fields.append(("target", .string(text))) }
    fields.append(("change", .string(change())))
    if suppressed > 0 { fields.append(("suppressed", .int(suppressed))) }
    log.line(.info, event, fields)
  }

  /// What to write in place of a target, in the proxy's configuration.
  static func advice(_ target: Span<UInt8>) -> String {
    let prefix = Array("/auth/".utf8)
    let isAuth = target.count >= prefix.count && prefix.indices.allSatisfy { target[$0] == prefix[$0] }
    guard isAuth else { return "ask for /auth/<audience>, the audience being the application's AUD tag" }
    guard target.count > prefix.count, target[prefix.count] != UInt8(ascii: "/"),
      target[prefix.count] != UInt8(ascii: "?")
    else { return "write the application's AUD tag behind /auth/" }
    switch target[prefix.count] {
    case UInt8(ascii: "<"), UInt8(ascii: "{"), UInt8(ascii: "$"), UInt8(ascii: "%"):
      return "write the application's AUD tag itself behind /auth/, in place of a placeholder"
    default:
      return "write an AUD tag behind /auth/: 1 to 128 of A-Z a-z 0-9 . _ ~ -"
    }
  }

  /// The target of a request line that may be incomplete, as far as it is here.
  private static func target(of bytes: Span<UInt8>) -> Range<Int> {
    var start = 0
    while start < bytes.count, start < 32, bytes[start] != UInt8(ascii: " ") { start += 1 }
    guard start < bytes.count, bytes[start] == UInt8(ascii: " ") else { return 0..<0 }
    start += 1
    var end = start
    while end < bytes.count, end - start <= 128, bytes[end] > UInt8(ascii: " ") { end += 1 }
    return start..<end
  }

  /// The log escapes what is no printable text, and leaves tokens out. Nil where there is nothing.
  private static func text(_ target: Span<UInt8>) -> String? {
    var copy = ShortCopy<128>()
    copy.copy(target, target.indices)
    return copy.text
  }
}

/// What is said of a target that is not here.
private let nothing: [UInt8] = []
