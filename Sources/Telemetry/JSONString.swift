// How this program writes strings in JSON: the log, `/readyz`, the stand-in's claims. Writing only; reading is the Token
// room's. Pure.

/// A JSON string (RFC 8259 section 7) of printable ASCII alone, so that it can stand in a log or on a terminal, too.
public enum JSONString {
  /// The text in quotes.
  public static func quoted(_ text: String) -> String {
    var bytes: [UInt8] = [UInt8(ascii: "\"")]
    for scalar in text.unicodeScalars { append(scalar, to: &bytes) }
    bytes.append(UInt8(ascii: "\""))
    return String(decoding: bytes, as: UTF8.self)
  }

  /// An array of strings.
  public static func array(_ items: [String]) -> String { "[" + items.map(quoted).joined(separator: ",") + "]" }

  /// Appends one character as it stands inside quotes; beyond the basic plane as two `\uXXXX`.
  static func append(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
    switch scalar {
    case "\"": bytes += "\\\"".utf8
    case "\\": bytes += "\\\\".utf8
    case "\n": bytes += "\\n".utf8
    case "\r": bytes += "\\r".utf8
    case "\t": bytes += "\\t".utf8
    case " "..."~": bytes.append(UInt8(scalar.value))
    default:
      for unit in UTF16.encode(scalar)! {
        bytes += "\\u".utf8
        for shift in [12, 8, 4, 0] {
          let digit = UInt8(truncatingIfNeeded: unit >> UInt16(shift)) & 15
          bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
      }
    }
  }
}
