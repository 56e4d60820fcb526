// The path that a request asked for: what of it is hostile, and whether it fits a pattern. Decoded once, on the way, into
// no memory. Pure.

/// What a request's path is.
public enum RequestPath: Sendable, Equatable, BitwiseCopyable {
  /// None is known: the field is missing, there twice, empty, or begins with no `/`.
  case missing
  /// Two programs could read it as two paths: encoded slashes, dots as segments, bad escapes.
  case hostile
  /// The path's bytes, up to `?`; with `hasEscapes` to be decoded on the way.
  case clean(start: UInt32, end: UInt32, hasEscapes: Bool)

  /// Judges the bytes of a request target.
  public init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    guard let first = range.first, bytes[first] == UInt8(ascii: "/") else {
      self = .missing
      return
    }
    var hasEscapes = false
    var end = first
    // How many decoded bytes the segment has, and whether all of them are dots.
    var segment = -1
    var isDots = true
    var characters = UTF8Check()
    while end < range.upperBound, bytes[end] != UInt8(ascii: "?") {
      var byte = bytes[end]
      var isSlash = byte == UInt8(ascii: "/")
      end += 1
      if byte == UInt8(ascii: "%") {
        guard end + 1 < range.upperBound, hexadecimalValue(bytes[end]) < 16, hexadecimalValue(bytes[end + 1]) < 16
        else {
          self = .hostile
          return
        }
        byte = hexadecimalValue(bytes[end]) << 4 | hexadecimalValue(bytes[end + 1])
        end += 2
        hasEscapes = true
        isSlash = false
        // %2f: one program's separator is another's letter.
        if byte == UInt8(ascii: "/") {
          self = .hostile
          return
        }
      }
      guard byte >= 0x20, byte != 0x7F, byte != UInt8(ascii: "\\"), characters.take(byte) else {
        self = .hostile
        return
      }
      if isSlash {
        // `//`, `/./`, `/../`: programs that tidy see another path.
        guard segment != 0, !(isDots && (segment == 1 || segment == 2)) else {
          self = .hostile
          return
        }
        segment = 0
        isDots = true
      } else {
        segment += 1
        if byte != UInt8(ascii: ".") { isDots = false }
      }
    }
    guard !(isDots && (segment == 1 || segment == 2)), characters.isComplete else {
      self = .hostile
      return
    }
    self = .clean(start: UInt32(first), end: UInt32(end), hasEscapes: hasEscapes)
  }
}

/// Whether bytes are UTF-8, one at a time (the table of RFC 3629 section 4).
struct UTF8Check {
  private var left = 0
  private var lowest: UInt8 = 0x80
  private var highest: UInt8 = 0xBF

  var isComplete: Bool { left == 0 }

  /// Takes a byte; false when it cannot stand there.
  mutating func take(_ byte: UInt8) -> Bool {
    if left > 0 {
      guard byte >= lowest, byte <= highest else { return false }
      (lowest, highest) = (0x80, 0xBF)
      left -= 1
      return true
    }
    switch byte {
    case 0..<0x80: break
    case 0xC2...0xDF: left = 1
    case 0xE0: (left, lowest) = (2, 0xA0)
    case 0xED: (left, highest) = (2, 0x9F)
    case 0xE1...0xEF: left = 2
    case 0xF0: (left, lowest) = (3, 0x90)
    case 0xF1...0xF3: left = 3
    case 0xF4: (left, highest) = (3, 0x8F)
    default: return false
    }
    return true
  }
}

/// A pattern of `match: paths`.
public struct PathPattern: Sendable, BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    /// The whole path.
    case literal
    /// The text, which ends in `/`, and one segment that is not empty.
    case oneSegment
    /// The text, which ends in `/`, and whatever is below.
    case below
  }

  let kind: Kind
  let text: TextRef

  /// Reads a pattern: the kind and its literal text. Nil for a star anywhere but as the last segment, `%`, `?`, and what
  /// no clean path can be (`//`, dots as segments, `\`, control bytes).
  static func parse(_ pattern: String) -> (kind: Kind, text: [UInt8])? {
    var bytes = Array(pattern.utf8)
    var kind = Kind.literal
    if pattern.hasSuffix("/**") {
      kind = .below
      bytes.removeLast(2)
    } else if pattern.hasSuffix("/*") {
      kind = .oneSegment
      bytes.removeLast()
    }
    guard !bytes.contains(UInt8(ascii: "*")), !bytes.contains(UInt8(ascii: "%")), !bytes.contains(UInt8(ascii: "?")),
      case .clean = RequestPath(bytes.span, 0..<bytes.count)
    else { return nil }
    return (kind, bytes)
  }

  /// Whether `text` is a pattern.
  public static func isPattern(_ text: String) -> Bool { parse(text) != nil }

  /// Whether a clean path fits.
  func matches(_ texts: borrowing TextTable, _ source: Span<UInt8>, _ path: Range<Int>, hasEscapes: Bool) -> Bool {
    var at = path.lowerBound
    if hasEscapes {
      for index in 0..<Int(text.count) {
        guard let byte = Self.decoded(source, &at, path.upperBound), byte == texts.byte(text, index) else {
          return false
        }
      }
    } else {
      at += Int(text.count)
      guard at <= path.upperBound, texts.equals(text, source, path.lowerBound..<at) else { return false }
    }
    switch kind {
    case .literal: return at == path.upperBound
    case .below: return true
    case .oneSegment:
      guard at < path.upperBound else { return false }
      // An encoded slash cannot be here: it is hostile.
      for index in at..<path.upperBound where source[index] == UInt8(ascii: "/") { return false }
      return true
    }
  }

  @inline(__always)
  private static func decoded(_ source: Span<UInt8>, _ at: inout Int, _ end: Int) -> UInt8? {
    guard at < end else { return nil }
    let byte = source[at]
    at += 1
    guard byte == UInt8(ascii: "%") else { return byte }
    guard at + 1 < end else { return nil }
    at += 2
    return hexadecimalValue(source[at - 2]) << 4 | hexadecimalValue(source[at - 1])
  }
}
