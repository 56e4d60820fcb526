// Log lines about denials: what the proxy says of the request, escaped and cut, rate-limited, never a token.

import EventLoops
import HTTPServing
import HTTPSyntax
import POSIX
import Telemetry
import Token

/// What a log line may tell of a request, copied out of its head in fixed space, for requests that wait too.
struct RequestDetails {
  private static let hostField: FieldName = "x-forwarded-host"
  private static let uriField: FieldName = "x-forwarded-uri"
  private static let forField: FieldName = "x-forwarded-for"

  private(set) var audience = ShortCopy()
  private(set) var host = ShortCopy()
  private(set) var uri = ShortCopy()
  private(set) var client = ShortCopy()

  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, audience: Range<Int>) {
    self.audience.copy(bytes, audience)
    Self.copyFirst(Self.hostField, head, bytes, to: &host)
    Self.copyFirst(Self.uriField, head, bytes, to: &uri)
    Self.copyFirst(Self.forField, head, bytes, to: &client)
  }

  private static func copyFirst(
    _ name: FieldName, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, to copy: inout ShortCopy
  ) {
    if let index = head.firstIndex(of: name, in: bytes) { copy.copy(bytes, head.field(index).value) }
  }
}

/// Up to 128 bytes of something longer.
struct ShortCopy {
  private var bytes = InlineArray<128, UInt8>(repeating: 0)
  private var count: UInt8 = 0
  private var isCut = false

  mutating func copy(_ source: Span<UInt8>, _ range: Range<Int>) {
    let kept = min(range.count, 128)
    for offset in 0..<kept { bytes[offset] = source[range.lowerBound + offset] }
    count = UInt8(kept)
    isCut = kept < range.count
  }

  /// Nil when nothing was copied. The log escapes what is no printable text. A query may carry a token, so what
  /// stands behind `?` is left out.
  var text: String? {
    guard count > 0 else { return nil }
    var kept: [UInt8] = []
    for offset in 0..<Int(count) {
      if bytes[offset] == UInt8(ascii: "?") { return String(decoding: kept, as: UTF8.self) + "?…" }
      kept.append(bytes[offset])
    }
    return String(decoding: kept, as: UTF8.self) + (isCut ? "…" : "")
  }
}

/// One a loop; at most 10 lines a second, with a word about those left out. Thread: the loop's.
final class DenialLog {
  private let log: Log
  private var limit = RateLimit(perSecond: 10, burst: 50)
  private var acceptLimit = RateLimit(perSecond: 1, burst: 1)
  private var suppressed = 0

  init(_ log: Log) { self.log = log }

  /// Whether a line about a denial would be written now; asks once for each denial.
  func admits() -> Bool {
    guard log.isEnabled(.info) else { return false }
    guard case .write(let count) = limit.admit(atMilliseconds: Int(Clock.monotonicMilliseconds)) else { return false }
    suppressed = count
    return true
  }

  func write(_ reason: Reason, _ request: RequestDetails) {
    var fields: [(StaticString, LogValue)] = [("reason", .string("\(reason.name)"))]
    if let audience = request.audience.text { fields.append(("audience", .string(audience))) }
    if let host = request.host.text { fields.append(("forwarded_host", .string(host))) }
    if let uri = request.uri.text { fields.append(("forwarded_uri", .string(uri))) }
    // Whoever reaches the listener can write this header.
    if let client = request.client.text { fields.append(("claimed_client", .string(client))) }
    if suppressed > 0 { fields.append(("suppressed", .int(suppressed))) }
    log.line(.info, "denied", fields)
  }

  /// accept(2) failed; said once a second at most.
  func acceptFailed(_ error: SystemError) {
    guard case .write = acceptLimit.admit(atMilliseconds: Int(Clock.monotonicMilliseconds)) else { return }
    log.error("accept_failed", ("error", .string(error.description)))
  }
}
