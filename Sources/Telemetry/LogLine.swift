// One log line as bytes: JSON or text, printable ASCII whatever the values hold, a newline at its end. No I/O, no clock.

import POSIX

/// How important a line is.
public enum LogLevel: UInt8, Sendable, Comparable {
  case debug, info, warning, error

  public static func < (one: LogLevel, other: LogLevel) -> Bool { one.rawValue < other.rawValue }

  var name: StaticString {
    switch self {
    case .debug: "debug"
    case .info: "info"
    case .warning: "warning"
    case .error: "error"
    }
  }
}

/// How lines are written.
public enum LogFormat: Sendable {
  /// `2026-11-23T15:04:05.678Z warning keys_refresh_failed why=timeout attempt=3`
  case text
  /// `{"ts":"2026-11-23T15:04:05.678Z","level":"warning","event":"keys_refresh_failed","why":"timeout","attempt":3}`
  case json
}

/// The value of a field. A string may come from anyone: what looks like a token in it is left out (`TokenSearch`), the rest
/// is escaped, and cut at 256 bytes of UTF-8.
public enum LogValue: Sendable, Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral
{
  case string(String)
  /// The `kid` of a public key, which its issuer publishes: left out only where it holds a JOSE header. Many are base64url
  /// and look like a part of a token.
  case keyIdentifier([UInt8])
  case int(Int)
  /// Written as null in JSON where it is not finite.
  case double(Double)
  case bool(Bool)

  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int) { self = .int(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// Builds one line.
struct LogLine {
  /// A longer string is cut here, at a scalar's boundary, and `...` follows.
  static let valueLimit = 256

  private(set) var bytes: [UInt8] = []
  private let format: LogFormat

  init(_ format: LogFormat, _ time: Timestamp, _ level: LogLevel, _ event: StaticString) {
    self.format = format
    bytes.reserveCapacity(256)
    switch format {
    case .json:
      append("{\"ts\":\"")
      time.append(to: &bytes)
      append("\",\"level\":\"")
      append(level.name)
      append("\",\"event\":\"")
      append(event)
      append("\"")
    case .text:
      time.append(to: &bytes)
      append(" ")
      append(level.name)
      append(" ")
      append(event)
    }
  }

  /// A line of the decision log: JSON, without a level.
  init(decisionAt time: Timestamp) {
    format = .json
    append("{\"ts\":\"")
    time.append(to: &bytes)
    append("\",\"event\":\"decision\"")
  }

  /// Nothing yet.
  fileprivate init() { format = .text }

  mutating func add(_ key: StaticString, _ value: LogValue) {
    append(format == .json ? ",\"" : " ")
    append(key)
    append(format == .json ? "\":" : "=")
    switch value {
    case .string(let text): appendString(TokenSearch.redact(text))
    case .keyIdentifier(let kid):
      let text = String(decoding: kid, as: UTF8.self)
      appendString(text.contains("eyJ") ? TokenSearch.redact(text) : text)
    case .int(let number): bytes += String(number).utf8
    case .double(let number) where format == .json && !number.isFinite: append("null")
    case .double(let number): bytes += String(number).utf8
    case .bool(let flag): append(flag ? "true" : "false")
    }
  }

  /// The line, ended.
  consuming func finished() -> [UInt8] {
    if format == .json { append("}") }
    append("\n")
    return bytes
  }

  private mutating func append(_ text: StaticString) {
    // A StaticString of one scalar has no pointer; `description` serves both forms.
    bytes += text.description.utf8
  }

  private mutating func appendString(_ text: String) {
    let bare = format == .text && !text.isEmpty && text.utf8.count <= LogLine.valueLimit && text.utf8.allSatisfy(isBare)
    if bare {
      bytes += text.utf8
      return
    }
    append("\"")
    var taken = 0
    for scalar in text.unicodeScalars {
      taken += UTF8.width(scalar)
      if taken > LogLine.valueLimit {
        append("...")
        break
      }
      // In both formats: a line break, a quote or a terminal's escape code in a value must not be able to end the value or
      // the line.
      JSONString.append(scalar, to: &bytes)
    }
    append("\"")
  }
}

/// Whether a byte may stand in a text value without quotes.
private func isBare(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"):
    true
  case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "/"),
    UInt8(ascii: "@"), UInt8(ascii: "+"), UInt8(ascii: "~"), UInt8(ascii: "["), UInt8(ascii: "]"):
    true
  default: false
  }
}
