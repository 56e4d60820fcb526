// What a file may hold, as data: the reader's checks and the JSON Schema are both made from it. Nothing is checked here.

/// What a scalar may say.
struct TextRule: Sendable {
  /// For people, without a full stop.
  let allowed: String
  /// All that is allowed, where that is a list of words.
  var words: [String] = []
  /// For the JSON Schema: a regular expression (ECMA 262) for texts; nil where only the reader can tell.
  var pattern: String?
  /// Whether an editor may take the text for a number or a switch: `60`, `true`.
  var mayBeTyped = false
  /// Whether a text is allowed.
  let accepts: @Sendable (String) -> Bool

  static func words(_ words: [String], allowed: String? = nil) -> TextRule {
    TextRule(allowed: allowed ?? list(words), words: words) { words.contains($0) }
  }

  private static func list(_ words: [String]) -> String {
    words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
  }
}

/// What a node may be. No enum with payloads: the leak checker of the fuzz target cannot see through their pointers.
struct Shape: Sendable {
  enum Kind: Sendable {
    case text, list, map, record, either, anything
  }

  let kind: Kind
  /// Of a text, of a map's names, and of the scalar in `either`.
  var rule: TextRule?
  /// Of a list's elements, of a map's values, and of what is no scalar in `either`: one.
  var inner: [Shape] = []
  var record: RecordShape?

  static func text(_ rule: TextRule) -> Shape { Shape(kind: .text, rule: rule) }
  /// One or more.
  static func list(_ element: Shape) -> Shape { Shape(kind: .list, inner: [element]) }
  /// One or more members of any allowed name.
  static func map(keys: TextRule, values: Shape) -> Shape { Shape(kind: .map, rule: keys, inner: [values]) }
  static func record(_ record: RecordShape) -> Shape { Shape(kind: .record, record: record) }
  /// A scalar of the rule, or something else of the shape.
  static func either(_ rule: TextRule, _ other: Shape) -> Shape { Shape(kind: .either, rule: rule, inner: [other]) }
  /// Any node.
  static let anything = Shape(kind: .anything)
}

/// A map whose names are known.
struct RecordShape: Sendable {
  struct Field: Sendable {
    let key: String
    let shape: Shape
    var isRequired = false
  }

  let fields: [Field]
  /// Of each of these sets exactly one must be there.
  var exactlyOne: [[String]] = []
  /// Of each of these sets at least one must be there.
  var atLeastOne: [[String]] = []
  /// Of each of these sets no two may be there.
  var atMostOne: [[String]] = []

  var keys: [String] { fields.map(\.key) }
}
