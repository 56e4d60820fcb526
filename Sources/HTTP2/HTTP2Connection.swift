// One HTTP/2 connection of a client, as a state object: bytes go in, events and bytes come out, and nothing here reads a
// socket or a clock. What a proxy's head means, and what is answered, is the caller's.
//
// Invariant: whatever the client does, it costs no more than HTTP2Limits. A bound that is passed sets `failure`, after which
// no byte is looked at any more; the GOAWAY that says so leaves with the next flush, and then the connection is over.

import HTTPSyntax

/// A server's side of one HTTP/2 connection (RFC 9113), by nghttp2 behind `Session`.
///
/// All calls on the thread of its loop. Times are nanoseconds of a clock that never goes back. What is to be sent is
/// appended to the caller's buffer, in order; while the socket does not take it, the caller calls `receive` no more, so what
/// waits to be sent is bounded by one read and `HTTP2Limits.waiting` replies.
public final class HTTP2Connection {
  let session: Session
  private let scratch: HTTP2Scratch
  private let limits: HTTP2Limits

  private var walker = FrameWalker()
  /// The limits' buckets, as full as they are now.
  private var buckets: HTTP2Limits
  private var bodies = IncomingBodies()
  private var replies = OutgoingBodies()
  /// A field section of which a part is here, while other connections use the scratch.
  private var partial: DecodedFields?
  private var isInsideSection = false
  private var isTrailer = false
  private var trailerBytes = 0
  private var trailerIsMalformed = false
  private var openedSection = false
  private var arrived: (stream: Int32, endsStream: Bool)?
  private var resetsWhenSent: Set<Int32> = []
  private var now: UInt64 = 0
  private var isDraining = false

  /// Requests on hold: their verification has not ended. It may be more than there are open streams.
  public private(set) var waiting = 0
  /// Since when a preface, a frame or a head is incomplete: the head's deadline runs from here. Nil between frames.
  public private(set) var partialSince: UInt64?
  /// Why the connection ended by our will.
  public private(set) var failure: HTTP2Failure?
  /// The code of the last GOAWAY that was sent (RFC 9113, section 7).
  public private(set) var goAwayCode: UInt32?

  /// A connection before its first byte. Its SETTINGS leave with the first flush, before the client's preface is read.
  ///
  /// Nil where the system has no memory.
  public init?(limits: HTTP2Limits, scratch: HTTP2Scratch) {
    guard let session = Session(limits) else { return nil }
    self.session = session
    self.scratch = scratch
    self.limits = limits
    buckets = limits
    self.session.attach(self)
  }

  // MARK: - In

  /// Consumes bytes up to the next head, or all of them.
  ///
  /// - Parameters:
  ///   - bytes: what the client has sent; `offset` is where to go on, and moves. What is behind it is given again.
  ///   - head: is judged anew for each head.
  ///   - wire: what is to be sent is appended here, unless the event is a head: then it leaves with the reply.
  public func receive(
    _ bytes: Span<UInt8>, from offset: inout Int, now: UInt64, head: inout RequestHead, wire: inout [UInt8]
  ) -> HTTP2Event {
    self.now = now
    if let fields = partial.take() {
      scratch.fields = fields
      partialBytes = 0
    }
    while offset < bytes.count, failure == nil {
      let completed = receiveFrame(bytes, from: &offset)
      if !walker.isMidway {
        partialSince = nil
        if arrived == nil { isInsideSection = false }
      }
      if completed?.kind == .headers {
        // One for a stream that is gone: decoded, and told to nobody. Behind our last GOAWAY that is no abuse: the client
        // could not know.
        if !openedSection, !isDraining { takeControlFrame() }
        openedSection = false
      }
      if failure == nil, let event = takeHead(&head) { return event }
    }
    if walker.isMidway, partialSince == nil { partialSince = now }
    if isInsideSection, failure == nil {
      var fields = DecodedFields()
      swap(&fields, &scratch.fields)
      partialBytes = min(fields.size, limits.head.maxHeadBytes)
      partial = consume fields
    }
    resetOverdueBodies()
    return flush(into: &wire)
  }

  /// Gives the engine the rest of one frame, or what is here of it. The nine bytes of a frame's header go together: the
  /// engine counts a CONTINUATION frame anew each time that it gets a part of one.
  private func receiveFrame(_ bytes: Span<UInt8>, from offset: inout Int) -> FrameHeader? {
    var start = offset
    let resumesHeader = walker.isInsideHeader
    var completed: FrameHeader?
    if walker.isInsidePreface {
      offset = walker.step(bytes, from: start).end
      give(bytes.extracting(start..<offset))
      return nil
    }
    repeat {
      let step = walker.step(bytes, from: offset)
      offset = step.end
      if let begun = step.begun {
        guard admits(begun) else { return nil }
        if resumesHeader {
          let header = walker.rawHeader
          give(header.span)
          start = offset
        }
      }
      completed = step.completed
    } while offset < bytes.count && completed == nil
    if walker.isInsideHeader { return nil }
    give(bytes.extracting(start..<offset))
    return completed
  }

