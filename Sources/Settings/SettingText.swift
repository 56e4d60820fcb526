// Texts that many settings share: whole numbers, durations, sizes, paths, lists. Each function reads one text,
// strictly: no sign, no second spelling. Addresses and URLs live in their own files.

/// A whole decimal number within `range`. No sign, no leading zero, no overflow.
func wholeNumber(_ text: String, in range: ClosedRange<Int>) throws(SettingRefusal) -> Int {
  let digits = text.utf8
  guard (1...18).contains(digits.count), digits.allSatisfy(isDigit),
    digits.count == 1 || digits.first != UInt8(ascii: "0"),
    let number = Int(text), range.contains(number)
  else { throw SettingRefusal() }
  return number
}

/// A unit of a measure: how it is written, how people write it too, and how much it is.
private struct Unit: Sendable {
  let suffix: String
  /// In lower case. Refused, since `m` and `M` mean different things in different places, but understood.
  let misspelt: Set<String>
  let factor: Int
}

private let timeUnits = [
  Unit(suffix: "s", misspelt: ["s", "sec", "secs", "second", "seconds"], factor: 1),
  Unit(suffix: "m", misspelt: ["m", "min", "mins", "minute", "minutes"], factor: 60),
  Unit(suffix: "h", misspelt: ["h", "hr", "hrs", "hour", "hours"], factor: 3600),
  Unit(suffix: "d", misspelt: ["d", "day", "days"], factor: 86_400),
]

private let sizeUnits = [
  Unit(suffix: "KiB", misspelt: ["k", "kb", "ki", "kib"], factor: 1024),
  Unit(suffix: "MiB", misspelt: ["m", "mb", "mi", "mib"], factor: 1 << 20),
  Unit(suffix: "", misspelt: ["b", "byte", "bytes"], factor: 1),
  Unit(suffix: "", misspelt: ["g", "gb", "gi", "gib"], factor: 1 << 30),
]

/// A whole number with one of `units` behind it, or none; within `range` after multiplying.
///
/// - Parameter write: how a value would be written, for what is nearly right.
private func measure(_ text: String, _ units: [Unit], in range: ClosedRange<Int>, write: (Int) -> String)
  throws(SettingRefusal) -> Int
{
  /// The number in `digits` times `factor`; nil if it is none or out of range.
  func product(_ digits: Substring, _ factor: Int) -> Int? {
    guard let number = try? wholeNumber(String(digits), in: 0...Int.max) else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return !overflow && range.contains(product) ? product : nil
  }
  let digits = text.prefix { $0.isASCII && $0.isNumber }
  let suffix = text.dropFirst(digits.count)
  let factor = suffix.isEmpty ? 1 : units.first { !$0.suffix.isEmpty && $0.suffix == suffix }?.factor
  if let factor {
    guard let product = product(digits, factor) else { throw SettingRefusal() }
    return product
  }
  let word = withoutSpace(String(suffix)).lowercased()
  let meant = units.first { $0.misspelt.contains(word) }.flatMap { product(digits, $0.factor) }
  throw SettingRefusal(likely: meant.map(write))
}

/// A duration in seconds: a whole number with `s`, `m`, `h` or `d`; none means seconds.
func seconds(_ text: String, in range: ClosedRange<Int>) throws(SettingRefusal) -> Int {
  try measure(text, timeUnits, in: range, write: durationText)
}

/// A size in bytes: a whole number with `KiB` or `MiB`; none means bytes.
func bytes(_ text: String, in range: ClosedRange<Int>) throws(SettingRefusal) -> Int {
  try measure(text, sizeUnits, in: range, write: sizeText)
}

/// An absolute path with no control bytes, at most `limit` bytes of UTF-8.
func absolutePath(_ text: String, limit: Int) throws(SettingRefusal) -> String {
  guard text.hasPrefix("/"), text.utf8.count <= limit, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
    throw SettingRefusal()
  }
  return text
}

/// A list separated by commas, each item by `parse`; none empty, none twice.
func list<Item: Equatable>(
  _ text: String, of parse: (String) throws(SettingRefusal) -> Item
) throws(SettingRefusal) -> [Item] {
  let items = try values(text, of: parse)
  for (place, item) in items.enumerated() where items[..<place].contains(item) {
    throw SettingRefusal(instead: "no item twice")
  }
  return items
}

/// One value for all issuers, or one each: like a list, but values may be equal.
func values<Item>(_ text: String, of parse: (String) throws(SettingRefusal) -> Item) throws(SettingRefusal) -> [Item] {
  let parts = text.split(separator: ",", omittingEmptySubsequences: false)
  guard parts.count <= maximumIssuers else { throw SettingRefusal(instead: "at most \(maximumIssuers) items") }
  var items: [Item] = []
  for part in parts { items.append(try parse(withoutSpace(String(part)))) }
  return items
}

/// The text without spaces, tabs and line ends around it.
///
/// A file that was written on Windows, or with `echo`, leaves them, and no value of any setting begins or ends with one.
func withoutSpace(_ text: String) -> String {
  let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
  let bytes = text.utf8
  guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) })
  else { return "" }
  return String(decoding: bytes[first...last], as: UTF8.self)
}

func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z") }

func isHexDigit(_ byte: UInt8) -> Bool {
  isDigit(byte) || byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "f")
}
