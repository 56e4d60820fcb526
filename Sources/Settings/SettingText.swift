// The forms that many settings share: whole numbers, durations, sizes, switches, words, paths.
// Each function reads one text, strictly: no white space, no sign, no second spelling. Addresses and URLs live in
// their own files.

/// Why a text was not taken. The setting's own `allowed` text is said unless there is a better one.
struct Refusal: Error {
  /// What to write instead, where more can be said than what is allowed.
  var instead: String?
}

/// A whole decimal number within `range`. No sign, no leading zero, no overflow.
func wholeNumber(_ text: String, in range: ClosedRange<Int>) throws(Refusal) -> Int {
  let digits = text.utf8
  guard (1...18).contains(digits.count), digits.allSatisfy(isDigit),
    digits.count == 1 || digits.first != UInt8(ascii: "0"),
    let number = Int(text), range.contains(number)
  else { throw Refusal() }
  return number
}

/// A whole number with one of `units` behind it, or none; within `range` after multiplying.
private func measure(_ text: String, units: [(suffix: String, factor: Int)], in range: ClosedRange<Int>)
  throws(Refusal) -> Int
{
  var digits = text
  var factor = 1
  for unit in units where text.hasSuffix(unit.suffix) {
    digits = String(text.dropLast(unit.suffix.count))
    factor = unit.factor
  }
  let (product, overflow) = try wholeNumber(digits, in: 0...Int.max).multipliedReportingOverflow(by: factor)
  guard !overflow, range.contains(product) else { throw Refusal() }
  return product
}

/// A duration in seconds: a whole number with `s`, `m`, `h` or `d`; none means seconds.
func seconds(_ text: String, in range: ClosedRange<Int>) throws(Refusal) -> Int {
  try measure(text, units: [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)], in: range)
}

/// A size in bytes: a whole number with `KiB` or `MiB`; none means bytes.
func bytes(_ text: String, in range: ClosedRange<Int>) throws(Refusal) -> Int {
  try measure(text, units: [("KiB", 1024), ("MiB", 1 << 20)], in: range)
}

/// `on` or `off`.
func onOff(_ text: String) throws(Refusal) -> Bool {
  switch text {
  case "on": return true
  case "off": return false
  default: throw Refusal()
  }
}

/// One of an enum's words.
func word<Word: RawRepresentable<String>>(_ text: String, as type: Word.Type = Word.self) throws(Refusal) -> Word {
  guard let word = Word(rawValue: text) else { throw Refusal() }
  return word
}

/// An absolute path with no control bytes, at most `limit` bytes of UTF-8.
func absolutePath(_ text: String, limit: Int) throws(Refusal) -> String {
  guard text.hasPrefix("/"), text.utf8.count <= limit, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
    throw Refusal()
  }
  return text
}

func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z") }

func isHexDigit(_ byte: UInt8) -> Bool {
  isDigit(byte) || byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "f")
}
