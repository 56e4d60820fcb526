// What is recorded of a judged `envoy.service.auth.v3.CheckRequest`: places, no bytes. The judging is
// CheckRequestReading.swift. Only making a CheckRequest allocates.

import HTTPSyntax

/// Where a name and its value lie in some bytes: those of a question, or those that a reply is made of.
public struct NamedValue: Equatable, Sendable {
  private var nameStart: UInt32 = 0
  private var nameEnd: UInt32 = 0
  private var valueStart: UInt32 = 0
  private var valueEnd: UInt32 = 0

  init() {}

  /// Both places are at least 0 and below 2^32.
  public init(name: Range<Int>, value: Range<Int>) {
    nameStart = UInt32(name.lowerBound)
    nameEnd = UInt32(name.upperBound)
    valueStart = UInt32(value.lowerBound)
    valueEnd = UInt32(value.upperBound)
  }

  /// The name's place; never empty in a question.
  public var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
  /// The value's place; may be empty.
  public var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
}

/// The key of a context extension, compared byte for byte. Made once and kept.
public struct ContextKey: ExpressibleByStringLiteral, Equatable, Sendable {
  let bytes: [UInt8]

  public init(stringLiteral key: String) { bytes = Array(key.utf8) }
}

/// The judge of a question of Envoy's, and what it recorded of the last good one.
///
/// About 2 KiB, meant to be made once an event loop and used again for each question: a reading allocates nothing. It keeps
/// places, not bytes: whoever asks for a field gives the same bytes again. All of it is empty until `read` has returned, and
/// after a `read` that has thrown. Not for use from two threads at once.
///
/// The values are bytes as Envoy wrote them. They are not checked: not for UTF-8, not for the syntax of a host, path or
/// header. Envoy joins header lines of one name with commas (cookies, too) unless `encode_raw_headers` is on, so a comma in
/// a value can stand for a second line: whoever reads a value that has no comma of its own calls a value with one
/// `ambiguous`.
public struct CheckRequest: ~Copyable, Sendable {
  /// The most header lines that are recorded, Envoy's own (`:method`, `:path` …) among them.
  public static var headerCapacity: Int { 128 }
  /// The most context extensions that are recorded.
  public static var contextCapacity: Int { 16 }

  /// Allocated once, and never grown.
  var headers = [NamedValue](repeating: NamedValue(), count: CheckRequest.headerCapacity)
  var context = [NamedValue](repeating: NamedValue(), count: CheckRequest.contextCapacity)
  var facts = CheckFacts()

  /// An empty scratch, before its first reading.
  public init() {}

  /// `attributes.request.http.method`; empty where it is missing.
  public var method: Range<Int> { facts.method ?? 0..<0 }
  /// `attributes.request.http.path`, with the query; empty where it is missing.
  public var path: Range<Int> { facts.path ?? 0..<0 }
  /// `attributes.request.http.host`; empty where it is missing.
  public var host: Range<Int> { facts.host ?? 0..<0 }
  /// `attributes.request.http.scheme`; empty where it is missing.
  public var scheme: Range<Int> { facts.scheme ?? 0..<0 }
  /// `attributes.request.http.protocol`, such as `HTTP/2`; empty where it is missing.
  public var httpProtocol: Range<Int> { facts.httpProtocol ?? 0..<0 }
  /// `attributes.source.address.socket_address.address`, the text of an IP address; nil where there is none, or where the
  /// peer is no socket with an address. It is who has connected to Envoy.
  public var sourceAddress: Range<Int>? { facts.sourceAddress }

  /// Header lines recorded, 0 to `headerCapacity`: those of `headers` and of `header_map`, in the order sent.
  public var headerCount: Int { facts.headerCount }

  /// The header line at `index`, at least 0 and below `headerCount`.
  public func header(_ index: Int) -> NamedValue {
    precondition(index < facts.headerCount, "header index out of range")
    return headers[index]
  }

  /// The value of the one header line called `name`, or that there is none, or several. `bytes` are those that were read.
  /// Both maps count, so a name that is in each of them is there twice.
  public func value(of name: FieldName, in bytes: Span<UInt8>) -> Occurrence {
    var found = Occurrence.none
    for index in 0..<facts.headerCount where name.equals(bytes, headers[index].name) {
      guard found == .none else { return .several }
      found = .one(headers[index].value)
    }
    return found
  }

  /// The value of the one context extension with this key, or that there is none, or several. `bytes` are those that were
  /// read. Context extensions come from Envoy's configuration, never from its client.
  public func contextExtension(_ key: ContextKey, in bytes: Span<UInt8>) -> Occurrence {
    var found = Occurrence.none
    for index in 0..<facts.contextCount where equals(bytes, context[index].name, key) {
      guard found == .none else { return .several }
      found = .one(context[index].value)
    }
    return found
  }

  private func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ key: ContextKey) -> Bool {
    guard range.count == key.bytes.count, range.upperBound <= bytes.count else { return false }
    for offset in 0..<key.bytes.count where bytes[range.lowerBound &+ offset] != key.bytes[offset] { return false }
    return true
  }
}

/// The facts of a question beside its lists, small enough to be reset for each reading.
struct CheckFacts {
  var method: Range<Int>?
  var path: Range<Int>?
  var host: Range<Int>?
  var scheme: Range<Int>?
  var httpProtocol: Range<Int>?
  var sourceAddress: Range<Int>?
  var headerCount = 0
  var contextCount = 0
}
