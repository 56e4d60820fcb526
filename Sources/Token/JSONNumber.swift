// What a JSON number is worth. Numbers that nobody asks about are never converted.

extension JSONNode {
  /// The value of a number; nil for other kinds and for magnitudes that a `Double` cannot hold.
  ///
  /// Exact for every integer up to 2^53, however it is written (`17e8`, `1700000000.0`, `1` with 5000 zeros and
  /// `e-5000`); otherwise within a few units in the last place; too small for a `Double` is zero. Time is linear in the
  /// digits. It never traps: `1e400` once ended servers that converted before they checked.
  public func number(in source: Span<UInt8>) -> Double? {
    guard kind == .number, range.upperBound <= source.count else { return nil }
    // The value is `digits` * 10^`scale`: digits without leading and trailing zeros, at most 19 of them.
    var digits: UInt64 = 0
    var digitCount = 0
    var zeros = 0
    var scale = 0
    var isFraction = false
    var isNegative = false
    var at = range.lowerBound
    scan: while at < range.upperBound {
      // Thousands of digits cost next to nothing: zeros only count, and behind the 19th digit all do.
      while range.upperBound - at >= 8 {
        let eight = EightBytes(source, at: at)
        let other = digitCount < 19 ? eight.other(than: UInt8(ascii: "0")) : eight.notDigits
        if other.isAny { break }
        if isFraction { scale -= 8 }
        zeros += 8
        at += 8
      }
      guard at < range.upperBound else { break scan }
      let byte = source[at]
      switch byte {
      case UInt8(ascii: "-"): isNegative = true
      case UInt8(ascii: "."): isFraction = true
      case UInt8(ascii: "0"):
        // Zeros wait until a digit follows them. In front of the first digit they only move the point.
        if isFraction { scale -= 1 }
        zeros += 1
      case UInt8(ascii: "1")...UInt8(ascii: "9"):
        if isFraction { scale -= 1 }
        if digitCount == 0 { zeros = 0 }
        if digitCount + zeros < 19 {
          for _ in 0..<zeros { digits *= 10 }
          digits = digits * 10 + UInt64(byte - UInt8(ascii: "0"))
          digitCount += zeros + 1
          zeros = 0
        } else {
          // Beyond the 19th digit only the magnitude counts, and all that follows is dropped alike.
          digitCount = 19
          zeros += 1
        }
      default: break scan
      }
      at += 1
    }
    guard digits != 0 else { return 0 }
    scale += zeros + exponent(in: source, from: at)
    let magnitude = Self.scaled(Double(digits), by: min(max(scale, -400), 400))
    guard magnitude.isFinite else { return nil }
    return isNegative ? -magnitude : magnitude
  }

  /// The exponent from the `e` at `start` to the node's end, 0 where there is none. Beyond ten digits it saturates.
  private func exponent(in source: Span<UInt8>, from start: Int) -> Int {
    var exponent = 0
    var isNegative = false
    var at = start
    // What follows a saturated exponent is digits that change nothing; thousands of zeros in front cost next to nothing.
    while at < range.upperBound, exponent < 10_000_000_000 {
      while exponent == 0, range.upperBound - at >= 8,
        !EightBytes(source, at: at).other(than: UInt8(ascii: "0")).isAny
      { at += 8 }
      guard at < range.upperBound else { break }
      switch source[at] {
      case UInt8(ascii: "-"): isNegative = true
      case UInt8(ascii: "0")...UInt8(ascii: "9"): exponent = exponent * 10 + Int(source[at] - UInt8(ascii: "0"))
      default: break
      }
      at += 1
    }
    return isNegative ? -exponent : exponent
  }

  /// `value` * 10^`scale`. Powers up to 10^22 are exact as a `Double`, so one step rounds once.
  private static func scaled(_ value: Double, by scale: Int) -> Double {
    var result = value
    var left = abs(scale)
    while left > 0 {
      let step = min(left, 22)
      var power = 1.0
      for _ in 0..<step { power *= 10 }
      result = scale < 0 ? result / power : result * power
      left -= step
    }
    return result
  }
}
