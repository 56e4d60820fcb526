// What is recorded of a judged request head: ranges and facts. The judging itself is RequestHeadParsing.swift; looking up
// fields and cookies is FieldLookup.swift and CookieLookup.swift. No bytes are kept here, and only making a RequestHead allocates.

/// Where one header line's name and value lie, in bytes from the start of the head.
public struct FieldLine: Equatable, Sendable {
  /// First byte of the name.
  public internal(set) var nameStart: UInt32 = 0
  /// Bytes of the name, at least 1.
  public internal(set) var nameLength: UInt32 = 0
  /// First byte of the value.
  public internal(set) var valueStart: UInt32 = 0
  /// Bytes of the value without the white space around it; may be 0.
  public internal(set) var valueLength: UInt32 = 0

  init() {}

  /// The name's place in the bytes that were parsed.
  public var name: Range<Int> { Int(nameStart)..<Int(nameStart) + Int(nameLength) }
  /// The value's place in the bytes that were parsed, white space around it left out.
  public var value: Range<Int> { Int(valueStart)..<Int(valueStart) + Int(valueLength) }
}

/// What `RequestHead.parse` says.
public enum HeadOutcome: Equatable, Sendable {
  /// All bytes so far can be the start of a good head, and it has not ended.
  case incomplete
  /// A good head, `RequestHead.length` bytes long. What follows it was not looked at.
  case complete
  /// No head that we accept, whatever may follow: answer with this and close.
  case refused(Refusal)
}

/// The judge of a request head, and what it recorded of the last good one.
///
/// About 2 KiB, meant to be made once an event loop and used again for each head: a parse allocates nothing and writes
/// only what it finds.
/// It keeps ranges, not bytes: whoever asks about a field gives the same bytes again, before they are moved or drained.
/// Not for use from two threads at once. All facts are those of an empty head until `parse` has answered `.complete`.
public struct RequestHead: ~Copyable, Sendable {
  /// The most header lines that can be recorded; `HeadLimits.maxFieldLines` is never more.
  public static var fieldCapacity: Int { 128 }

  /// Allocated once, with the scratch, and never grown. No InlineArray: outside a mutating function Swift 6.3 copies all
  /// 2 KiB of one before it reads an element.
  var fields = [FieldLine](repeating: FieldLine(), count: RequestHead.fieldCapacity)
  var facts = HeadFacts()

  /// An empty scratch, before its first parse.
  public init() {}

  /// Bytes of the head, up to and with the CRLF of its empty line.
  public var length: Int { facts.length }
  /// The method's place: never empty, all `tchar`, case as sent (RFC 9110, section 9.1).
  public var method: Range<Int> { 0..<facts.methodLength }
  /// The target's place: origin-form, or `*` with OPTIONS.
  public var target: Range<Int> { facts.targetStart..<facts.targetEnd }
  /// The method is HEAD: the reply must have no body.
  public var isHEAD: Bool { facts.isHEAD }
  /// The method is OPTIONS.
  public var isOPTIONS: Bool { facts.isOPTIONS }
  /// 0 or 1, of HTTP/1.x.
  public var minorVersion: Int { facts.isVersion11 ? 1 : 0 }
  /// Whether the connection may stay open after the reply (RFC 9112, section 9.3): with 1.1 unless `Connection` lists
  /// `close`, with 1.0 only if it lists `keep-alive` and not `close`.
  public var persistent: Bool { !facts.listsClose && (facts.isVersion11 || facts.listsKeepAlive) }
  /// A body follows the head: `Content-Length` above 0, or `Transfer-Encoding: chunked`.
  public var announcesBody: Bool { facts.announcesBody }
  /// The client may wait for `100 Continue` before its body. Always false with 1.0 (RFC 9110, section 10.1.1).
  public var expectsContinue: Bool { facts.expectsContinue && facts.isVersion11 }
  /// Header lines recorded, 0 to 128.
  public var fieldCount: Int { facts.fieldCount }

  /// The header line at `index`, in the order sent. `index` is at least 0 and below `fieldCount`.
  public func field(_ index: Int) -> FieldLine {
    precondition(index < facts.fieldCount, "field index out of range")
    return fields[index]
  }
}

/// The facts of a head beside its header lines, small enough to be reset for each parse.
struct HeadFacts {
  var length = 0
  var methodLength = 0
  var targetStart = 0
  var targetEnd = 0
  var fieldCount = 0
  var isHEAD = false
  var isOPTIONS = false
  var isVersion11 = false
  var sawHost = false
  var sawContentLength = false
  var sawTransferEncoding = false
  var sawExpect = false
  var listsClose = false
  var listsKeepAlive = false
  var announcesBody = false
  var expectsContinue = false
}
