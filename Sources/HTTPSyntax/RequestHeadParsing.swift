// The judge: one pass over a request head, strictly from left to right, each byte and each finished line refused at the
// first thing wrong. So a verdict on a prefix is never taken back: more bytes turn `.incomplete` into anything, but a
// refusal stays the same refusal. No allocation, no unsafe, and no arithmetic on a number that a client chose.

/// Where the parse goes on, or what it ends with.
private enum Step {
  case next(Int)
  case end(HeadOutcome)

  @inline(__always)
  static func refuse(_ refusal: Refusal) -> Step { .end(.refused(refusal)) }
}

extension RequestHead {
  /// Judges the head at the start of `bytes` and records it. Never traps, whatever the bytes are.
  ///
  /// Stricter than RFC 9112 allows, because a proxy stands in front and shares the connection between users: a head that
  /// two parsers could read in two ways lets one user's reply reach another (request smuggling). What follows the head's
  /// empty line is not looked at. Calling again with more bytes starts over; `HeadScanner` makes that rare.
  public mutating func parse(_ bytes: Span<UInt8>, limits: HeadLimits = HeadLimits()) -> HeadOutcome {
    facts = HeadFacts()
    var found = HeadFacts()
    // One span for all lines, so that the array's uniqueness is checked once a head and not once a line.
    var lines = fields.mutableSpan
    var outcome = found.judge(bytes.extracting(first: limits.maxHeadBytes), limits, &lines)
    if outcome == .incomplete, bytes.count >= limits.maxHeadBytes {
      outcome = .refused(found.isWithinTarget ? .targetTooLong : .headTooLarge)
    }
    if outcome == .complete { facts = found }
    return outcome
  }
}

extension HeadFacts {
  fileprivate mutating func judge(
    _ head: Span<UInt8>, _ limits: HeadLimits, _ lines: inout MutableSpan<FieldLine>
  ) -> HeadOutcome {
    var i: Int
    switch requestLine(head) {
    case .next(let start): i = start
    case .end(let outcome): return outcome
    }
    while i < head.count {
      if head[i] == carriageReturn {
        guard i + 1 < head.count else { return .incomplete }
        guard head[i + 1] == lineFeed else { return .refused(.badFieldLine) }
        guard sawHost || !isVersion11 else { return .refused(.badHost) }
        length = i + 2
        return .complete
      }
      guard fieldCount < limits.maxFieldLines else { return .refused(.tooManyFieldLines) }
      switch fieldLine(head, from: i, &lines) {
      case .next(let start): i = start
      case .end(let outcome): return outcome
      }
    }
    return .incomplete
  }

  /// Of a head that is not complete: its method has ended, and its target has begun and not ended.
  fileprivate var isWithinTarget: Bool { methodLength > 0 && targetEnd == 0 }

  // MARK: Request line

  /// RFC 9112, section 3: method SP request-target SP HTTP-version CRLF.
  private mutating func requestLine(_ head: Span<UInt8>) -> Step {
    var i = 0
    while i < head.count, isTokenByte(head[i]) { i += 1 }
    guard i < head.count else { return .end(.incomplete) }
    guard i > 0, head[i] == space else { return .refuse(.badRequestLine) }
    let method = 0..<i
    // CONNECT makes a tunnel of the connection and TRACE echoes the assertion.
    if matches(head, method, exactly: Words.connect) || matches(head, method, exactly: Words.trace) {
      return .refuse(.methodNotImplemented)
    }
    methodLength = i
    isHEAD = matches(head, method, exactly: Words.head)
    isOPTIONS = matches(head, method, exactly: Words.options)

    let start = i + 1
    switch target(head, from: start) {
    case .next(let end): i = end
    case .end(let outcome): return .end(outcome)
    }
    targetStart = start
    targetEnd = i

    i += 1
    switch version(head, from: i) {
    case .next(let end): i = end
    case .end(let outcome): return .end(outcome)
    }
    // Judged behind the version, because the HTTP/2 preface is `PRI * HTTP/2.0`.
    guard head[start] != 0x2A || isOPTIONS else { return .refuse(.badTarget) }
    return .next(i)
  }

