// A moment, and how it is written. Pure but for `now`.

import Glibc

/// A moment of the real-time clock.
public struct Timestamp: Equatable, Sendable {
  /// Seconds since 1970, UTC.
  public var seconds: Int
  /// 0...999.
  public var milliseconds: Int

  public init(seconds: Int, milliseconds: Int) {
    self.seconds = seconds
    self.milliseconds = milliseconds
  }

  /// CLOCK_REALTIME, now.
  public static func now() -> Timestamp {
    let time = Clock.read(CLOCK_REALTIME)
    return Timestamp(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
  }

  /// RFC 3339, UTC, with milliseconds. Years 1970 to 9999.
  public var text: String {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The same in whole seconds.
  public var textInSeconds: String { String(text.dropLast(5)) + "Z" }

  /// Appends `text`'s 24 bytes.
  package func append(to bytes: inout [UInt8]) {
    let (days, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
    // Days to a civil date in the calendar of 400-year eras that begin on March 1st (Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms").
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    Self.append(year, 4, to: &bytes)
    let parts: [(separator: UInt8, number: Int)] = [
      (UInt8(ascii: "-"), month), (UInt8(ascii: "-"), day), (UInt8(ascii: "T"), second / 3600),
      (UInt8(ascii: ":"), second / 60 % 60), (UInt8(ascii: ":"), second % 60),
    ]
    for (separator, number) in parts {
      bytes.append(separator)
      Self.append(number, 2, to: &bytes)
    }
    bytes.append(UInt8(ascii: "."))
    Self.append(milliseconds, 3, to: &bytes)
    bytes.append(UInt8(ascii: "Z"))
  }

  private static func append(_ number: Int, _ digits: Int, to bytes: inout [UInt8]) {
    var divisor = 1
    for _ in 1..<digits { divisor *= 10 }
    while divisor > 0 {
      bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
      divisor /= 10
    }
  }
}
