// The tape of a parsed JSON text and the ways over it. The parser itself is in JSONParser.swift,
// what strings and numbers mean in JSONText.swift and JSONNumber.swift.

/// A strict JSON reader (RFC 8259 and RFC 3629) with its memory: made once, used for one text after the other.
///
/// `parse` fills a flat tape of nodes in preorder and allocates nothing. The document keeps no bytes: the caller keeps
/// the source and passes it to whatever looks into it. One document serves one thread at a time.
///
/// Refused beyond what the grammar refuses: invalid UTF-8 and a byte order mark, lone surrogates (also as `\u` escapes),
/// a name twice in one object (also when equal only after unescaping), too deep nesting, too many members, more values
/// than the capacity, and anything but white space behind the value.
public struct JSONDocument: ~Copyable, Sendable {
  /// One value on the tape; 16 bytes.
  struct Entry {
    var start: UInt32 = 0
    var end: UInt32 = 0
    var next: UInt32 = 0
    /// For names: part of the hash of the unescaped bytes.
    var hash: UInt16 = 0
    var kind: JSONKind = .null
    var hasEscapes = false
  }

  /// An object or array that is still open while parsing.
  struct Frame {
    var entry: UInt32 = 0
    var memberCount: UInt32 = 0
    var isObject = false
    /// Which hashes the names so far have (a Bloom filter of 256 bits), so that most names are compared with none.
    var seen = InlineArray<4, UInt64>(repeating: 0)
  }

  var tape: [Entry]
  var frames: [Frame]
  var entryCount = 0
  let maximumMembers: Int
  let seed: UInt64

  /// Allocates the memory for texts of at most `nodeCapacity` values (a member counts two: its name and its value),
  /// 16 bytes each.
  ///
  /// `nodeCapacity` of half the text's bytes plus 1 suffices for any text. `maximumDepth` counts the outermost array or
  /// object as level 1. `seed` makes hash collisions of member names unforeseeable; it bears on speed alone, never on
  /// what is accepted.
  public init(
    nodeCapacity: Int, maximumDepth: Int = 16, maximumMembers: Int = 64,
    seed: UInt64 = UInt64.random(in: UInt64.min...UInt64.max)
  ) {
    tape = Array(repeating: Entry(), count: max(nodeCapacity, 0))
    frames = Array(repeating: Frame(), count: max(maximumDepth, 0))
    self.maximumMembers = max(maximumMembers, 0)
    self.seed = seed
  }

  /// Forgets the last text: there is no root until the next.
  public mutating func clear() { entryCount = 0 }

  /// How many values the tape holds: 0 after a text that was refused.
  public var nodeCount: Int { entryCount }

  /// The outermost value; nil when no text was parsed or the last one was refused.
  public var root: JSONNode? { node(at: 0) }

  /// The value of the member of `object` whose unescaped name is `name`; nil when there is none or it is no object.
  public func member(of object: JSONNode, named name: Span<UInt8>, in source: Span<UInt8>) -> JSONNode? {
    guard object.kind == .object else { return nil }
    var cursor = children(of: object)
    while let member = nextMember(&cursor) {
      if member.name.equals(name, in: source) { return member.value }
    }
    return nil
  }

  /// The value of the member of `object` whose unescaped name is `name`; nil when there is none or it is no object.
  public func member(of object: JSONNode, named name: ShortText, in source: Span<UInt8>) -> JSONNode? {
    guard object.kind == .object else { return nil }
    var cursor = children(of: object)
    while let member = nextMember(&cursor) {
      if member.name.equals(name, in: source) { return member.value }
    }
    return nil
  }

  /// The start of an iteration over the members of an object or the elements of an array; empty for other kinds.
  public func children(of container: JSONNode) -> JSONCursor {
    guard container.kind == .object || container.kind == .array else { return JSONCursor(index: 0, end: 0) }
    return JSONCursor(index: container.index + 1, end: container.next)
  }

  /// The next element of an array, or nil behind the last.
  public func nextElement(_ cursor: inout JSONCursor) -> JSONNode? {
    guard cursor.index < cursor.end, let element = node(at: cursor.index) else { return nil }
    cursor.index = element.next
    return element
  }

  /// The next member of an object, in the order of the text, or nil behind the last.
  public func nextMember(_ cursor: inout JSONCursor) -> JSONMember? {
    guard cursor.index < cursor.end, let name = node(at: cursor.index), let value = node(at: name.next) else {
      return nil
    }
    cursor.index = value.next
    return JSONMember(name: name, value: value)
  }

  private func node(at index: Int) -> JSONNode? {
    guard index >= 0, index < entryCount else { return nil }
    let entry = tape[index]
    guard entry.start <= entry.end else { return nil }
    return JSONNode(
      kind: entry.kind, hasEscapes: entry.hasEscapes, range: Int(entry.start)..<Int(entry.end), index: index,
      next: Int(entry.next))
  }
}
