// JSON numbers in one spelling each, so that two of them are equal exactly when their bytes are: no rounding, so `0.1` in
// a file is the `0.1` of a token, and 2^53 + 1 is not 2^53.

/// The canonical form of a JSON number (RFC 8259 section 6).
public enum DecimalNumber {
  /// The most significant digits; a number with more equals nothing.
  static let mostDigits = 64

  /// Appends the canonical form of the number in `range`: sign, exponent, digits without zeros at either end. False, and
  /// nothing is appended, for what is no JSON number, has more than 64 significant digits, or an exponent beyond a
  /// million.
  public static func appendCanonical(_ source: Span<UInt8>, _ range: Range<Int>, to buffer: inout [UInt8]) -> Bool {
    let start = buffer.count
    if scan(source, range, &buffer) { return true }
    buffer.removeLast(buffer.count - start)
    return false
  }

  private static func scan(_ source: Span<UInt8>, _ range: Range<Int>, _ buffer: inout [UInt8]) -> Bool {
    var at = range.lowerBound
    let end = range.upperBound
    var isNegative = false
    if at < end, source[at] == UInt8(ascii: "-") {
      isNegative = true
      at += 1
    }
    let integer = at
    while at < end, isDigit(source[at]) { at += 1 }
    // `01` is no JSON number.
    guard at > integer, at == integer + 1 || source[integer] != UInt8(ascii: "0") else { return false }
    let integerEnd = at
    var fraction = at..<at
    if at < end, source[at] == UInt8(ascii: ".") {
      let first = at + 1
      at = first
      while at < end, isDigit(source[at]) { at += 1 }
      guard at > first else { return false }
      fraction = first..<at
    }
    var exponent = 0
    if at < end, source[at] | 0x20 == UInt8(ascii: "e") {
      at += 1
      var isBelow = false
      if at < end, source[at] == UInt8(ascii: "+") || source[at] == UInt8(ascii: "-") {
        isBelow = source[at] == UInt8(ascii: "-")
        at += 1
      }
      let first = at
      while at < end, isDigit(source[at]) {
        if exponent < 100_000_000 { exponent = exponent * 10 + Int(source[at] & 0x0F) }
        at += 1
      }
      guard at > first else { return false }
      if isBelow { exponent = -exponent }
    }
    guard at == end else { return false }
    return append(source, integer..<integerEnd, fraction, isNegative, exponent, &buffer)
  }

  private static func append(
    _ source: Span<UInt8>, _ integer: Range<Int>, _ fraction: Range<Int>, _ isNegative: Bool, _ exponent: Int,
    _ buffer: inout [UInt8]
  ) -> Bool {
    // The digits as one run of `integer` and `fraction`.
    let count = integer.count + fraction.count
    func digit(_ index: Int) -> UInt8 {
      source[index < integer.count ? integer.lowerBound + index : fraction.lowerBound + index - integer.count]
    }
    var first = 0
    while first < count, digit(first) == UInt8(ascii: "0") { first += 1 }
    var last = count
    while last > first, digit(last - 1) == UInt8(ascii: "0") { last -= 1 }
    // Zero has no sign: -0 is 0.
    if first == last {
      for _ in 0..<5 { buffer.append(0) }
      return true
    }
    let scale = exponent - fraction.count + (count - last)
    guard last - first <= mostDigits, abs(scale) <= 1_000_000 else { return false }
    buffer.append(isNegative ? 2 : 1)
    let bits = UInt32(bitPattern: Int32(scale))
    for place in 0..<4 as Range<UInt32> { buffer.append(UInt8(truncatingIfNeeded: bits >> (24 - 8 * place))) }
    for index in first..<last { buffer.append(digit(index)) }
    return true
  }
}
