// Where in a file something stands, so that whoever finds a mistake or has a note can name the place.

/// A place in a text file, counted from 1. A column counts characters (Unicode scalars).
public struct SourcePosition: Equatable, Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
  /// The line, 1 for the first.
  public let line: Int
  /// The column, 1 for the first character of a line.
  public let column: Int

  /// The place of what concerns a whole file.
  public static let start = SourcePosition(line: 1, column: 1)

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// `LINE:COLUMN`
  public var description: String { "\(line):\(column)" }
}

/// A value and where it stands.
public struct Positioned<Value: Sendable>: Sendable {
  public let value: Value
  public let position: SourcePosition

  public init(_ value: Value, at position: SourcePosition) {
    self.value = value
    self.position = position
  }
}

extension Positioned: Equatable where Value: Equatable {}
