// What a JSON string says: UTF-8 sequences, escapes, comparison and copies of the unescaped value.
// Nothing here trusts that the bytes were checked before: whatever does not hold ends the text instead of trapping.

/// The rules of characters inside a JSON string (RFC 8259 section 7, RFC 3629 section 4).
enum JSONText {
  /// The length of the well-formed UTF-8 sequence of two to four bytes at `at`, else nil: no overlong forms, no
  /// surrogates, nothing above U+10FFFF (the table of RFC 3629 section 4).
  static func sequenceLength(_ source: Span<UInt8>, at: Int) -> Int? {
    let length: Int
    var lowest: UInt8 = 0x80
    var highest: UInt8 = 0xBF
    switch source[at] {
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, lowest) = (3, 0xA0)
    case 0xED: (length, highest) = (3, 0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, lowest) = (4, 0x90)
    case 0xF1...0xF3: length = 4
    case 0xF4: (length, highest) = (4, 0x8F)
    default: return nil
    }
    guard source.count - at >= length, source[at + 1] >= lowest, source[at + 1] <= highest else { return nil }
    if length >= 3, source[at + 2] & 0xC0 != 0x80 { return nil }
    if length == 4, source[at + 3] & 0xC0 != 0x80 { return nil }
    return length
  }

  /// The length of the escape at `at` (a backslash), else nil. A surrogate pair is one escape of 12 bytes; half a pair
  /// is none.
  static func escapeLength(_ source: Span<UInt8>, at: Int) -> Int? {
    scalar(source, escapedAt: at)?.length
  }

  /// The Unicode scalar value that the escape at `at` (a backslash) stands for, and the escape's length.
  private static func scalar(_ source: Span<UInt8>, escapedAt at: Int) -> (value: UInt32, length: Int)? {
    guard source.count - at >= 2 else { return nil }
    switch source[at + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return (UInt32(source[at + 1]), 2)
    case UInt8(ascii: "b"): return (0x08, 2)
    case UInt8(ascii: "f"): return (0x0C, 2)
    case UInt8(ascii: "n"): return (0x0A, 2)
    case UInt8(ascii: "r"): return (0x0D, 2)
    case UInt8(ascii: "t"): return (0x09, 2)
    case UInt8(ascii: "u"): break
    default: return nil
    }
    guard let unit = codeUnit(source, at: at + 2) else { return nil }
    switch unit {
    case 0xDC00...0xDFFF: return nil
    case 0xD800...0xDBFF:
      guard source.count - at >= 12, source[at + 6] == UInt8(ascii: "\\"), source[at + 7] == UInt8(ascii: "u"),
        let low = codeUnit(source, at: at + 8), low >= 0xDC00, low <= 0xDFFF
      else { return nil }
      return (0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), 12)
    default: return (unit, 6)
    }
  }

  /// Four hexadecimal digits in either case.
  private static func codeUnit(_ source: Span<UInt8>, at: Int) -> UInt32? {
    guard source.count - at >= 4 else { return nil }
    let unit =
      hexadecimal(source[at]) << 12 | hexadecimal(source[at + 1]) << 8 | hexadecimal(source[at + 2]) << 4
      | hexadecimal(source[at + 3])
    return unit <= 0xFFFF ? unit : nil
  }

  /// The value of a hexadecimal digit, or bits above the 16th. Written so that no branch is needed: which digits come is
  /// the sender's choice, and each guess that the processor gets wrong costs as much as ten plain bytes.
  @inline(__always)
  private static func hexadecimal(_ byte: UInt8) -> UInt32 {
    let digit = UInt32(byte &- UInt8(ascii: "0"))
    let letter = UInt32((byte | 0x20) &- UInt8(ascii: "a"))
    return digit < 10 ? digit : letter < 6 ? letter + 10 : 0xFFFF_0000
  }

  /// Hands out the unescaped bytes of a string one by one.
  struct Bytes {
    private var at: Int
    private let end: Int
    /// The rest of an escaped character's UTF-8, the next byte lowest.
    private var rest: UInt32 = 0

    init(_ range: Range<Int>) {
      at = range.lowerBound
      end = range.upperBound
    }

    /// The next unescaped byte, or nil at the end.
    mutating func next(in source: Span<UInt8>) -> UInt8? {
      if rest != 0 {
        let byte = UInt8(truncatingIfNeeded: rest)
        rest >>= 8
        return byte
      }
      guard at < end, at < source.count else { return nil }
      guard source[at] == UInt8(ascii: "\\") else {
        at += 1
        return source[at - 1]
      }
      guard let (value, length) = JSONText.scalar(source, escapedAt: at) else {
        at = end
        return nil
      }
      at += length
      return encode(value)
    }

    /// The first byte of the character's UTF-8; the others go to `rest`, and none of them is zero.
    private mutating func encode(_ value: UInt32) -> UInt8 {
      func continuation(_ shift: UInt32) -> UInt32 { 0x80 | (value >> shift) & 0x3F }
      switch value {
      case 0..<0x80:
        return UInt8(truncatingIfNeeded: value)
      case 0x80..<0x800:
        rest = continuation(0)
        return UInt8(truncatingIfNeeded: 0xC0 | value >> 6)
      case 0x800..<0x10000:
        rest = continuation(6) | continuation(0) << 8
        return UInt8(truncatingIfNeeded: 0xE0 | value >> 12)
      default:
        rest = continuation(12) | continuation(6) << 8 | continuation(0) << 16
        return UInt8(truncatingIfNeeded: 0xF0 | value >> 18)
      }
    }
  }

  /// A hash of the unescaped bytes, four at a step, so that a name of 6 KiB costs no more than its comparison.
  static func hash(_ source: Span<UInt8>, in range: Range<Int>, hasEscapes: Bool, seed: UInt64) -> UInt64 {
    var hash = seed
    func mix(_ hash: UInt64, _ word: UInt64) -> UInt64 {
      let product = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
      return product ^ product >> 29
    }
    var word: UInt64 = 0
    var filled: UInt64 = 0
    if hasEscapes {
      var bytes = Bytes(range)
      while let byte = bytes.next(in: source) {
        word |= UInt64(byte) << (8 * filled)
        filled += 1
        if filled == 4 {
          hash = mix(hash, word)
          (word, filled) = (0, 0)
        }
      }
    } else {
      var at = range.lowerBound
      while range.upperBound - at >= 4 {
        let low = UInt64(source[at]) | UInt64(source[at + 1]) << 8
        let high = UInt64(source[at + 2]) << 16 | UInt64(source[at + 3]) << 24
        hash = mix(hash, low | high)
        at += 4
      }
      while at < range.upperBound {
        word |= UInt64(source[at]) << (8 * filled)
        filled += 1
        at += 1
      }
    }
    return mix(mix(hash, word), filled << 56)
  }

  /// Whether two strings of the same source have the same unescaped bytes.
  static func isEqual(
    _ source: Span<UInt8>, in left: Range<Int>, hasEscapes leftHasEscapes: Bool, to right: Range<Int>,
    hasEscapes rightHasEscapes: Bool
  ) -> Bool {
    if !leftHasEscapes, !rightHasEscapes {
      guard left.count == right.count else { return false }
      for offset in 0..<left.count where source[left.lowerBound + offset] != source[right.lowerBound + offset] {
        return false
      }
      return true
    }
    var leftBytes = Bytes(left)
    var rightBytes = Bytes(right)
    while true {
      let byte = leftBytes.next(in: source)
      guard byte == rightBytes.next(in: source) else { return false }
      if byte == nil { return true }
    }
  }
}

