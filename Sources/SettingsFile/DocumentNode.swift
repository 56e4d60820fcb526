// A YAML document as a tree of plain values with positions. Nothing is parsed or judged here.

import Policy

/// One node of a document. Scalars are text until a shape types them: `NO` is the text `NO`.
public struct DocumentNode: Sendable {
  public enum Content: Sendable {
    /// A scalar's text, and whether it stood there without quotes and not as a block.
    case scalar(String, isPlain: Bool)
    case list([DocumentNode])
    /// The members in their order, no key twice.
    case map([DocumentMember])
    /// Something that was refused where it was read (an alias); its mistake has been told.
    case refused
  }

  /// Where the node begins.
  public let position: SourcePosition
  public let content: Content

  public init(_ content: Content, at position: SourcePosition) {
    self.content = content
    self.position = position
  }

  /// The text of a scalar, nil for anything else.
  public var text: String? {
    if case .scalar(let text, _) = content { text } else { nil }
  }

  /// The elements of a list; none for anything else.
  public var elements: [DocumentNode] {
    if case .list(let elements) = content { elements } else { [] }
  }

  /// The members of a map; none for anything else.
  public var members: [DocumentMember] {
    if case .map(let members) = content { members } else { [] }
  }

  /// The value of a map's member, nil where there is none.
  public subscript(key: String) -> DocumentNode? { members.first { $0.key == key }?.value }
}

/// A key of a map and its value.
public struct DocumentMember: Sendable {
  public let key: String
  public let keyPosition: SourcePosition
  public let value: DocumentNode

  public init(key: String, keyPosition: SourcePosition, value: DocumentNode) {
    self.key = key
    self.keyPosition = keyPosition
    self.value = value
  }
}

/// What a document may cost: a file beyond it is refused before it is held in memory.
public struct DocumentLimits: Sendable, Equatable {
  /// Bytes of the file.
  public let bytes: Int
  /// Levels of lists and maps; the outermost is level 1.
  public let levels: Int
  /// Nodes: scalars, keys, lists and maps.
  public let nodes: Int

  public init(bytes: Int, levels: Int, nodes: Int) {
    self.bytes = bytes
    self.levels = levels
    self.nodes = nodes
  }

  /// The settings file's and the policy tests': 1 MiB, 16 levels, 100,000 nodes.
  public static let settings = DocumentLimits(bytes: 1 << 20, levels: 16, nodes: 100_000)
  /// The revocation file's: 16 MiB, 16 levels, 1,000,000 nodes.
  public static let revocation = DocumentLimits(bytes: 16 << 20, levels: 16, nodes: 1_000_000)
}
