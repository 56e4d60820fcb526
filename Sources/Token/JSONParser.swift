// How a JSON text becomes a tape. One loop over the bytes, no recursion: a text of 100,000 opening brackets must not
// reach the end of the stack. Every offset only grows, so the time is linear in the text (a name costs at most one
// comparison of 16 bits with each of the object's other names).

/// What became of a text that was to be read for no more than a certain work.
public enum JSONOutcome: Sendable, Equatable {
  /// Read to its end, and fine.
  case read
  /// Not acceptable, however much work is put into it.
  case refused
  /// The work was used up before the end: nothing is known of the text.
  case unfinished
}

/// What reading costs beyond the bytes, in units of about 5 ns: whatever the processor cannot do eight bytes at a step,
/// and whatever looking at a value later cannot. Measured (`bench/refusals`), rounded up.
private enum Work {
  /// A number, word, string, array or object.
  static let value = 4
  /// A member's name, its hash and the comparisons with the names that are looked for.
  static let name = 6
  /// The same, where the name has escapes and is unescaped for each.
  static let escapedName = 12
  /// An escape, or a character that is not ASCII.
  static let character = 1
  /// White space behind a token.
  static let space = 1
  /// So many bytes of a name, or of a string that has escapes, cost a unit more: they are hashed or compared.
  static let plainNameBytes = 16
  static let escapedBytes = 2
}

extension JSONDocument {
  /// Reads one JSON text and fills the tape; false when it is refused, and then the tape is empty.
  ///
  /// Allocates nothing. `source` may be empty or hold any bytes; it must stay as it is as long as nodes are looked at.
  public mutating func parse(_ source: Span<UInt8>) -> Bool {
    var unbounded = Int.max
    return parse(source, work: &unbounded) == .read
  }

  /// As ``parse(_:)``, but gives up where the text takes more than `work`, which is what may be spent on it beyond its
  /// plain bytes (units of about 5 ns) and afterwards what is left of that: below zero when all is used up.
  ///
  /// A text that is read or refused is so whatever `work` was. The tape is empty unless the text was read.
  public mutating func parse(_ source: Span<UInt8>, work: inout Int) -> JSONOutcome {
    entryCount = 0
    guard source.count <= Int(Int32.max) else { return .refused }
    let used = Self.fill(&tape, from: source, frames: &frames, limit: maximumMembers, seed: seed, work: &work)
    guard work >= 0 else { return .unfinished }
    guard let used else { return .refused }
    entryCount = used
    return .read
  }

