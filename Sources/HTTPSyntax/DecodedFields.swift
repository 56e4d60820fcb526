// The second way into RequestHead: the fields of one HTTP/2 request, as HPACK decodes them, are written out flat as the head
// of an HTTP/1.1 message, and that is judged by the one judge there is. What lives here is only what HTTP/2 adds (RFC 9113,
// sections 8.2 and 8.3): pseudo-fields, connection-specific fields, lower case, cookie crumbs, Host beside :authority.
//
// Invariant: a head is complete only if the judge has found just the method, the target and the lines that were written. A
// field that holds an end of line, a colon in its name or white space at its value's ends moves one of these places, so
// nothing that is hidden in a field can become a line, and no byte is checked twice.

/// Collects the decoded fields of one request and turns them into a judged `RequestHead`.
///
/// About 50 KiB at most, meant to be made once an event loop and used again: after the first few heads it does not
/// allocate. One field section at a time; not for use from two threads at once.
public struct DecodedFields: ~Copyable, Sendable {
  private enum Pseudo { case method, scheme, path, authority }

  /// What was written of one line, so that it can be compared with what the judge has read.
  private struct Written {
    var nameLength: UInt32 = 0
    var valueLength: UInt32 = 0
  }

  /// The head as far as it is written: `METHOD path HTTP/1.1`, the lines in the order decoded, the joined cookie last.
  public private(set) var bytes: [UInt8] = []
  private var pseudo: [UInt8] = []
  private var cookie: [UInt8] = []
  private var lines = [Written](repeating: Written(), count: RequestHead.fieldCapacity)
  private var lineCount = 0
  private var method: Range<Int>?
  private var scheme: Range<Int>?
  private var path: Range<Int>?
  private var authority: Range<Int>?
  private var hasCookie = false
  private var hasHost = false
  private var isBehindPseudo = false
  private var refusal: Refusal?

  /// RFC 9113, section 6.5.2: the sum of name, value and 32 over all fields so far, those not kept included.
  public private(set) var size = 0

  /// An empty section.
  public init() {
    bytes.reserveCapacity(4096)
    pseudo.reserveCapacity(512)
    cookie.reserveCapacity(2048)
  }

  /// Starts the next section; what was collected is gone.
  public mutating func reset() {
    bytes.removeAll(keepingCapacity: true)
    pseudo.removeAll(keepingCapacity: true)
    cookie.removeAll(keepingCapacity: true)
    lineCount = 0
    method = nil
    scheme = nil
    path = nil
    authority = nil
    hasCookie = false
    hasHost = false
    isBehindPseudo = false
    refusal = nil
    size = 0
  }

  /// Takes the next decoded field. Past `limits` nothing is kept any more, so memory is bounded by `maxHeadBytes`.
  ///
  /// - Returns: false when the section is four times as large as a head may be: whoever goes on sending means to make us
  ///   decode (a HPACK bomb), and the connection should end. Until then `finish` answers 431.
  public mutating func append(name: Span<UInt8>, value: Span<UInt8>, limits: HeadLimits = HeadLimits()) -> Bool {
    size += name.count + value.count + 32
    guard size <= limits.maxHeadBytes else {
      let isTarget = matches(name, 0..<name.count, exactly: Words.pathPseudo)
      refuse(isTarget && value.count > limits.maxHeadBytes ? .targetTooLong : .headTooLarge)
      return size <= 4 * limits.maxHeadBytes
    }
    guard refusal == nil else { return true }
    if !name.isEmpty, name[0] == 0x3A {
      takePseudo(name, value)
    } else {
      if !isBehindPseudo { writeStart(limits) }
      takeField(name, value, limits)
    }
    return true
  }

