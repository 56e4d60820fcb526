// How kinds of values are written: each form reads a text, writes a value back, and says what is allowed.
// Texts come without white space around them. What is nearly right is refused with the right form, never guessed at.

/// Why a text was not taken. The setting's own `allowed` text is said unless there is a better one.
public struct SettingRefusal: Error {
  /// What to write instead, where more can be said than what is allowed.
  var instead: String?
  /// The right form of what was meant; it is said behind what is allowed.
  var likely: String?

  init(instead: String? = nil, likely: String? = nil) {
    self.instead = instead
    self.likely = likely
  }
}

/// A way to write values of one kind.
struct SettingForm<Value: Sendable>: Sendable {
  /// What is allowed, without a full stop.
  let allowed: String
  let read: @Sendable (String) throws(SettingRefusal) -> Value
  /// Text that `read` takes for the same value.
  let write: @Sendable (Value) -> String
  /// Whether a text may hold several values, separated by commas.
  let isList: Bool

  init(
    allowed: String, isList: Bool = false, read: @escaping @Sendable (String) throws(SettingRefusal) -> Value,
    write: @escaping @Sendable (Value) -> String
  ) {
    self.allowed = allowed
    self.isList = isList
    self.read = read
    self.write = write
  }
}

extension SettingForm<Int> {
  static func count(_ range: ClosedRange<Int>) -> SettingForm {
    SettingForm(
      allowed: "\(range.lowerBound) to \(range.upperBound)",
      read: { text throws(SettingRefusal) in try wholeNumber(text, in: range) }, write: { String($0) })
  }

  /// Seconds: a whole number with `s`, `m`, `h` or `d`; none means seconds.
  static func duration(_ range: ClosedRange<Int>) -> SettingForm {
    SettingForm(
      allowed: "\(durationText(range.lowerBound)) to \(durationText(range.upperBound))",
      read: { text throws(SettingRefusal) in try seconds(text, in: range) }, write: durationText)
  }

  /// Bytes: a whole number with `KiB` or `MiB`; none means bytes.
  ///
  /// - Parameter zero: whether 0, which is `off`, is allowed too.
  static func size(_ range: ClosedRange<Int>, orZero zero: Bool = false) -> SettingForm {
    SettingForm(
      allowed: (zero ? "0 (off), or " : "") + "\(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))",
      read: { text throws(SettingRefusal) in
        let size = try bytes(text, in: (zero ? 0 : range.lowerBound)...range.upperBound)
        guard size == 0 || range.contains(size) else { throw SettingRefusal() }
        return size
      }, write: sizeText)
  }

  /// One of a few numbers.
  static func oneOf(_ numbers: [Int]) -> SettingForm {
    SettingForm(
      allowed: listed(numbers.map(String.init)),
      read: { text throws(SettingRefusal) in
        guard let number = numbers.first(where: { String($0) == text }) else { throw SettingRefusal() }
        return number
      }, write: { String($0) })
  }
}

extension SettingForm<Bool> {
  /// `on` or `off`; `true`, `false`, `yes` and `no` mean the same, in any case.
  static var onOff: SettingForm {
    SettingForm(
      allowed: "on or off",
      read: { text throws(SettingRefusal) in
        switch text.lowercased() {
        case "on", "true", "yes": return true
        case "off", "false", "no": return false
        default: throw SettingRefusal()
        }
      }, write: { $0 ? "on" : "off" })
  }
}

extension SettingForm where Value: RawRepresentable<String> & CaseIterable {
  /// One of an enum's words, in any case, or another word for it.
  static func word(synonyms: [String: Value] = [:]) -> SettingForm {
    SettingForm(
      allowed: listed(Value.allCases.map(\.rawValue)),
      read: { text throws(SettingRefusal) in
        let text = text.lowercased()
        guard let word = Value.allCases.first(where: { $0.rawValue.lowercased() == text }) ?? synonyms[text] else {
          throw SettingRefusal()
        }
        return word
      }, write: \.rawValue)
  }
}

extension SettingForm<String> {
  /// An absolute path of at most 1,024 bytes.
  static var path: SettingForm {
    SettingForm(
      allowed: "an absolute path", read: { text throws(SettingRefusal) in try absolutePath(text, limit: 1024) },
      write: { $0 })
  }
}

extension SettingForm<NetworkAddress> {
  static var address: SettingForm {
    SettingForm(
      allowed: "host:port, [v6]:port, unix:/path",
      read: { text throws(SettingRefusal) in
        let address = try NetworkAddress(reading: text)
        if case .tls = address { throw SettingRefusal() }
        return address
      }, write: \.description)
  }
}

extension SettingForm {
  /// What `form` takes, or a word that is nil.
  static func optional<Wrapped>(
    _ form: SettingForm<Wrapped>, or absent: String = "off"
  ) -> SettingForm where Value == Wrapped? {
    SettingForm(
      allowed: "\(form.allowed) or \(absent)", isList: form.isList,
      read: { text throws(SettingRefusal) in text.lowercased() == absent ? nil : try form.read(text) },
      write: { $0.map(form.write) ?? absent })
  }

  /// A list separated by commas. What must not stand in it twice is `read`'s to say.
  static func list<Item>(
    allowed: String, of read: @escaping @Sendable (String) throws(SettingRefusal) -> Item,
    write: @escaping @Sendable (Item) -> String
  ) -> SettingForm where Value == [Item], Item: Equatable & Sendable {
    SettingForm(
      allowed: allowed, isList: true,
      read: { text throws(SettingRefusal) in try Settings.list(text, of: read) },
      write: { $0.map(write).joined(separator: ",") })
  }

  /// One value for all issuers, or one each, separated by commas; written as one where all are equal.
  static func each<Item>(
    _ form: SettingForm<Item>
  ) -> SettingForm where Value == [Item], Item: Equatable & Sendable {
    SettingForm(
      allowed: form.allowed, isList: true,
      read: { text throws(SettingRefusal) in try values(text, of: form.read) },
      write: { items in
        let texts = items.map(form.write)
        return texts.allSatisfy { $0 == texts[0] } ? texts.first ?? "" : texts.joined(separator: ",")
      })
  }
}

/// `a`, `a or b`, `a, b or c`.
func listed(_ words: [String]) -> String {
  guard let last = words.last, words.count > 1 else { return words.first ?? "" }
  return words.dropLast().joined(separator: ", ") + " or " + last
}

/// The largest unit that leaves a whole number.
func durationText(_ seconds: Int) -> String {
  for (suffix, factor) in [("d", 86_400), ("h", 3600), ("m", 60)] where seconds > 0 && seconds % factor == 0 {
    return String(seconds / factor) + suffix
  }
  return String(seconds) + "s"
}

/// The largest unit that leaves a whole number.
func sizeText(_ bytes: Int) -> String {
  for (suffix, factor) in [("MiB", 1 << 20), ("KiB", 1024)] where bytes > 0 && bytes % factor == 0 {
    return String(bytes / factor) + suffix
  }
  return String(bytes)
}