  /// RFC 9112, section 3.2: origin-form, or the one `*`. Ends at the space behind it.
  private func target(_ head: Span<UInt8>, from start: Int) -> Step {
    guard start < head.count else { return .end(.incomplete) }
    guard head[start] == 0x2F || head[start] == 0x2A else {
      return .refuse(endsTarget(head[start]) ? .badRequestLine : .badTarget)
    }
    var i = start + 1
    guard i < head.count else { return .end(.incomplete) }
    // `//host/path` is an authority to some parsers and a path to others; `*` stands alone.
    guard head[start] == 0x2F ? head[i] != 0x2F : endsTarget(head[i]) else { return .refuse(.badTarget) }

    scanning: while true {
      while head.count - i >= 8 {
        let stops = targetStops(in: word(of: head, at: i))
        guard stops == 0 else {
          i += firstFlag(stops)
          break scanning
        }
        i += 8
      }
      while i < head.count {
        guard isTargetByte(head[i]) else { break scanning }
        i += 1
      }
      return .end(.incomplete)
    }
    guard head[i] == space else { return .refuse(endsTarget(head[i]) ? .badRequestLine : .badTarget) }
    return .next(i)
  }

  /// Whether the target is over here, as opposed to being wrong.
  private func endsTarget(_ byte: UInt8) -> Bool {
    byte == space || byte == carriageReturn || byte == lineFeed
  }

  /// RFC 9112, section 2.3, and the CRLF. Ends behind it. Both are there before 505 is said: `HTTP/1.01` is no version.
  private mutating func version(_ head: Span<UInt8>, from start: Int) -> Step {
    let name = Words.http
    for offset in 0..<10 {
      let i = start + offset
      guard i < head.count else { return .end(.incomplete) }
      let fits =
        switch offset {
        case 0..<5: head[i] == name[offset]
        case 5, 7: isDigit(head[i])
        case 6: head[i] == 0x2E
        case 8: head[i] == carriageReturn
        default: head[i] == lineFeed
        }
      guard fits else { return .refuse(.badRequestLine) }
    }
    guard head[start + 5] == 0x31, head[start + 7] <= 0x31 else { return .refuse(.versionNotSupported) }
    isVersion11 = head[start + 7] == 0x31
    return .next(start + 10)
  }

  // MARK: Header lines

  /// RFC 9112, section 5: field-name ":" OWS field-value OWS CRLF. Ends behind it.
  private mutating func fieldLine(
    _ head: Span<UInt8>, from start: Int, _ lines: inout MutableSpan<FieldLine>
  ) -> Step {
    var i = skipNameBytes(head, from: start, to: head.count)
    while i < head.count, isTokenByte(head[i]) { i += 1 }
    guard i < head.count else { return .end(.incomplete) }
    // Also stops obs-fold (a line that starts with white space), an empty name, and `Content-Length : 5`.
    guard i > start, head[i] == 0x3A else { return .refuse(.badFieldLine) }
    let nameEnd = i
    i += 1
    while i < head.count, isBlank(head[i]) { i += 1 }
    let valueStart = i

    // Where a value turns out to be long, like a token, it is passed in greater steps.
    var longFrom = i + 32
    scanning: while true {
      while head.count - i >= 8 {
        if i >= longFrom {
          while head.count - i >= blockBytes, !hasValueStops(head, inBlockFrom: i) { i += blockBytes }
          longFrom = .max
          continue
        }
        let stops = valueStops(in: word(of: head, at: i))
        guard stops != 0 else {
          i += 8
          continue
        }
        i += firstFlag(stops)
        guard head[i] == tab else { break scanning }
        i += 1
      }
      while i < head.count {
        guard isValueByte(head[i]) else { break scanning }
        i += 1
      }
      return .end(.incomplete)
    }
    // A bare LF, a bare CR or a NUL ends a line for some parsers and not for others.
    guard head[i] == carriageReturn else { return .refuse(.badFieldLine) }
    guard i + 1 < head.count else { return .end(.incomplete) }
    guard head[i + 1] == lineFeed else { return .refuse(.badFieldLine) }

    var valueEnd = i
    while valueEnd > valueStart, isBlank(head[valueEnd - 1]) { valueEnd -= 1 }

    var line = FieldLine()
    line.nameStart = UInt32(truncatingIfNeeded: start)
    line.nameLength = UInt32(truncatingIfNeeded: nameEnd - start)
    line.valueStart = UInt32(truncatingIfNeeded: valueStart)
    line.valueLength = UInt32(truncatingIfNeeded: valueEnd - valueStart)
    lines[fieldCount] = line
    fieldCount += 1

    if let refusal = judgeField(head, start..<nameEnd, valueStart..<valueEnd) { return .refuse(refusal) }
    return .next(i + 2)
  }