  private func give(_ bytes: Span<UInt8>) {
    guard failure == nil, !bytes.isEmpty, let failed = session.receive(bytes) else { return }
    fail(failed)
  }

  /// Counts a frame by its header alone, before anything is done for it.
  private func admits(_ frame: FrameHeader) -> Bool {
    switch frame.kind {
    case .settings, .ping, .windowUpdate:
      if frame.isAcknowledgement, frame.kind != .windowUpdate { break }
      takeControlFrame()
    case .data where frame.length == 0 && !frame.endsStream, .priority, .goAway, .pushPromise, nil:
      takeControlFrame()
    default: break
    }
    return failure == nil
  }

  private func takeControlFrame() {
    if !buckets.controlFrames.take(now: now) { fail(.flood) }
  }

  private func takeHead(_ head: inout RequestHead) -> HTTP2Event? {
    guard let (stream, endsStream) = arrived else { return nil }
    arrived = nil
    isInsideSection = false
    let outcome = scratch.fields.finish(endsStream: endsStream, limits: limits.head, into: &head)
    guard case .refused(let refusal) = outcome else {
      if !endsStream { bodies.begin(stream, expected: contentLength(head)) }
      return .head(stream: stream)
    }
    if !endsStream { bodies.begin(stream, expected: nil) }
    return .refused(stream: stream, refusal)
  }

  /// Nil where none is given. The judge has seen at most 18 digits.
  private func contentLength(_ head: borrowing RequestHead) -> Int? {
    let bytes = scratch.headBytes
    guard case .one(let range) = head.value(of: "content-length", in: bytes.span) else { return nil }
    return bytes[range].reduce(0) { $0 * 10 + Int($1 &- 0x30) }
  }

  // MARK: - Out

  /// Answers a stream that `receive` has just told of. The reply is on `wire` when this returns; of its body, what the
  /// client's window admits.
  ///
  /// - Parameters:
  ///   - status: 200 to 599.
  ///   - fieldLines: complete lines as over HTTP/1, `Date` and `Content-Length` among them, each with its CRLF and without
  ///     `Connection`. Names are sent in lower case. The caller has made sure of their bytes.
  ///   - body: empty for HEAD.
  ///   - refusal: the request was refused for this. One of status 400 is malformed, so the stream is reset behind the reply
  ///     (RFC 9113, section 8.1.1).
  /// - Returns: whether the stream was still there.
  @discardableResult
  public func respond(
    _ stream: Int32, status: UInt16, fieldLines: Span<UInt8>, body: Span<UInt8>, refusal: Refusal? = nil, now: UInt64,
    into wire: inout [UInt8]
  ) -> Bool {
    self.now = now
    guard failure == nil, session.isOpen(stream) else { return false }
    if refusal?.status == 400 { resetsWhenSent.insert(stream) }
    let failed = unsafe body.withUnsafeBufferPointer { bytes in
      // The body is read in place while the reply is put on the wire; what the window does not admit is copied behind that.
      unsafe replies.begin(stream, bytes)
      defer { replies.keepRest() }
      return session.respond(stream, status, fieldLines, hasBody: !bytes.isEmpty, scratch.reply, into: &wire)
    }
    if let failed { fail(failed) }
    if replies.byteCount > limits.unsentBodyBytes { fail(.unreadReplies) }
    _ = flush(into: &wire)
    return true
  }

  /// Lets a request wait for its verification. False: too many of the connection wait already; answer it as overloaded.
  public func hold(_ stream: Int32) -> Bool {
    guard waiting < limits.waiting else { return false }
    waiting += 1
    return true
  }

  /// The verification that a stream on hold has waited for has ended: answers it, as `respond`. Once for each hold, also
  /// when the client has reset the stream meanwhile.
  @discardableResult
  public func finish(
    _ stream: Int32, status: UInt16, fieldLines: Span<UInt8>, body: Span<UInt8>, now: UInt64, into wire: inout [UInt8]
  ) -> Bool {
    waiting -= 1
    return respond(stream, status: status, fieldLines: fieldLines, body: body, now: now, into: &wire)
  }

  /// Time has passed. Call once a second or so while `hasTimers`.
  public func tick(now: UInt64, into wire: inout [UInt8]) -> HTTP2Event {
    self.now = now
    resetOverdueBodies()
    return flush(into: &wire)
  }

  /// Answered streams are still sending.
  public var hasTimers: Bool { bodies.lingering > 0 }

  /// Bytes of replies that wait for the client's window: under the writing deadline where not 0.
  public var unsentBodyBytes: Int { replies.byteCount }

  /// Bytes that the protocol engine holds for this connection, at most `HTTP2Limits.engineBytes`.
  public var engineBytes: Int { session.allocatedBytes }

  /// Bytes of a half-received head, for `max_partial_bytes`.
  public private(set) var partialBytes = 0

  /// Nothing more will come or go: close.
  public var isOver: Bool { failure != nil || session.isOver }

