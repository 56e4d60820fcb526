// One value of a parsed JSON text, as positions in that text. No bytes live here and nothing is parsed here.

/// The kinds of JSON value (RFC 8259 section 3).
public enum JSONKind: UInt8, Sendable {
  case object, array, string, number, `true`, `false`, null
}

/// A value in a ``JSONDocument``: its kind and where its bytes lie.
///
/// It is a plain value and stays meaningful as long as the document is not parsed anew and the same bytes are passed as
/// `source`. With other bytes its answers are wrong, but nothing traps: a node that reaches past `source` equals nothing.
public struct JSONNode: Sendable {
  /// What the value is.
  public let kind: JSONKind

  /// Whether a string holds a backslash, so that its bytes differ from its value. False for other kinds.
  public let hasEscapes: Bool

  /// The bytes of the value in the source. A string's are those between the quotes.
  public let range: Range<Int>

  /// The node's place on the tape, and that of the first node after its subtree.
  let index: Int
  let next: Int
}

/// A member of a JSON object.
public struct JSONMember: Sendable {
  /// The member's name, a string node.
  public let name: JSONNode
  /// The member's value.
  public let value: JSONNode
}

/// How far an iteration over an array or an object has come. Made by ``JSONDocument/children(of:)``.
public struct JSONCursor: Sendable {
  var index: Int
  let end: Int
}
