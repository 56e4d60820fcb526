// Bytes of a YAML file → a tree, narrowed: one document, UTF-8, bounded, no anchors, aliases, tags, merge keys, complex
// keys, directives, no key twice. Why: what is left reads the same to every person and every editor, and cannot grow
// (an alias of an alias is how a kilobyte becomes gigabytes). What the tree means is not known here.

import Policy

/// A document that was read, with its mistakes.
public struct DocumentReading: Sendable {
  /// The outermost node; nil for an empty document and where reading had to stop.
  public let root: DocumentNode?
  /// In the order of the file.
  public let mistakes: [FileMistake]

  /// Whether the file holds nothing but white space and comments.
  public var isEmpty: Bool { root == nil && mistakes.isEmpty }

  /// Reads a file's bytes within `limits`. After a mistake in syntax, or at a limit, the rest is not read.
  public static func read(_ bytes: [UInt8], limits: DocumentLimits) -> DocumentReading {
    if let mistake = unreadable(bytes, limits) { return DocumentReading(root: nil, mistakes: [mistake]) }
    var builder = DocumentBuilder(bytes: bytes, limits: limits)
    do throws(YAMLSyntaxError) {
      try YAMLParser.read(bytes) { (yaml) throws(YAMLSyntaxError) in
        while try builder.take(yaml.next()) {}
      }
    } catch {
      let found = lineText(bytes, error.position)
      builder.mistakes.append(
        FileMistake(at: error.position, key: nil, value: found, allowed: "well-formed YAML (\(error.problem))"))
      return DocumentReading(root: nil, mistakes: builder.mistakes)
    }
    return DocumentReading(root: builder.hasStopped ? nil : builder.root, mistakes: builder.mistakes)
  }

  /// What libyaml must not be asked about: too many bytes, a byte order mark, bytes that are no text.
  private static func unreadable(_ bytes: [UInt8], _ limits: DocumentLimits) -> FileMistake? {
    guard bytes.count <= limits.bytes else {
      return FileMistake(
        at: .start, key: nil, value: "\(bytes.count) bytes", allowed: "a file of at most \(limits.bytes) bytes")
    }
    guard !bytes.starts(with: [0xEF, 0xBB, 0xBF]), !bytes.starts(with: [0xFE, 0xFF]), !bytes.starts(with: [0xFF, 0xFE])
    else { return FileMistake(at: .start, key: nil, value: "a byte order mark", allowed: "UTF-8 without one") }
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var line = 1
    var column = 1
    while true {
      switch decoder.decode(&iterator) {
      case .emptyInput: return nil
      case .error:
        return FileMistake(
          at: SourcePosition(line: line, column: column), key: nil, value: "a byte that is not UTF-8", allowed: "UTF-8")
      case .scalarValue("\n"): (line, column) = (line + 1, 1)
      case .scalarValue(let scalar):
        guard isText(scalar) else {
          return FileMistake(
            at: SourcePosition(line: line, column: column), key: nil, value: String(scalar),
            allowed: "text without control characters")
        }
        column += 1
      }
    }
  }

  /// YAML 1.2, production c-printable, without a byte order mark inside and without the line ends that most editors do
  /// not take for such, so that lines are counted alike.
  private static func isText(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0xA0...0x2027, 0x202A...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD: true
    case 0x10000...0x10FFFF: true
    default: false
    }
  }

  /// What stands at a position, up to the end of its line.
  private static func lineText(_ bytes: [UInt8], _ position: SourcePosition) -> String {
    var rest = bytes[...]
    for _ in 1..<max(position.line, 1) {
      guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return "" }
      rest = rest[(end + 1)...]
    }
    let line = String(decoding: rest.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    return String(line.unicodeScalars.dropFirst(position.column - 1))
  }
}

/// Puts events together.
private struct DocumentBuilder {
  /// A list or map that is still open.
  struct Frame {
    let isMap: Bool
    let position: SourcePosition
    var elements: [DocumentNode] = []
    var members: [DocumentMember] = []
    /// Names so far, once there are many: a map of 100,000 keys must not cost their square.
    var keys: Set<String> = []
    var key: (text: String, position: SourcePosition)?

    /// Whether no member has this key yet.
    mutating func isNew(_ key: String) -> Bool {
      if members.count < 16 { return !members.contains { $0.key == key } }
      if keys.isEmpty { keys = Set(members.map(\.key)) }
      return keys.insert(key).inserted
    }
  }

