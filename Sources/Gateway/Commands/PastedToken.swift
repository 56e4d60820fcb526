// What people paste for a token, and the token in it. Pure; nothing is judged here.

enum PastedToken {
  /// The token in what somebody pasted: a header line, a `Cookie` line, `Bearer` before it, quotes and white space around
  /// it. What is none of these is handed on as it is, for the checks to say what is wrong with it.
  static func token(in bytes: [UInt8]) -> [UInt8] {
    var rest = bytes[...]
    while true {
      let before = rest
      rest = withoutQuotes(trimmed(rest))
      for prefix in prefixes where starts(rest, with: prefix) { rest = rest.dropFirst(prefix.utf8.count) }
      if let value = cookieValue(in: rest) { rest = value }
      if rest == before { return Array(rest) }
    }
  }

  /// In lower case; they are taken in any.
  private static let prefixes = [
    "-h ", "-b ", "--header ", "--cookie ", "cf-access-jwt-assertion:", "authorization:", "cookie:", "set-cookie:",
    "bearer ",
  ]
  private static let cookieName = "CF_Authorization="

  /// The value of the first cookie `CF_Authorization` among cookies; nil where there is none.
  private static func cookieValue(in bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    for cookie in bytes.split(separator: UInt8(ascii: ";")) {
      let cookie = trimmed(cookie)
      if cookie.starts(with: cookieName.utf8) {
        return cookie.dropFirst(cookieName.utf8.count)
      }
    }
    return nil
  }

  private static func starts(_ bytes: ArraySlice<UInt8>, with prefix: String) -> Bool {
    let start = bytes.prefix(prefix.utf8.count)
    return start.count == prefix.utf8.count
      && zip(start, prefix.utf8).allSatisfy { $0 == $1 || (0x41...0x5A).contains($0) && $0 | 0x20 == $1 }
  }

  private static func withoutQuotes(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard bytes.count >= 2, let quote = bytes.first, quote == bytes.last, "\"'`".utf8.contains(quote) else {
      return bytes
    }
    return bytes.dropFirst().dropLast()
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (9...13).contains($0) }
    var bytes = bytes.drop(while: isSpace)
    while let last = bytes.last, isSpace(last) { bytes.removeLast() }
    return bytes
  }
}