  /// The parser itself: how many entries it filled, or nil when the text is refused or `left` falls below zero.
  private static func fill(
    _ tapeArray: inout [Entry], from source: Span<UInt8>, frames frameArray: inout [Frame], limit: Int, seed: UInt64,
    work left: inout Int
  ) -> Int? {
    // A local copy lives in a register.
    var work = left
    defer { left = work }
    // One span each, so that the array's uniqueness is checked once a text instead of once a write.
    var tape = tapeArray.mutableSpan
    var frames = frameArray.mutableSpan
    var used = 0
    var depth = 0
    var at = skipWhiteSpace(source, from: 0, &work)

    while true {
      // A value is due at `at`.
      work -= Work.value
      guard work >= 0, at < source.count, used < tape.count else { return nil }
      let kind: JSONKind
      switch source[at] {
      case UInt8(ascii: "{"): kind = .object
      case UInt8(ascii: "["): kind = .array
      case UInt8(ascii: "\""): kind = .string
      case UInt8(ascii: "t"): kind = .true
      case UInt8(ascii: "f"): kind = .false
      case UInt8(ascii: "n"): kind = .null
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): kind = .number
      default: return nil
      }

      var isOpened = false
      switch kind {
      case .object, .array:
        guard depth < frames.count else { return nil }
        tape[used] = Entry(start: UInt32(at), kind: kind)
        frames[depth] = Frame(entry: UInt32(used), isObject: kind == .object)
        depth += 1
        used += 1
        at = skipWhiteSpace(source, from: at + 1, &work)
        guard at < source.count else { return nil }
        isOpened = true
      case .string:
        guard let text = scanString(source, from: at + 1, &work) else { return nil }
        tape[used] = Entry(
          start: UInt32(at + 1), end: UInt32(text.end), next: UInt32(used + 1), kind: .string,
          hasEscapes: text.hasEscapes)
        used += 1
        at = text.end + 1
      case .number, .true, .false, .null:
        guard let end = scanScalar(source, from: at, kind: kind) else { return nil }
        tape[used] = Entry(start: UInt32(at), end: UInt32(end), next: UInt32(used + 1), kind: kind)
        used += 1
        at = end
      }

      // Behind a value, or just inside a container: what closes here, and what comes next.
      while true {
        guard depth > 0 else {
          guard skipWhiteSpace(source, from: at, &work) == source.count else { return nil }
          return used
        }
        at = skipWhiteSpace(source, from: at, &work)
        guard at < source.count else { return nil }
        let isObject = frames[depth - 1].isObject
        if source[at] == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
          at += 1
          depth -= 1
          let container = Int(frames[depth].entry)
          tape[container].end = UInt32(at)
          tape[container].next = UInt32(used)
          isOpened = false
          continue
        }
        if !isOpened {
          guard source[at] == UInt8(ascii: ",") else { return nil }
          at = skipWhiteSpace(source, from: at + 1, &work)
        }
        if isObject {
          guard
            let end = scanName(
              source, from: at, tape: &tape, used: &used, frame: &frames[depth - 1], limit: limit, seed: seed,
              &work)
          else { return nil }
          at = end
        }
        break
      }
    }
  }

  /// Reads a member's name and the colon and white space behind it; nil when refused, also as the object's second of
  /// that name.
  private static func scanName(
    _ source: Span<UInt8>, from start: Int, tape: inout MutableSpan<Entry>, used: inout Int, frame: inout Frame,
    limit: Int, seed: UInt64, _ work: inout Int
  ) -> Int? {
    guard start < source.count, source[start] == UInt8(ascii: "\""), used < tape.count,
      frame.memberCount < limit, let text = scanString(source, from: start + 1, &work)
    else { return nil }
    let range = start + 1..<text.end
    work -= text.hasEscapes ? Work.escapedName : Work.name + range.count / Work.plainNameBytes
    guard work >= 0 else { return nil }
    let hash = JSONText.hash(source, in: range, hasEscapes: text.hasEscapes, seed: seed)
    let fingerprint = UInt16(truncatingIfNeeded: hash >> 16)
    let word = Int(hash & 3)
    let bit: UInt64 = 1 << ((hash >> 2) & 63)
    // Two parsers that disagree on which of two equal names counts are how a claim is smuggled past one of them.
    if frame.seen[word] & bit != 0 {
      var other = Int(frame.entry) + 1
      while other < used {
        let entry = tape[other]
        if entry.hash == fingerprint,
          JSONText.isEqual(
            source, in: range, hasEscapes: text.hasEscapes, to: Int(entry.start)..<Int(entry.end),
            hasEscapes: entry.hasEscapes)
        {
          return nil
        }
        other = Int(tape[other + 1].next)
      }
    }
    frame.seen[word] |= bit
    frame.memberCount += 1
    tape[used] = Entry(
      start: UInt32(range.lowerBound), end: UInt32(range.upperBound), next: UInt32(used + 1), hash: fingerprint,
      kind: .string, hasEscapes: text.hasEscapes)
    used += 1
    let colon = skipWhiteSpace(source, from: text.end + 1, &work)
    guard colon < source.count, source[colon] == UInt8(ascii: ":") else { return nil }
    return skipWhiteSpace(source, from: colon + 1, &work)
  }

  @inline(__always)
  private static func skipWhiteSpace(_ source: Span<UInt8>, from start: Int, _ work: inout Int) -> Int {
    // Most texts have none at all.
    guard start < source.count, source[start] <= 0x20 else { return start }
    work -= Work.space
    return skipLongWhiteSpace(source, from: start)
  }

  private static func skipLongWhiteSpace(_ source: Span<UInt8>, from start: Int) -> Int {
    var at = start
    while source.count - at >= 8 {
      let other = EightBytes(source, at: at).notWhiteSpace
      if other.isAny { return at + other.first }
      at += 8
    }
    while at < source.count {
      switch source[at] {
      case 0x20, 0x09, 0x0A, 0x0D: at += 1
      default: return at
      }
    }
    return at
  }

  /// Reads a string's inside from behind the opening quote; `end` is the closing quote. Nil when refused.
  private static func scanString(
    _ source: Span<UInt8>, from start: Int, _ work: inout Int
  ) -> (end: Int, hasEscapes: Bool)? {
    var at = start
    var hasEscapes = false
    while true {
      at = skipPlain(source, from: at)
      guard at < source.count else { return nil }
      // Whatever is not plain often comes in runs.
      while at < source.count {
        let byte = source[at]
        if byte == UInt8(ascii: "\"") {
          if hasEscapes { work -= (at - start) / Work.escapedBytes }
          return (at, hasEscapes)
        }
        if byte >= 0x80 {
          guard let length = JSONText.sequenceLength(source, at: at) else { return nil }
          at += length
        } else if byte == UInt8(ascii: "\\") {
          guard let length = JSONText.escapeLength(source, at: at) else { return nil }
          hasEscapes = true
          at += length
        } else {
          guard byte >= 0x20 else { return nil }
          break
        }
        work -= Work.character
        guard work >= 0 else { return nil }
      }
    }
  }

  /// The first byte from `start` on that may not stand in a string as it is, or the end.
  @inline(__always)
  private static func skipPlain(_ source: Span<UInt8>, from start: Int) -> Int {
    var at = start
    while source.count - at >= 8 {
      let special = EightBytes(source, at: at).notPlain
      if special.isAny { return at + special.first }
      at += 8
    }
    while at < source.count {
      switch source[at] {
      case 0..<0x20, UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x80...: return at
      default: at += 1
      }
    }
    return at
  }

  /// Reads a number or one of the three words; nil when it is none. What follows is the caller's to judge.
  private static func scanScalar(_ source: Span<UInt8>, from start: Int, kind: JSONKind) -> Int? {
    switch kind {
    case .true: return scanWord(source, from: start, 0x74, 0x72, 0x75, 0x65)
    case .null: return scanWord(source, from: start, 0x6E, 0x75, 0x6C, 0x6C)
    case .false: return scanWord(source, from: start + 1, 0x61, 0x6C, 0x73, 0x65)
    case .number: return scanNumber(source, from: start)
    case .object, .array, .string: return nil
    }
  }

  private static func scanWord(
    _ source: Span<UInt8>, from start: Int, _ first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8
  ) -> Int? {
    guard source.count - start >= 4, source[start] == first, source[start + 1] == second,
      source[start + 2] == third, source[start + 3] == fourth
    else { return nil }
    return start + 4
  }

  /// RFC 8259 section 6: `[ minus ] int [ frac ] [ exp ]`, no leading zeros.
  private static func scanNumber(_ source: Span<UInt8>, from start: Int) -> Int? {
    var at = start
    if source[at] == UInt8(ascii: "-") { at += 1 }
    let integer = at
    at = skipDigits(source, from: at)
    guard at > integer, at == integer + 1 || source[integer] != UInt8(ascii: "0") else { return nil }
    if at < source.count, source[at] == UInt8(ascii: ".") {
      let fraction = at + 1
      at = skipDigits(source, from: fraction)
      guard at > fraction else { return nil }
    }
    if at < source.count, source[at] | 0x20 == UInt8(ascii: "e") {
      at += 1
      if at < source.count, source[at] == UInt8(ascii: "+") || source[at] == UInt8(ascii: "-") { at += 1 }
      let exponent = at
      at = skipDigits(source, from: exponent)
      guard at > exponent else { return nil }
    }
    return at
  }

  private static func skipDigits(_ source: Span<UInt8>, from start: Int) -> Int {
    var at = start
    // Most numbers are short.
    while at < source.count, at - start < 4 {
      guard source[at] >= UInt8(ascii: "0"), source[at] <= UInt8(ascii: "9") else { return at }
      at += 1
    }
    while source.count - at >= 8 {
      let other = EightBytes(source, at: at).notDigits
      if other.isAny { return at + other.first }
      at += 8
    }
    while at < source.count, source[at] >= UInt8(ascii: "0"), source[at] <= UInt8(ascii: "9") { at += 1 }
    return at
  }
}
