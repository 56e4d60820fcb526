// A short constant text as bytes, for comparison with bytes from outside. No text from outside is ever kept here.

/// A constant of at most 24 bytes, written as a string literal: a member name such as `"kid"`, a value such as `"JWT"`.
///
/// It holds its bytes inline, so that a comparison touches no `String`. It is made from a literal in the source;
/// a literal of more than 24 bytes is a programmer's error and stops the program.
public struct ShortText: Sendable, ExpressibleByStringLiteral {
  @usableFromInline let bytes: InlineArray<24, UInt8>

  /// How many bytes, 0 to 24.
  public let count: Int

  /// Takes the UTF-8 bytes of a literal of at most 24 bytes.
  public init(stringLiteral literal: String) {
    var bytes = InlineArray<24, UInt8>(repeating: 0)
    var count = 0
    for byte in literal.utf8 {
      precondition(count < 24, "a ShortText holds at most 24 bytes")
      bytes[count] = byte
      count += 1
    }
    self.bytes = bytes
    self.count = count
  }

  /// Whether `other` holds exactly these bytes.
  public func equals(_ other: Span<UInt8>) -> Bool {
    guard other.count == count else { return false }
    for index in 0..<count where other[index] != bytes[index] { return false }
    return true
  }

  /// Whether the bytes of `source` in `range` are exactly these.
  func equals(_ source: Span<UInt8>, in range: Range<Int>) -> Bool {
    guard range.count == count else { return false }
    for index in 0..<count where source[range.lowerBound + index] != bytes[index] { return false }
    return true
  }
}
