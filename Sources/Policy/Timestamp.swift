// Times as RFC 3339 writes them.

/// A time of RFC 3339, as seconds since 1970.
public enum Timestamp {
  /// Reads `2026-11-25T13:42:00Z`, with a fraction, an offset (`+01:00`) or lower-case letters; a space may stand for the
  /// T. Nil for anything else, for days that the month does not have, and for a leap second (`:60`).
  public static func seconds(_ text: String) -> Double? {
    let bytes = Array(text.utf8)
    guard (20...64).contains(bytes.count), bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[13] == 0x3A, bytes[16] == 0x3A,
      [0x54, 0x74, 0x20].contains(bytes[10]), let year = number(bytes, 0, 4), let month = number(bytes, 5, 2),
      let day = number(bytes, 8, 2), let hour = number(bytes, 11, 2), let minute = number(bytes, 14, 2),
      let second = number(bytes, 17, 2), (1...12).contains(month), day >= 1, day <= days(month, of: year), hour < 24,
      minute < 60, second < 60
    else { return nil }
    var at = 19
    var fraction = 0.0
    if bytes[at] == UInt8(ascii: ".") {
      var place = 0.1
      at += 1
      let first = at
      while at < bytes.count, isDigit(bytes[at]) {
        fraction += Double(bytes[at] & 0x0F) * place
        place /= 10
        at += 1
      }
      guard at > first else { return nil }
    }
    guard let offset = offset(bytes[at...]) else { return nil }
    let seconds = daysSince1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
    return Double(seconds) + fraction
  }

  private static func offset(_ bytes: ArraySlice<UInt8>) -> Int? {
    let bytes = Array(bytes)
    if bytes == [0x5A] || bytes == [0x7A] { return 0 }
    guard bytes.count == 6, bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-"), bytes[3] == 0x3A,
      let hours = number(bytes, 1, 2), let minutes = number(bytes, 4, 2), hours < 24, minutes < 60
    else { return nil }
    return (hours * 3600 + minutes * 60) * (bytes[0] == UInt8(ascii: "-") ? -1 : 1)
  }

  private static func number(_ bytes: [UInt8], _ start: Int, _ count: Int) -> Int? {
    var value = 0
    for byte in bytes[start..<start + count] {
      guard isDigit(byte) else { return nil }
      value = value * 10 + Int(byte & 0x0F)
    }
    return value
  }

  private static func days(_ month: Int, of year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Days of the Gregorian calendar, years counted from March so that the leap day is a year's last.
  private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let year = month <= 2 ? year - 1 : year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}
