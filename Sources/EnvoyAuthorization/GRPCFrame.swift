// gRPC's framing of messages in a request or response body, and the words of its protocol that a server needs
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Nothing of HTTP/2 itself.

/// The status codes of gRPC that we say (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).
public enum GRPCStatus: UInt8, Equatable, Sendable {
  case ok = 0
  case deadlineExceeded = 4
  case notFound = 5
  case resourceExhausted = 8
  case unimplemented = 12
  case `internal` = 13
  case unavailable = 14
}

/// What a body holds so far, as the one message of a unary call.
public enum GRPCFrame: Equatable, Sendable {
  /// The most bytes of a message, 64 KiB. A larger one is refused by its prefix, before it has arrived.
  public static var maximumMessageBytes: Int { 65_536 }
  /// Bytes of a prefix: a flag, and the length as four bytes, the highest first.
  public static var prefixBytes: Int { 5 }

  /// All bytes so far can be the start of a good body.
  case incomplete
  /// The message's place; the body has ended behind it.
  case message(Range<Int>)
  /// No body that we accept, whatever may follow.
  case refused(GRPCRefusal)

  /// Judges a body. `hasEnded`: nothing follows (END_STREAM). A whole message is handed out only then, so that a second one
  /// cannot hide behind it.
  public static func read(_ body: Span<UInt8>, hasEnded: Bool) -> GRPCFrame {
    if body.count > 0, body[0] != 0 { return .refused(body[0] == 1 ? .compressed : .badFlag) }
    guard body.count >= prefixBytes else { return hasEnded ? .refused(.truncated) : .incomplete }
    let length = Int(body[1]) << 24 | Int(body[2]) << 16 | Int(body[3]) << 8 | Int(body[4])
    guard length <= maximumMessageBytes else { return .refused(.tooLarge) }
    let end = prefixBytes + length
    if body.count > end { return .refused(.severalMessages) }
    guard hasEnded else { return .incomplete }
    return body.count == end ? .message(prefixBytes..<end) : .refused(.truncated)
  }
}

/// Why a body is refused.
///
/// Where the call is `Check`, the answer is a denial (`CheckDecision.deny`) with gRPC status 0 and not `status`: Envoy with
/// `failure_mode_allow` lets a request in when it gets a gRPC error.
public enum GRPCRefusal: UInt8, CaseIterable, Equatable, Sendable {
  /// The message is compressed, and we have announced no encoding.
  case compressed
  /// The flag is neither 0 nor 1.
  case badFlag
  /// More than `GRPCFrame.maximumMessageBytes`.
  case tooLarge
  /// The body ends within a message, or before one.
  case truncated
  /// Something stands behind the one message of a unary call.
  case severalMessages

  /// What another call than `Check` ends with.
  public var status: GRPCStatus {
    switch self {
    case .compressed: .unimplemented
    case .tooLarge: .resourceExhausted
    case .badFlag, .truncated, .severalMessages: .internal
    }
  }

  /// A stable name for logs: `a-z` and `_`.
  public var name: StaticString {
    switch self {
    case .compressed: "compressed"
    case .badFlag: "bad_flag"
    case .tooLarge: "too_large"
    case .truncated: "truncated"
    case .severalMessages: "several_messages"
    }
  }
}

/// The calls that are answered.
public enum GRPCMethod: CaseIterable, Equatable, Sendable {
  case authorizationCheck
  case healthCheck
  case healthWatch

  /// The call whose `:path` this is, byte for byte; nil for any other: `GRPCStatus.unimplemented`.
  public init?(path: Span<UInt8>) {
    for method in Self.allCases where equal(path, method.path) {
      self = method
      return
    }
    return nil
  }

  private var path: [UInt8] {
    switch self {
    case .authorizationCheck: Self.paths[0]
    case .healthCheck: Self.paths[1]
    case .healthWatch: Self.paths[2]
    }
  }

  private static let paths = [
    Array("/envoy.service.auth.v3.Authorization/Check".utf8), Array("/grpc.health.v1.Health/Check".utf8),
    Array("/grpc.health.v1.Health/Watch".utf8),
  ]
}

/// How long a call may take: the value of `grpc-timeout`, one to eight digits and a unit.
public enum GRPCTimeout {
  /// The nanoseconds that `text` says; nil where it is no timeout. At most 99,999,999 hours, so it always fits.
  public static func nanoseconds(_ text: Span<UInt8>) -> UInt64? {
    guard (2...9).contains(text.count) else { return nil }
    var value: UInt64 = 0
    for index in 0..<text.count - 1 {
      guard (0x30...0x39).contains(text[index]) else { return nil }
      value = value * 10 + UInt64(text[index] - 0x30)
    }
    let unit: UInt64 =
      switch text[text.count - 1] {
      case UInt8(ascii: "H"): 3_600_000_000_000
      case UInt8(ascii: "M"): 60_000_000_000
      case UInt8(ascii: "S"): 1_000_000_000
      case UInt8(ascii: "m"): 1_000_000
      case UInt8(ascii: "u"): 1000
      case UInt8(ascii: "n"): 1
      default: 0
      }
    let (product, overflow) = value.multipliedReportingOverflow(by: unit)
    return unit == 0 ? nil : overflow ? .max : product
  }
}

/// Whether two runs of bytes are the same.
func equal(_ a: Span<UInt8>, _ b: [UInt8]) -> Bool {
  guard a.count == b.count else { return false }
  for index in 0..<b.count where a[index] != b[index] { return false }
  return true
}
