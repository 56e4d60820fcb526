// Field names and values that are not in an HTTP/1 head: of requests that arrive in another form, and of replies.

extension FieldName {
  /// Whether the bytes in `range` are this name, in any case. A range that does not lie within `bytes` is no name.
  public func equals(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard range.count == lowercase.count, range.lowerBound >= 0, range.upperBound <= bytes.count else { return false }
    for offset in 0..<lowercase.count where lowercased(bytes[range.lowerBound &+ offset]) != lowercase[offset] {
      return false
    }
    return true
  }
}

/// Whether bytes may leave as a field's name or value.
public enum FieldSyntax {
  /// A field name of RFC 9110, section 5.1: one `tchar` or more. No pseudo-field (`:path`) is one.
  public static func isName(_ bytes: Span<UInt8>) -> Bool {
    for index in 0..<bytes.count where !isTokenByte(bytes[index]) { return false }
    return bytes.count > 0
  }

  /// Only bytes from 0x20 to 0x7E, so no line can end in it, and it is UTF-8.
  public static func isPrintable(_ bytes: Span<UInt8>) -> Bool {
    for index in 0..<bytes.count where bytes[index] < 0x20 || bytes[index] > 0x7E { return false }
    return true
  }
}