extension JSONNode {
  /// Whether this is a string whose unescaped value is exactly `bytes`.
  public func equals(_ bytes: Span<UInt8>, in source: Span<UInt8>) -> Bool {
    guard kind == .string, range.upperBound <= source.count else { return false }
    if !hasEscapes {
      guard range.count == bytes.count else { return false }
      var at = 0
      while bytes.count - at >= 8 {
        guard EightBytes(bytes, at: at) == EightBytes(source, at: range.lowerBound + at) else { return false }
        at += 8
      }
      while at < bytes.count {
        guard source[range.lowerBound + at] == bytes[at] else { return false }
        at += 1
      }
      return true
    }
    var unescaped = JSONText.Bytes(range)
    for index in bytes.indices where unescaped.next(in: source) != bytes[index] { return false }
    return unescaped.next(in: source) == nil
  }

  /// Whether this is a string whose unescaped value is exactly `text`.
  public func equals(_ text: ShortText, in source: Span<UInt8>) -> Bool {
    guard kind == .string, range.upperBound <= source.count else { return false }
    if !hasEscapes { return text.equals(source, in: range) }
    return equals(text.bytes.span.extracting(0..<text.count), in: source)
  }

  /// How many bytes a string has once unescaped (never more than `range.count`); 0 for other kinds.
  public func unescapedCount(in source: Span<UInt8>) -> Int {
    guard kind == .string, range.upperBound <= source.count else { return 0 }
    guard hasEscapes else { return range.count }
    var unescaped = JSONText.Bytes(range)
    var count = 0
    while unescaped.next(in: source) != nil { count += 1 }
    return count
  }

  /// Writes a string's unescaped bytes to the front of `buffer` and returns how many; nil when this is no string or it
  /// does not fit (then the buffer's contents are unspecified).
  public func copyUnescaped(to buffer: inout MutableSpan<UInt8>, in source: Span<UInt8>) -> Int? {
    guard kind == .string, range.upperBound <= source.count else { return nil }
    var unescaped = JSONText.Bytes(range)
    var count = 0
    while let byte = unescaped.next(in: source) {
      guard count < buffer.count else { return nil }
      buffer[count] = byte
      count += 1
    }
    return count
  }

  /// Appends a string's unescaped bytes to `buffer`; nothing for other kinds. Allocates only where the buffer's capacity
  /// does not suffice.
  public func appendUnescaped(to buffer: inout [UInt8], in source: Span<UInt8>) {
    guard kind == .string, range.upperBound <= source.count else { return }
    var unescaped = JSONText.Bytes(range)
    while let byte = unescaped.next(in: source) { buffer.append(byte) }
  }
}
