// What `typ` may say (RFC 7515 section 4.1.9, RFC 8725 section 3.11): a media type, compared as media types are.

/// A value of the header's `typ`, such as `JWT` or `at+jwt`.
///
/// Two spellings are one value: letters are compared without case (RFC 2045 section 5.1), and `application/` before a
/// type without another slash may be left out (RFC 7515 section 4.1.9).
public struct TokenType: Sendable, Equatable {
  /// The longest name, in bytes, without `application/`.
  public static let maximumLength = 64
  /// `JWT`
  public static let jwt = TokenType(lowercased: Array("jwt".utf8))

  /// In lower case, without `application/`.
  private let name: [UInt8]

  private init(lowercased name: [UInt8]) { self.name = name }

  /// Nil unless `text` is 1 to 64 characters of a media type's name (RFC 6838 section 4.2), with or without
  /// `application/` before them.
  public init?(_ text: String) {
    var name = text.utf8.map(Self.lowercased)
    if Self.hasPrefix(name.span) { name.removeFirst(Self.prefix.count) }
    guard (1...Self.maximumLength).contains(name.count), name.allSatisfy(Self.isAllowed) else { return nil }
    self.name = name
  }

  /// The name in lower case, without `application/`.
  public var text: String { String(decoding: name, as: UTF8.self) }

  /// Whether the value of a header's `typ` is this type. Allocates nothing.
  func matches(_ value: JSONNode, in source: Span<UInt8>) -> Bool {
    guard value.kind == .string, value.range.upperBound <= source.count else { return false }
    if !value.hasEscapes { return matches(source.extracting(value.range)) }
    // Longer values than the longest name with its prefix are no value of ours.
    var unescaped = InlineArray<76, UInt8>(repeating: 0)
    var buffer = unescaped.mutableSpan
    guard let count = value.copyUnescaped(to: &buffer, in: source) else { return false }
    return matches(unescaped.span.extracting(0..<count))
  }

  private func matches(_ bytes: Span<UInt8>) -> Bool {
    var start = 0
    if bytes.count != name.count {
      guard bytes.count == name.count + Self.prefix.count, Self.hasPrefix(bytes) else { return false }
      start = Self.prefix.count
    }
    for at in name.indices where Self.lowercased(bytes[start + at]) != name[at] { return false }
    return true
  }

  private static let prefix: ShortText = "application/"

  private static func hasPrefix(_ bytes: Span<UInt8>) -> Bool {
    guard bytes.count >= prefix.count else { return false }
    for at in 0..<prefix.count where lowercased(bytes[at]) != prefix.bytes[at] { return false }
    return true
  }

  private static func lowercased(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x61...0x7A, 0x30...0x39: true
    default: "!#$&-^_.+".utf8.contains(byte)
    }
  }
}
