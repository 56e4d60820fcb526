// Log lines about denials: what the proxy says of the request, escaped and cut, rate-limited, never a token.

import Authorization
import EventLoops
import HTTPServing
import HTTPSyntax
import POSIX
import Policy
import Telemetry
import Token

/// What a log line may tell of a request, copied out of its head in fixed space, for requests that wait too.
struct RequestDetails {
  private static let hostField: FieldName = "x-forwarded-host"
  private static let uriField: FieldName = "x-forwarded-uri"
  private static let forField: FieldName = "x-forwarded-for"
  private static let rayField: FieldName = "cf-ray"

  private(set) var audience = ShortCopy<128>()
  private(set) var host = ShortCopy<128>()
  private(set) var uri = ShortCopy<128>()
  private(set) var client = ShortCopy<128>()
  private(set) var ray = ShortCopy<32>()
  /// Of the original request, for applications alone.
  private(set) var original: OriginalDetails?
  /// The request's own; nil where it brings none that may be sent back.
  let reference: RequestReference?

  init(_ request: AuthRequest, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ rules: Rules) {
    reference = RequestReference(head, bytes)
    if case .application = request.target, let policies = rules.policies {
      original = OriginalDetails(request.facts, bytes, policies.trustedProxies)
    }
    let audience = request.segment
    self.audience.copy(bytes, audience)
    Self.copyFirst(Self.rayField, head, bytes, to: &ray)
    Self.copyFirst(Self.hostField, head, bytes, to: &host)
    Self.copyFirst(Self.uriField, head, bytes, to: &uri)
    Self.copyFirst(Self.forField, head, bytes, to: &client)
  }

  private static func copyFirst<let capacity: Int>(
    _ name: FieldName, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, to copy: inout ShortCopy<capacity>
  ) {
    if let index = head.firstIndex(of: name, in: bytes) { copy.copy(bytes, head.field(index).value) }
  }
}

/// What an application's policies were asked about.
struct OriginalDetails {
  private(set) var method = ShortCopy<32>()
  private(set) var host = ShortCopy<128>()
  private(set) var target = ShortCopy<128>()
  let client: OriginalRequest.Client

  init(_ facts: RequestFacts, _ bytes: Span<UInt8>, _ trusted: [Network]) {
    client = OriginalRequest(facts, in: bytes, trusted: trusted).client
    if let range = facts.method.range { method.copy(bytes, range) }
    if let range = facts.host.range { host.copy(bytes, range) }
    if let range = facts.target.range { target.copy(bytes, range) }
  }
}

/// Up to `capacity` bytes, at most 255, of something longer.
struct ShortCopy<let capacity: Int> {
  private var bytes = InlineArray<capacity, UInt8>(repeating: 0)
  private var count: UInt8 = 0
  private var isCut = false

  mutating func copy(_ source: Span<UInt8>, _ range: Range<Int>) {
    let kept = min(range.count, capacity)
    for offset in 0..<kept { bytes[offset] = source[range.lowerBound + offset] }
    count = UInt8(kept)
    isCut = kept < range.count
  }

  /// Nil when nothing was copied. The log escapes what is no printable text, and leaves tokens out. A query may carry
  /// anything, so what stands behind `?` is left out too, also behind an encoded one.
  var text: String? {
    guard count > 0 else { return nil }
    var kept: [UInt8] = []
    for offset in 0..<Int(count) {
      if bytes[offset] == UInt8(ascii: "?") || isEncodedQuestionMark(at: offset) {
        return String(decoding: kept, as: UTF8.self) + "?…"
      }
      kept.append(bytes[offset])
    }
    return String(decoding: kept, as: UTF8.self) + (isCut ? "…" : "")
  }

  /// `%3F`, `%253f` and so on.
  private func isEncodedQuestionMark(at offset: Int) -> Bool {
    guard bytes[offset] == UInt8(ascii: "%") else { return false }
    var at = offset + 1
    while at + 4 <= Int(count), bytes[at] == UInt8(ascii: "2"), bytes[at + 1] == UInt8(ascii: "5") { at += 2 }
    return at + 2 <= Int(count) && bytes[at] == UInt8(ascii: "3") && bytes[at + 1] | 0x20 == UInt8(ascii: "f")
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

  /// - Parameters:
  ///   - reference: what the reply says in `X-Request-Id`.
  ///   - token: what was judged; empty where there was none. What it claims is said to be claimed.
  func write(
    _ denial: Denial, _ rules: Rules, _ request: RequestDetails, _ reference: RequestReference, token: Span<UInt8>
  ) {
    write("denied", denial.reason.name, denial.application, denial.policy, rules, request, reference, token: token)
  }

  /// What `mode: report` let in.
  func writeReport(
    _ allowance: Allowance, _ rules: Rules, _ request: RequestDetails, _ reference: RequestReference
  ) {
    guard let decision = allowance.decision else { return }
    write(
      "reported", decision.reason.name, allowance.application, decision.policy, rules, request, reference,
      token: Span())
  }

  private func write(
    _ event: StaticString, _ reason: StaticString, _ application: Int?, _ policy: Int?, _ rules: Rules,
    _ request: RequestDetails, _ reference: RequestReference, token: Span<UInt8>
  ) {
    var fields: [(StaticString, LogValue)] = [("reason", .string("\(reason)"))]
    if let policies = rules.policies {
      if let application { fields.append(("application", .string(policies.name(of: application)))) }
      if let policy { fields.append(("policy", .string(policies.policyName(policy)))) }
    }
    if let audience = request.audience.text { fields.append(("audience", .string(audience))) }
    if let host = request.host.text { fields.append(("forwarded_host", .string(host))) }
    if let uri = request.uri.text { fields.append(("forwarded_uri", .string(uri))) }
    // Whoever reaches the listener can write this header.
    if let client = request.client.text { fields.append(("claimed_client", .string(client))) }
    fields += ClaimedIdentity.fields(of: token)
    if let ray = request.ray.text { fields.append(("cf_ray", .string(ray))) }
    fields.append(("request_id", .string(reference.text)))
    if suppressed > 0 { fields.append(("suppressed", .int(suppressed))) }
    log.line(.info, event, fields)
  }

  /// accept(2) failed; said once a second at most.
  func acceptFailed(_ error: SystemError) {
    guard case .write = acceptLimit.admit(atMilliseconds: Int(Clock.monotonicMilliseconds)) else { return }
    log.error("accept_failed", ("error", .string(error.description)))
  }
}