  /// The first step of a drain: a GOAWAY with the highest stream number tells the client to open its next stream elsewhere;
  /// what is on the way is answered (RFC 9113, section 6.8).
  public func announceDrain(into wire: inout [UInt8]) {
    session.announceShutdown()
    _ = flush(into: &wire)
  }

  /// The second step, after a grace: a GOAWAY with the last stream that was looked at. Streams on hold are still answered;
  /// then `isOver`.
  public func drain(into wire: inout [UInt8]) {
    isDraining = true
    session.shutDown()
    _ = flush(into: &wire)
  }

  private func flush(into wire: inout [UInt8]) -> HTTP2Event {
    if let failed = session.flush(into: &wire) { fail(failed) }
    if let noted { fail(noted) }
    if failure != nil { _ = session.flush(into: &wire) }
    return isOver ? .over : .needsMore
  }

  private func fail(_ reason: HTTP2Failure) {
    guard failure == nil else { return }
    let reason = noted ?? reason
    failure = reason
    session.terminate(reason == .protocolViolation || reason == .badPreface ? .protocolError : .enhanceYourCalm)
  }

  /// Resets answered streams that go on sending for too long, or all when they are many: bodies are never waited for.
  private func resetOverdueBodies() {
    guard bodies.lingering > 0 else { return }
    let linger = limits.bodyLinger
    let limit = bodies.lingering > limits.lingeringBodies ? now &+ 1 : now > linger ? now - linger : 0
    for stream in bodies.overdue(before: limit) {
      bodies.drop(stream)
      session.reset(stream, .noError)
    }
  }

  // MARK: - What the session tells, from inside of its calls. False ends the call, and the session.

  /// What has to end the session as soon as the engine's call has returned: the engine is not changed from inside.
  private var noted: HTTP2Failure?

  private func note(_ reason: HTTP2Failure) -> Bool {
    if noted == nil { noted = reason }
    return false
  }

  func sectionBegan(isTrailer: Bool) -> Bool {
    openedSection = true
    self.isTrailer = isTrailer
    trailerBytes = 0
    trailerIsMalformed = false
    if !isTrailer {
      isInsideSection = true
      scratch.fields.reset()
    }
    return true
  }

  func fieldDecoded(name: Span<UInt8>, value: Span<UInt8>) -> Bool {
    if isTrailer {
      trailerBytes += name.count + value.count + 32
      if !name.isEmpty, name[0] == 0x3A { trailerIsMalformed = true }
      return trailerBytes <= 4 * limits.head.maxHeadBytes || note(.headerBomb)
    }
    guard scratch.fields.append(name: name, value: value, limits: limits.head) else { return note(.headerBomb) }
    return true
  }

  func headersReceived(_ stream: Int32, endsStream: Bool) -> Bool {
    if isTrailer {
      isTrailer = false
      // RFC 9113, section 8.1: a second field section ends the stream and has no pseudo-fields.
      if endsStream, !trailerIsMalformed { bodyEnded(stream) } else { session.reset(stream, .protocolError) }
    } else {
      arrived = (stream, endsStream)
    }
    return true
  }

  func dataReceived(_ stream: Int32, _ count: Int) {
    if !bodies.receive(stream, count) {
      bodies.drop(stream)
      session.reset(stream, .protocolError)
    }
  }

  func bodyEnded(_ stream: Int32) {
    if !bodies.end(stream) { session.reset(stream, .protocolError) }
  }

  func resetReceived(_ stream: Int32) -> Bool {
    // One that is answered has cost what it may cost.
    guard session.isOpen(stream), !session.isAnswered(stream) else {
      return buckets.controlFrames.take(now: now) || note(.flood)
    }
    return buckets.resetsReceived.take(now: now) || note(.rapidReset)
  }

  func frameSent(_ stream: Int32, endsStream: Bool) {
    guard endsStream else { return }
    if resetsWhenSent.remove(stream) != nil {
      bodies.drop(stream)
      session.reset(stream, .protocolError)
    } else {
      _ = bodies.answered(stream, now: now)
    }
  }

  func resetSent(_ code: UInt32) {
    let isWithin =
      switch code {
      case ErrorCode.noError.rawValue: true
      case ErrorCode.refusedStream.rawValue: buckets.streamsRefused.take(now: now)
      default: buckets.resetsSent.take(now: now)
      }
    if !isWithin { _ = note(.madeYouReset) }
  }

  func goAwaySent(_ code: UInt32) {
    goAwayCode = code
    guard code != ErrorCode.noError.rawValue, failure == nil, noted == nil else { return }
    // The engine's own verdict.
    failure = code == ErrorCode.enhanceYourCalm.rawValue ? .flood : .protocolViolation
  }

  func streamClosed(_ stream: Int32) {
    bodies.drop(stream)
    replies.drop(stream)
    resetsWhenSent.remove(stream)
    if arrived?.stream == stream { arrived = nil }
  }

  /// Copies the next bytes of a reply's body; `isLast` with its last ones.
  func readBody(_ stream: Int32, into buffer: UnsafeMutableRawBufferPointer) -> (count: Int, isLast: Bool) {
    unsafe replies.read(stream, into: buffer)
  }
}
