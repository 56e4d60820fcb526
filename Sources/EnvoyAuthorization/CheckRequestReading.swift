// Reads a `CheckRequest` (envoy/service/auth/v3/external_auth.proto and attribute_context.proto) in one pass, in place.
// Recorded is what a decision needs; every other field is stepped over unread, bodies and metadata included.

extension CheckRequest {
  /// Reads one message, without its gRPC prefix, and records what it says. Throws where it is not acceptable in any part
  /// that is read, and then nothing is recorded.
  ///
  /// Unknown fields are skipped, as the format asks for. Otherwise it is stricter than protobuf's own readers, which merge
  /// what is there twice and take a field of the wrong type for an unknown one: `MessageFault` lists what refuses.
  public mutating func read(_ bytes: Span<UInt8>) throws(MessageFault) {
    facts = CheckFacts()
    do {
      try readMessage(bytes)
    } catch {
      facts = CheckFacts()
      throw error
    }
  }

  private mutating func readMessage(_ bytes: Span<UInt8>) throws(MessageFault) {
    guard bytes.count <= GRPCFrame.maximumMessageBytes else { throw .tooLarge }
    var cursor = ProtobufCursor(0..<bytes.count)
    var attributes: Range<Int>?
    while let field = try cursor.next(bytes) {
      if field.number == 1 { attributes = try field.onlyBytes(after: attributes) }
    }
    guard let attributes else { throw .noRequest }
    try readAttributes(bytes, attributes)
  }

  private mutating func readAttributes(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(MessageFault) {
    var cursor = ProtobufCursor(range)
    var source: Range<Int>?
    var request: Range<Int>?
    while let field = try cursor.next(bytes) {
      switch field.number {
      case 1: source = try field.onlyBytes(after: source)
      case 4: request = try field.onlyBytes(after: request)
      case 10:
        guard facts.contextCount < Self.contextCapacity else { throw .tooManyEntries }
        context[facts.contextCount] = try mapEntry(bytes, field.bytes())
        facts.contextCount += 1
      default: continue
      }
    }
    if let source { try readSource(bytes, source) }
    guard let request else { throw .noRequest }
    guard let http = try only(2, bytes, request) else { throw .noRequest }
    try readHTTP(bytes, http)
  }

  private mutating func readSource(_ bytes: Span<UInt8>, _ peer: Range<Int>) throws(MessageFault) {
    guard let address = try only(1, bytes, peer) else { return }
    var cursor = ProtobufCursor(address)
    var isSet = false
    var socket: Range<Int>?
    while let field = try cursor.next(bytes) {
      // The members of the oneof `address`: a socket, a pipe, an internal listener.
      guard (1...3).contains(field.number) else { continue }
      let content = try field.bytes()
      guard !isSet else { throw .repeatedField }
      isSet = true
      if field.number == 1 { socket = content }
    }
    guard let socket, let text = try only(2, bytes, socket), !text.isEmpty else { return }
    facts.sourceAddress = text
  }

  private mutating func readHTTP(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(MessageFault) {
    var cursor = ProtobufCursor(range)
    var headerMap: Range<Int>?
    while let field = try cursor.next(bytes) {
      switch field.number {
      case 2: facts.method = try field.onlyBytes(after: facts.method)
      case 3: try record(mapEntry(bytes, field.bytes()))
      case 4: facts.path = try field.onlyBytes(after: facts.path)
      case 5: facts.host = try field.onlyBytes(after: facts.host)
      case 6: facts.scheme = try field.onlyBytes(after: facts.scheme)
      case 10: facts.httpProtocol = try field.onlyBytes(after: facts.httpProtocol)
      case 13: headerMap = try field.onlyBytes(after: headerMap)
      default: continue
      }
    }
    guard let headerMap else { return }
    cursor = ProtobufCursor(headerMap)
    while let field = try cursor.next(bytes) {
      if field.number == 1 { try record(headerValue(bytes, field.bytes())) }
    }
  }

  private mutating func record(_ header: NamedValue) throws(MessageFault) {
    guard facts.headerCount < Self.headerCapacity else { throw .tooManyEntries }
    headers[facts.headerCount] = header
    facts.headerCount += 1
  }

  /// The content of the one field `number` of the message in `range`; nil where it is not there.
  private func only(_ number: UInt32, _ bytes: Span<UInt8>, _ range: Range<Int>) throws(MessageFault) -> Range<Int>? {
    var cursor = ProtobufCursor(range)
    var found: Range<Int>?
    while let field = try cursor.next(bytes) {
      if field.number == number { found = try field.onlyBytes(after: found) }
    }
    return found
  }

  /// An entry of a `map<string, string>`: field 1 is the key, field 2 the value, which is empty where it is missing.
  private func mapEntry(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(MessageFault) -> NamedValue {
    var cursor = ProtobufCursor(range)
    var key: Range<Int>?
    var value: Range<Int>?
    while let field = try cursor.next(bytes) {
      switch field.number {
      case 1: key = try field.onlyBytes(after: key)
      case 2: value = try field.onlyBytes(after: value)
      default: continue
      }
    }
    return try named(key, value, range)
  }

  /// A `HeaderValue` (envoy/config/core/v3/base.proto): the value is text in field 2 or bytes in field 3, never in both.
  private func headerValue(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(MessageFault) -> NamedValue {
    var cursor = ProtobufCursor(range)
    var key: Range<Int>?
    var value: Range<Int>?
    while let field = try cursor.next(bytes) {
      switch field.number {
      case 1: key = try field.onlyBytes(after: key)
      case 2, 3: value = try field.onlyBytes(after: value)
      default: continue
      }
    }
    return try named(key, value, range)
  }

  private func named(_ key: Range<Int>?, _ value: Range<Int>?, _ entry: Range<Int>) throws(MessageFault) -> NamedValue {
    guard let key, !key.isEmpty else { throw .unnamedEntry }
    return NamedValue(name: key, value: value ?? entry.upperBound..<entry.upperBound)
  }
}
