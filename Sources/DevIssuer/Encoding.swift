// How the stand-in writes bytes as text: base64url (RFC 4648 section 5) and hex.
// Writing only; reading what others wrote is the business of the gateway's own strict readers.

/// Base64url with no padding (RFC 7515 section 2).
public enum Base64URLEncoding {
  private static let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// Text of `bytes`: `ceil(8n / 6)` characters, trailing bits zero.
  public static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var out: [UInt8] = []
    var bits: UInt32 = 0
    var held = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      held += 8
      while held >= 6 {
        held -= 6
        out.append(alphabet[Int(bits >> UInt32(held) & 63)])
      }
    }
    if held > 0 { out.append(alphabet[Int(bits << UInt32(6 - held) & 63)]) }
    return String(decoding: out, as: UTF8.self)
  }
}

enum Hex {
  private static let digits = [UInt8]("0123456789abcdef".utf8)

  static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var out: [UInt8] = []
    for byte in bytes {
      out.append(digits[Int(byte >> 4)])
      out.append(digits[Int(byte & 15)])
    }
    return String(decoding: out, as: UTF8.self)
  }
}