  /// Ends the section and judges it. Never `.incomplete`. After `.complete` all ranges of `head` are places in `bytes`.
  ///
  /// - Parameter endsStream: the request has no body (RFC 9113, section 8.1.1: a length that is not 0 contradicts that).
  public mutating func finish(
    endsStream: Bool, limits: HeadLimits = HeadLimits(), into head: inout RequestHead
  ) -> HeadOutcome {
    head.facts = HeadFacts()
    if !isBehindPseudo, refusal == nil { writeStart(limits) }
    if hasCookie, refusal == nil { writeCookie(limits) }
    if let refusal { return .refused(refusal) }
    bytes.append(carriageReturn)
    bytes.append(lineFeed)
    let outcome = head.parse(bytes.span, limits: limits)
    let misread = misreading(of: head)
    switch outcome {
    case .refused: return outcome
    case .complete where misread == nil:
      guard !endsStream || !head.announcesBody else { break }
      return .complete
    case .complete, .incomplete: break
    }
    head.facts = HeadFacts()
    return .refused(outcome == .complete ? misread ?? .badFraming : .badFieldLine)
  }

  private mutating func refuse(_ refusal: Refusal) {
    if self.refusal == nil { self.refusal = refusal }
  }

  // MARK: Pseudo-fields

  /// RFC 9113, section 8.3: each at most once, none that is not known, none behind a field.
  private mutating func takePseudo(_ name: Span<UInt8>, _ value: Span<UInt8>) {
    guard !isBehindPseudo, let which = Self.which(name) else { return refuse(.badRequestLine) }
    let start = pseudo.count
    pseudo.append(copying: value)
    let range = start..<pseudo.count
    let isFirst: Bool
    switch which {
    case .method:
      isFirst = method == nil
      method = range
    case .scheme:
      isFirst = scheme == nil
      scheme = range
    case .path:
      isFirst = path == nil
      path = range
    case .authority:
      isFirst = authority == nil
      authority = range
    }
    if !isFirst { refuse(.badRequestLine) }
  }

  private static func which(_ name: Span<UInt8>) -> Pseudo? {
    let all = 0..<name.count
    switch name.count {
    case 5 where matches(name, all, exactly: Words.pathPseudo): return .path
    case 7 where matches(name, all, exactly: Words.methodPseudo): return .method
    case 7 where matches(name, all, exactly: Words.schemePseudo): return .scheme
    case 10 where matches(name, all, exactly: Words.authorityPseudo): return .authority
    default: return nil
    }
  }

  /// Writes the request line, and Host where there is an :authority. All pseudo-fields are known now.
  private mutating func writeStart(_ limits: HeadLimits) {
    isBehindPseudo = true
    guard let method, !method.isEmpty else { return refuse(.badRequestLine) }
    // It has no scheme and no path (RFC 9113, section 8.5).
    let isConnect = matches(pseudo.span, method, exactly: Words.connect)
    guard !isConnect else { return refuse(.methodNotImplemented) }
    guard let path, hasGoodScheme else { return refuse(.badRequestLine) }
    bytes.append(contentsOf: pseudo[method])
    bytes.append(space)
    bytes.append(contentsOf: pseudo[path])
    let end = Words.versionAndEnd
    bytes.append(copying: end.span)
    guard let authority, record(Words.host.count, authority.count, limits) else { return }
    let host = Words.host
    bytes.append(copying: host.span)
    bytes.append(0x3A)
    bytes.append(space)
    bytes.append(contentsOf: pseudo[authority])
    bytes.append(carriageReturn)
    bytes.append(lineFeed)
  }

  /// RFC 9113, section 8.3.1: a proxy may name the scheme that it was asked by, so both are fine on each connection.
  private var hasGoodScheme: Bool {
    guard let scheme else { return false }
    return matches(pseudo.span, scheme, anyCase: Words.httpScheme)
      || matches(pseudo.span, scheme, anyCase: Words.httpsScheme)
  }

  // MARK: Fields

