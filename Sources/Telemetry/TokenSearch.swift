// What looks like a token, or like a part of one, in a text that is about to be logged or echoed. Pure.
//
// Invariant: no JWS leaves the process, whole or in part, whatever field brought it: a path, a query, a cookie in a path,
// an identifier. The search errs towards finding one: a line of a log that says `[redacted]` costs less than a session.

/// Finds tokens in a text, one after the other. Allocates nothing.
///
/// Looked at are runs of base64url characters and dots (RFC 7515 section 7.1), percent-encoded or not, however often.
/// - `eyJ` in a run (base64url of `{"`, as every JOSE header and claims set begins) is a token up to the end of the text:
///   what stands behind it may be more of it, split in ways that nobody has thought of.
/// - So is a run of 24 characters or more that changes between capitals, small letters and digits as only encoded bytes do
///   (a part of a payload or signature), up to the run's end. Names, hexadecimal digits (AUD tags, key ids, UUIDs) and
///   Ray IDs do not.
/// - Where the text was cut (`…` follows), 8 characters of that kind suffice.
public struct TokenSearch {
  /// Encoded bytes change their class 15 times in 24 characters, give or take 2; words and names hardly half as often.
  private static let window = 24
  private static let changesInWindow = 11
  private static let shortestCutRun = 8

  private enum Kind: UInt8 { case small, capital, digit, mark, dot }

  private var at = 0

  public init() {}

  /// The next token in `text`, which must be the same at each call; nil when there is no further one.
  public mutating func next(in text: Span<UInt8>) -> Range<Int>? {
    var run = Run()
    while at < text.count {
      let (byte, width) = Self.decodedByte(text, at)
      if let kind = Self.kind(of: byte) {
        run.add(kind, byte, at: at)
        if run.holdsHeader {
          at = text.count
          return run.start..<at
        }
      } else {
        let found = run.isToken(isCut: Self.isCutMark(text, at)) ? run.start..<at : nil
        run = Run()
        if let found { return found }
      }
      at += width
    }
    return run.isToken(isCut: false) ? run.start..<at : nil
  }

  /// Whether there is one in `text`.
  public static func isToken(in text: Span<UInt8>) -> Bool {
    var search = TokenSearch()
    return search.next(in: text) != nil
  }

  /// `text` with `[redacted]` in place of each token; the first 4 KiB of it alone where there is one.
  public static func redact(_ text: String) -> String {
    let bytes = Array(text.utf8.prefix(4096))
    var search = TokenSearch()
    guard var found = search.next(in: bytes.span) else { return text }
    var kept: [UInt8] = []
    var end = 0
    while true {
      kept += bytes[end..<found.lowerBound]
      kept += "[redacted]".utf8
      end = found.upperBound
      guard let another = search.next(in: bytes.span) else { break }
      found = another
    }
    return String(decoding: kept + bytes[end...], as: UTF8.self)
  }

  /// The byte at `at` and how many bytes it takes: `%2E` is a dot, and so are `%252E` and `%25%32%45`; at most eight deep.
  private static func decodedByte(_ text: Span<UInt8>, _ at: Int, depth: Int = 8) -> (byte: UInt8, width: Int) {
    var byte = text[at]
    var width = 1
    while byte == UInt8(ascii: "%"), depth > 0, at + width < text.count {
      let (high, highWidth) = decodedByte(text, at + width, depth: depth - 1)
      guard let high = hexadecimal(high), at + width + highWidth < text.count else { break }
      let (low, lowWidth) = decodedByte(text, at + width + highWidth, depth: depth - 1)
      guard let low = hexadecimal(low) else { break }
      byte = high << 4 | low
      width += highWidth + lowWidth
    }
    return (byte, width)
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// Nil for a byte that ends a run.
  private static func kind(of byte: UInt8) -> Kind? {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"): .small
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): .capital
    case UInt8(ascii: "0")...UInt8(ascii: "9"): .digit
    case UInt8(ascii: "-"), UInt8(ascii: "_"): .mark
    case UInt8(ascii: "."): .dot
    default: nil
    }
  }

  /// `…`, which stands where a text was cut.
  private static func isCutMark(_ text: Span<UInt8>, _ at: Int) -> Bool {
    at + 3 <= text.count && text[at] == 0xE2 && text[at + 1] == 0x80 && text[at + 2] == 0xA6
  }

  /// A run of base64url characters and dots while it is read.
  private struct Run {
    /// Where it begins in the text, as it is written there.
    private(set) var start = 0
    /// It holds `eyJ`.
    private(set) var holdsHeader = false

    private var count = 0
    private var isEncoded = false
    private var lastThree: UInt32 = 0
    private var lastKind = Kind.dot
    /// Where the last character of a kind stands, by kind; counted from 1.
    private var lastSmall = 0
    private var lastCapital = 0
    private var lastDigit = 0
    /// A bit for each character, the last one lowest: its kind is not that of the one before it.
    private var changes: UInt64 = 0

    mutating func add(_ kind: Kind, _ byte: UInt8, at: Int) {
      if count == 0 { start = at }
      count += 1
      lastThree = (lastThree << 8 | UInt32(byte)) & 0xFF_FFFF
      holdsHeader = lastThree == 0x65_79_4A
      changes = changes << 1 | (kind == lastKind ? 0 : 1)
      lastKind = kind
      switch kind {
      case .small: lastSmall = count
      case .capital: lastCapital = count
      case .digit: lastDigit = count
      case .mark, .dot: break
      }
      if looksEncoded(last: TokenSearch.window, changes: TokenSearch.changesInWindow) { isEncoded = true }
    }

    func isToken(isCut: Bool) -> Bool {
      guard isCut, count >= TokenSearch.shortestCutRun else { return isEncoded }
      let looked = min(count, TokenSearch.window)
      return isEncoded || lastCapital > count - looked && changesAmong(last: looked) * 5 >= (looked - 1) * 2
    }

    private func looksEncoded(last length: Int, changes least: Int) -> Bool {
      count >= length && min(lastSmall, lastCapital, lastDigit) > count - length && changesAmong(last: length) >= least
    }

    private func changesAmong(last length: Int) -> Int { (changes & (1 << UInt64(length - 1) - 1)).nonzeroBitCount }
  }
}
