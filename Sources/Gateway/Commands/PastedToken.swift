// The token in what people paste for `explain`: a header line, a cookie line, an `Authorization` value, quotes. Pure.

enum PastedToken {
  /// The token in `text`: without white space and quotes around it, without a header's or a cookie's name before it and other
  /// cookies behind it. What is none of these stays as it is, and is judged as it is.
  static func find(in text: [UInt8]) -> [UInt8] {
    var rest = trimmed(text[...])
    for name in ["cf-access-jwt-assertion:", "cookie:", "authorization:"] {
      if let behind = dropping(name, from: rest) { rest = trimmed(behind) }
    }
    for scheme in ["bearer ", "bearer\t"] {
      if let behind = dropping(scheme, from: rest) { rest = trimmed(behind) }
    }
    for cookie in rest.split(separator: UInt8(ascii: ";")) {
      if let behind = dropping("cf_authorization=", from: trimmed(cookie)) { rest = behind }
    }
    return Array(trimmed(rest))
  }

  /// What stands behind `prefix`, in any case; nil where it does not begin so.
  private static func dropping(_ prefix: String, from text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard String(decoding: text.prefix(prefix.utf8.count), as: UTF8.self).lowercased() == prefix else { return nil }
    return text.dropFirst(prefix.utf8.count)
  }

  /// Without white space and quotes at both ends: no token has them, and terminals and JSON put them there.
  private static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    func isAround(_ byte: UInt8) -> Bool {
      byte == 0x20 || (9...13).contains(byte) || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'")
    }
    var text = text.drop(while: isAround)
    while let last = text.last, isAround(last) { text.removeLast() }
    return text
  }
}
