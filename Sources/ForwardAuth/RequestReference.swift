// What a denial's reply and its log line have in common, so that the one leads to the other. Fixed space, no allocation.

import HTTPSyntax
import Telemetry

/// The value of `X-Request-Id`: 1 to 64 bytes, plain enough to be sent back and to be logged.
struct RequestReference {
  private static let field: FieldName = "x-request-id"

  private var bytes = InlineArray<64, UInt8>(repeating: 0)
  private var count: UInt8 = 0

  /// The request's own; nil where it has none or several, or one that is no token of RFC 9110 section 5.6.2, that is longer,
  /// or that looks like a part of a JWS: such a thing is never sent back.
  init?(_ head: borrowing RequestHead, _ source: Span<UInt8>) {
    guard case .one(let range) = head.value(of: Self.field, in: source), (1...64).contains(range.count) else {
      return nil
    }
    for place in range where !Self.isPlain(source[place]) { return nil }
    guard !TokenSearch.isToken(in: source.extracting(range)) else { return nil }
    for offset in 0..<range.count { bytes[offset] = source[range.lowerBound + offset] }
    count = UInt8(range.count)
  }

  /// 16 hexadecimal digits.
  fileprivate init(hexadecimal number: UInt64) {
    for place in 0..<16 {
      let digit = UInt8(truncatingIfNeeded: number >> UInt64(60 - 4 * place)) & 15
      bytes[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
    count = 16
  }

  func withBytes(_ body: (Span<UInt8>) -> Void) { body(bytes.span.extracting(0..<Int(count))) }

  var text: String {
    var kept: [UInt8] = []
    for place in 0..<Int(count) { kept.append(bytes[place]) }
    return String(decoding: kept, as: UTF8.self)
  }

  /// tchar of RFC 9110 section 5.6.2.
  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"),
      UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"),
      UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
      true
    default: false
    }
  }
}

/// Makes references for requests that bring none. One a loop; another loop and another process make others.
struct RequestReferences {
  private var state = UInt64.random(in: .min ... .max)

  /// The next of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators"): no two of 2^64 are the
  /// same. They are names, and no secrets.
  mutating func next() -> RequestReference {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return RequestReference(hexadecimal: mixed ^ mixed >> 31)
  }
}