  let bytes: [UInt8]
  let limits: DocumentLimits
  var root: DocumentNode?
  var mistakes: [FileMistake] = []
  var hasStopped = false
  private var frames: [Frame] = []
  private var nodes = 0
  private var documents = 0
  /// A byte offset and the number of characters before it.
  private var place = (byte: 0, character: 0)

  init(bytes: [UInt8], limits: DocumentLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  /// Takes one event; false when there is nothing more to read.
  mutating func take(_ step: YAMLStep) -> Bool {
    let hasMark = isMarked(step)
    if step.hasAnchor || hasMark && markByte == UInt8(ascii: "&") {
      refuse(step.position, "an anchor (&)", "values written out where they stand")
    } else if step.hasTag || hasMark {
      refuse(step.position, "a tag (!)", "values without a tag")
    }
    switch step.event {
    case .nothing: return true
    case .end: return false
    case .documentStart(let hasDirectives):
      documents += 1
      if hasDirectives { refuse(step.position, "a directive (%)", "YAML without directives") }
      if documents > 1 { return stop(step.position, "a second document (---)", "one document") }
    case .alias:
      refuse(step.position, "an alias (*)", "values written out where they stand")
      guard count(step.position) else { return false }
      if isKeyExpected {
        frames[frames.count - 1].key = ("*", step.position)
      } else {
        add(DocumentNode(.refused, at: step.position))
      }
    case .scalar(let text, let isPlain):
      guard count(step.position) else { return false }
      if isKeyExpected {
        if text == "<<", isPlain { refuse(step.position, "<<", "maps without merge keys") }
        frames[frames.count - 1].key = (text, step.position)
      } else {
        add(DocumentNode(.scalar(text, isPlain: isPlain), at: step.position))
      }
    case .listStart: return open(isMap: false, step.position)
    case .mapStart: return open(isMap: true, step.position)
    case .containerEnd:
      guard let frame = frames.popLast() else { return false }
      add(DocumentNode(frame.isMap ? .map(frame.members) : .list(frame.elements), at: frame.position))
    }
    return true
  }

  private var isKeyExpected: Bool { frames.last.map { $0.isMap && $0.key == nil } ?? false }

  private mutating func open(isMap: Bool, _ position: SourcePosition) -> Bool {
    guard count(position) else { return false }
    guard frames.count < limits.levels else {
      return stop(position, "level \(limits.levels + 1)", "at most \(limits.levels) levels")
    }
    // What follows would no longer be a key and a value in turn.
    if isKeyExpected { return stop(position, "a key that is a list or a map", "keys that are text") }
    frames.append(Frame(isMap: isMap, position: position))
    return true
  }

  private mutating func count(_ position: SourcePosition) -> Bool {
    nodes += 1
    return nodes <= limits.nodes || stop(position, "node \(nodes)", "at most \(limits.nodes) nodes")
  }

  private mutating func add(_ node: DocumentNode) {
    guard let top = frames.indices.last else {
      root = node
      return
    }
    guard frames[top].isMap else {
      frames[top].elements.append(node)
      return
    }
    guard let key = frames[top].key else { return }
    frames[top].key = nil
    if frames[top].isNew(key.text) {
      frames[top].members.append(DocumentMember(key: key.text, keyPosition: key.position, value: node))
    } else {
      mistakes.append(FileMistake(at: key.position, key: key.text, value: key.text, allowed: "each key once"))
    }
  }

  private mutating func refuse(_ position: SourcePosition, _ value: String, _ allowed: String) {
    mistakes.append(FileMistake(at: position, key: nil, value: value, allowed: allowed))
  }

  private mutating func stop(_ position: SourcePosition, _ value: String, _ allowed: String) -> Bool {
    refuse(position, value, allowed)
    hasStopped = true
    return false
  }

  // MARK: - Marks that libyaml swallows

  /// The first byte of the last event that was looked at.
  private var markByte: UInt8 { place.byte < bytes.count ? bytes[place.byte] : 0 }

  /// Whether the event begins with `!` or `&`. libyaml tells no difference between `! text` and `text`; no text without
  /// quotes begins so.
  private mutating func isMarked(_ step: YAMLStep) -> Bool {
    switch step.event {
    case .scalar, .listStart, .mapStart: break
    default: return false
    }
    guard step.index >= place.character else { return false }
    while place.character < step.index, place.byte < bytes.count {
      place.byte += 1
      while place.byte < bytes.count, bytes[place.byte] & 0xC0 == 0x80 { place.byte += 1 }
      place.character += 1
    }
    return markByte == UInt8(ascii: "!") || markByte == UInt8(ascii: "&")
  }
}
