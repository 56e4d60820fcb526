// What is said about a mistake in a file: one line of printable ASCII. Nothing is read or printed here.

import Policy
import Wording

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
