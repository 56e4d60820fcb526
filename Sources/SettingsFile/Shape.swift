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

/// What a node may be.
indirect enum Shape: Sendable {
  case text(TextRule)
  /// One or more.
  case list(Shape)
  /// One or more members of any allowed name.
  case map(keys: TextRule, values: Shape)
  case record(RecordShape)
  /// A scalar of the first shape, or something else of the second.
  case either(TextRule, Shape)
  /// Any node.
  case anything
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
