// What is said about a mistake in a file: one line of printable ASCII. Nothing is read or printed here.

import Policy

/// One mistake in a file: where, under which key, what stands there, and what is allowed.
public struct FileMistake: Error, Equatable, Sendable {
  /// The key's or the value's place; `1:1` for what concerns the whole file.
  public let position: SourcePosition
  /// The key; nil where the syntax is broken or the whole file is meant.
  public let key: String?
  /// What stands there, unescaped.
  public let value: String
  /// What is allowed, without a full stop.
  public let allowed: String

  public init(at position: SourcePosition, key: String?, value: String, allowed: String) {
    self.position = position
    self.key = key
    self.value = value
    self.allowed = allowed
  }

  /// `FILE:LINE:COLUMN: KEY: 'VALUE' is refused; allowed: …`, without a line feed.
  public func line(file: String) -> String {
    let key = key.map { escapedForOneLine($0) + ": " } ?? ""
    return "\(escapedForOneLine(file, limit: 4096)):\(position): \(key)'\(escapedForOneLine(value))' is refused; "
      + "allowed: \(escapedForOneLine(allowed, limit: 4096, escapingQuotes: false))"
  }
}

/// `text` as printable ASCII, cut at `limit` characters (marked with `...`).
///
/// A file may come from anywhere: what stands in it must not be able to start a second line or to drive a terminal.
func escapedForOneLine(_ text: String, limit: Int = 80, escapingQuotes: Bool = true) -> String {
  var escaped = ""
  var count = 0
  for scalar in text.unicodeScalars {
    if count == limit { return escaped + "..." }
    count += 1
    switch scalar {
    case "\n": escaped += "\\n"
    case "\r": escaped += "\\r"
    case "\t": escaped += "\\t"
    case "'", "\\":
      if escapingQuotes { escaped += "\\" }
      escaped.unicodeScalars.append(scalar)
    case " "..."~": escaped.unicodeScalars.append(scalar)
    default: escaped += "\\u{" + String(scalar.value, radix: 16) + "}"
    }
  }
  return escaped
}

/// The known name that is nearest to `name`, where one is near enough to be meant: at most three edits and less than
/// half of the name.
func nearestName(to name: String, among known: some Sequence<String>) -> String? {
  var best: (name: String, distance: Int)?
  for candidate in known {
    let distance = editDistance(candidate, name)
    if distance < best?.distance ?? Int.max { best = (candidate, distance) }
  }
  guard let best, best.distance <= 3, best.distance * 2 <= max(best.name.utf8.count, 2) else { return nil }
  return best.name
}

/// The edits (Levenshtein) between two names, both cut at 64 bytes.
private func editDistance(_ one: String, _ other: String) -> Int {
  let other = Array(other.utf8.prefix(64))
  var previous = Array(0...other.count)
  for (row, byte) in one.utf8.prefix(64).enumerated() {
    var current = [row + 1]
    for (column, otherByte) in other.enumerated() {
      current.append(min(previous[column + 1] + 1, current[column] + 1, previous[column] + (byte == otherByte ? 0 : 1)))
    }
    previous = current
  }
  return previous[other.count]
}
