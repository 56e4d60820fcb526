// libyaml's event parser as an owned value. `unsafe` is here because libyaml is C: the parser lies in memory of its own
// (libyaml keeps its address), the input outlives the parser's use of it, and each event is copied into Swift values
// and deleted before the next is asked for.

import CYAML
import Policy

/// What libyaml saw next. Texts are copies.
enum YAMLEvent {
  case nothing
  case documentStart(hasDirectives: Bool)
  case end
  case alias
  case scalar(String, isPlain: Bool)
  case listStart
  case mapStart
  case containerEnd
}

/// An event with what stood before it.
struct YAMLStep {
  let event: YAMLEvent
  let position: SourcePosition
  /// The event's first character, counted from 0.
  let index: Int
  let hasAnchor: Bool
  let hasTag: Bool
}

/// Why libyaml could not go on.
struct YAMLSyntaxError: Error {
  let position: SourcePosition
  let problem: String
}

/// One parse of one text. Safe: the pointer is allocated here, never leaves, and is freed once.
@safe struct YAMLParser: ~Copyable {
  private let parser: UnsafeMutablePointer<yaml_parser_t>

  /// Nil when there is no memory.
  private init?() {
    unsafe parser = .allocate(capacity: 1)
    guard unsafe yaml_parser_initialize(parser) == 1 else {
      unsafe parser.deallocate()
      return nil
    }
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
  }

  /// Runs `body` with a parser over `bytes`, which are valid UTF-8.
  static func read<Result>(_ bytes: [UInt8], _ body: (borrowing YAMLParser) throws(YAMLSyntaxError) -> Result)
    throws(YAMLSyntaxError) -> Result
  {
    guard let yaml = YAMLParser() else { throw YAMLSyntaxError(position: .start, problem: "out of memory") }
    var outcome: Swift.Result<Result, YAMLSyntaxError>?
    // The bytes stay where they are until the closure returns, and the parser is not used behind it.
    unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe yaml_parser_set_input_string(yaml.parser, buffer.baseAddress, buffer.count)
      unsafe yaml_parser_set_encoding(yaml.parser, YAML_UTF8_ENCODING)
      do throws(YAMLSyntaxError) { outcome = .success(try body(yaml)) } catch { outcome = .failure(error) }
    }
    guard let outcome else { throw YAMLSyntaxError(position: .start, problem: "nothing was read") }
    return try outcome.get()
  }

  /// The next event.
  func next() throws(YAMLSyntaxError) -> YAMLStep {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw syntaxError() }
    defer { unsafe yaml_event_delete(&event) }
    let mark = unsafe event.start_mark
    var hasAnchor = false
    var hasTag = false
    let kind: YAMLEvent
    switch unsafe event.type {
    case YAML_DOCUMENT_START_EVENT:
      let start = unsafe event.data.document_start
      kind = unsafe .documentStart(
        hasDirectives: start.version_directive != nil || start.tag_directives.start != start.tag_directives.end)
    case YAML_STREAM_END_EVENT: kind = .end
    case YAML_ALIAS_EVENT: kind = .alias
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      let text = unsafe String(
        decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      unsafe hasAnchor = scalar.anchor != nil
      unsafe hasTag = scalar.tag != nil
      let isPlain = unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE
      kind = .scalar(text, isPlain: isPlain)
    case YAML_SEQUENCE_START_EVENT:
      let start = unsafe event.data.sequence_start
      unsafe hasAnchor = start.anchor != nil
      unsafe hasTag = start.tag != nil
      kind = .listStart
    case YAML_MAPPING_START_EVENT:
      let start = unsafe event.data.mapping_start
      unsafe hasAnchor = start.anchor != nil
      unsafe hasTag = start.tag != nil
      kind = .mapStart
    case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: kind = .containerEnd
    default: kind = .nothing
    }
    return YAMLStep(
      event: kind, position: SourcePosition(line: mark.line + 1, column: mark.column + 1), index: mark.index,
      hasAnchor: hasAnchor, hasTag: hasTag)
  }

  private func syntaxError() -> YAMLSyntaxError {
    let mark = unsafe parser.pointee.problem_mark
    let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "it cannot be read"
    return YAMLSyntaxError(position: SourcePosition(line: mark.line + 1, column: mark.column + 1), problem: problem)
  }
}