  /// The fields that say where a message ends and whom it is for; all others pass.
  @inline(__always)
  private mutating func judgeField(_ head: Span<UInt8>, _ name: Range<Int>, _ value: Range<Int>) -> Refusal? {
    switch name.count {
    case 4 where matches(head, name, anyCase: Words.host):
      return judgeHost(head, value)
    case 6 where matches(head, name, anyCase: Words.expect):
      return judgeExpect(head, value)
    case 10 where matches(head, name, anyCase: Words.connection):
      readConnection(head, value)
      return nil
    case 14 where matches(head, name, anyCase: Words.contentLength):
      return judgeContentLength(head, value)
    case 17 where matches(head, name, anyCase: Words.transferEncoding):
      return judgeTransferEncoding(head, value)
    default:
      return nil
    }
  }

  private mutating func judgeHost(_ head: Span<UInt8>, _ value: Range<Int>) -> Refusal? {
    guard !sawHost, isHostAndPort(head, value) else { return .badHost }
    sawHost = true
    return nil
  }

  private mutating func judgeExpect(_ head: Span<UInt8>, _ value: Range<Int>) -> Refusal? {
    guard !sawExpect, matches(head, value, anyCase: Words.hundredContinue) else { return .badExpect }
    sawExpect = true
    expectsContinue = true
    return nil
  }

  /// One line of 1 to 18 digits: two lines, a list, a sign or an overflow is read differently by different parsers.
  private mutating func judgeContentLength(_ head: Span<UInt8>, _ value: Range<Int>) -> Refusal? {
    guard !sawContentLength, !sawTransferEncoding, 1...18 ~= value.count else { return .badFraming }
    sawContentLength = true
    for i in value {
      guard isDigit(head[i]) else { return .badFraming }
      if head[i] != 0x30 { announcesBody = true }
    }
    return nil
  }

  /// One line of exactly `chunked`, with 1.1 and without Content-Length (RFC 9112, sections 6.1 and 6.3).
  private mutating func judgeTransferEncoding(_ head: Span<UInt8>, _ value: Range<Int>) -> Refusal? {
    guard !sawContentLength, !sawTransferEncoding, isVersion11 else { return .badFraming }
    guard matches(head, value, anyCase: Words.chunked) else {
      return isRegisteredCoding(head, value) ? .codingNotImplemented : .badFraming
    }
    sawTransferEncoding = true
    announcesBody = true
    return nil
  }

  /// One of the other codings of the registry (RFC 9112, section 7.3), alone.
  private func isRegisteredCoding(_ head: Span<UInt8>, _ value: Range<Int>) -> Bool {
    let name =
      matches(head, value.prefix(2), anyCase: Words.oldCodingPrefix) ? value.dropFirst(2) : value
    return matches(head, name, anyCase: Words.gzip) || matches(head, name, anyCase: Words.compress)
      || matches(head, value, anyCase: Words.deflate)
  }

  /// A comma list of options, perhaps over several lines (RFC 9110, section 7.6.1). Unknown members pass.
  private mutating func readConnection(_ head: Span<UInt8>, _ value: Range<Int>) {
    var i = value.lowerBound
    while i < value.upperBound {
      var start = i
      while i < value.upperBound, head[i] != 0x2C { i += 1 }
      var end = i
      while start < end, isBlank(head[start]) { start += 1 }
      while end > start, isBlank(head[end - 1]) { end -= 1 }
      if matches(head, start..<end, anyCase: Words.close) { listsClose = true }
      if matches(head, start..<end, anyCase: Words.keepAlive) { listsKeepAlive = true }
      i += 1
    }
  }
}