  private mutating func takeField(_ name: Span<UInt8>, _ value: Span<UInt8>, _ limits: HeadLimits) {
    guard refusal == nil else { return }
    // RFC 9113, section 8.2.1. What else no name may hold is refused by the judge.
    guard !hasUpperCase(name) else { return refuse(.badFieldLine) }
    let all = 0..<name.count
    switch name.count {
    case 2 where matches(name, all, exactly: Words.te):
      guard matches(value, 0..<value.count, anyCase: Words.trailers) else { return refuse(.badFieldLine) }
    case 4 where matches(name, all, exactly: Words.host):
      guard !hasHost else { return refuse(.badHost) }
      hasHost = true
      if let authority {
        guard agrees(value, authority) else { return refuse(.badHost) }
        // It stands there already.
        return
      }
    case 6 where matches(name, all, exactly: Words.cookie):
      return takeCrumb(value)
    case 7 where matches(name, all, exactly: Words.upgrade),
      10 where matches(name, all, exactly: Words.connection),
      10 where matches(name, all, exactly: Words.keepAlive),
      16 where matches(name, all, exactly: Words.proxyConnection):
      // RFC 9113, section 8.2.2: they say something of a connection, and a proxy that passes them on has mixed up two.
      return refuse(.badFieldLine)
    case 17 where matches(name, all, exactly: Words.transferEncoding):
      return refuse(.badFraming)
    default: break
    }
    write(name, value, limits)
  }

  /// RFC 9113, section 8.2.3: crumbs are one line, joined by a semicolon and a space.
  private mutating func takeCrumb(_ value: Span<UInt8>) {
    if hasCookie {
      cookie.append(0x3B)
      cookie.append(space)
    }
    hasCookie = true
    cookie.append(copying: value)
  }

  /// Whether Host names what :authority names; case has no meaning in a host (RFC 3986, section 3.2.2).
  private func agrees(_ host: Span<UInt8>, _ authority: Range<Int>) -> Bool {
    guard host.count == authority.count else { return false }
    for i in 0..<host.count where lowercased(host[i]) != lowercased(pseudo[authority.lowerBound + i]) { return false }
    return true
  }

  private mutating func write(_ name: Span<UInt8>, _ value: Span<UInt8>, _ limits: HeadLimits) {
    guard record(name.count, value.count, limits) else { return }
    bytes.append(copying: name)
    bytes.append(0x3A)
    bytes.append(space)
    bytes.append(copying: value)
    bytes.append(carriageReturn)
    bytes.append(lineFeed)
  }

  private mutating func writeCookie(_ limits: HeadLimits) {
    guard record(Words.cookie.count, cookie.count, limits) else { return }
    let name = Words.cookie
    bytes.append(copying: name.span)
    bytes.append(0x3A)
    bytes.append(space)
    bytes.append(contentsOf: cookie)
    bytes.append(carriageReturn)
    bytes.append(lineFeed)
  }

  private mutating func record(_ nameLength: Int, _ valueLength: Int, _ limits: HeadLimits) -> Bool {
    guard lineCount < limits.maxFieldLines else {
      refuse(.tooManyFieldLines)
      return false
    }
    lines[lineCount] = Written(
      nameLength: UInt32(truncatingIfNeeded: nameLength), valueLength: UInt32(truncatingIfNeeded: valueLength))
    lineCount += 1
    return true
  }

  // MARK: What was read against what was written

  /// Nil when the judge has read the lines that were written, and no others. See the invariant above.
  private func misreading(of head: borrowing RequestHead) -> Refusal? {
    guard let method, let path else { return .badRequestLine }
    guard head.method.count == method.count else { return .badRequestLine }
    guard head.target.count == path.count else { return .badTarget }
    guard head.length == bytes.count, head.fieldCount == lineCount else { return .badFieldLine }
    var start = UInt32(truncatingIfNeeded: method.count + 1 + path.count + Words.versionAndEnd.count)
    for index in 0..<lineCount {
      let read = head.fields[index]
      let written = lines[index]
      guard read.nameStart == start, read.nameLength == written.nameLength,
        read.valueStart == start + written.nameLength + 2, read.valueLength == written.valueLength
      else { return .badFieldLine }
      start += written.nameLength + written.valueLength + 4
    }
    return nil
  }
}

extension Array where Element == UInt8 {
  /// Appends the bytes of a span. No allocation while the capacity lasts.
  @inline(__always)
  fileprivate mutating func append(copying bytes: Span<UInt8>) {
    // Safe: the buffer is only read, within the closure, and an array never overlaps a span of another's memory.
    unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}
