// The gate: every byte of a client is judged here before evhttp could see it.
//
// Invariant: when evhttp's read callback runs, its input buffer holds nothing, or one constant stub. The gate's
// callback runs inside libevent's read (unfreeze, read, this, freeze, evhttp's callback), so whatever it leaves in the
// buffer is what evhttp gets. It never frees a connection: that waits for the end of the turn (HTTPServer.settle).

import CEvent
import HTTPSyntax

enum Gate {
  /// Puts the gate between the socket and evhttp.
  static func install(_ connection: Connection) {
    let input = unsafe bufferevent_get_input(connection.bufferevent)
    unsafe evbuffer_add_cb(input, bytesArrived, Unmanaged.passUnretained(connection).toOpaque())
  }

  /// The connection is about to be freed.
  static func remove(_ connection: Connection) {
    let input = unsafe bufferevent_get_input(connection.bufferevent)
    unsafe evbuffer_remove_cb(input, bytesArrived, Unmanaged.passUnretained(connection).toOpaque())
  }

  /// What evhttp gets in place of a head that must wait: constant, so that it parses nothing a client wrote. The
  /// request's own method, version and persistence are the gate's to know.
  static let stub = Array("GET / HTTP/1.1\r\n\r\n".utf8)
}

/// libevent's evbuffer callback: called for each change, the gate's own drains too.
private func bytesArrived(
  _ input: OpaquePointer?, _ info: UnsafePointer<evbuffer_cb_info>?, _ context: UnsafeMutableRawPointer?
) {
  guard let input = unsafe input, let info = unsafe info, unsafe info.pointee.n_added > 0 else { return }
  unsafe Unmanaged<Connection>.fromOpaque(context!)._withUnsafeGuaranteedRef { connection in
    if !connection.editsInput { unsafe connection.server.read(connection, from: input) }
  }
}

extension HTTPServer {
  /// New bytes are in the input buffer, and only new ones: the gate leaves none behind.
  fileprivate func read(_ connection: Connection, from input: OpaquePointer) {
    connection.editsInput = true
    defer { connection.editsInput = false }
    let count = unsafe evbuffer_get_length(input)
    guard let start = unsafe evbuffer_pullup(input, -1) else { return close(connection) }
    // The bytes stay where they are until the drain below, which nothing between can cause: only the gate drains.
    let bytes = unsafe UnsafeBufferPointer(start: start, count: count).span
    switch connection.state {
    case .idle:
      let consumed = answerHeads(connection, bytes)
      if consumed < count { stage(connection, bytes.extracting(consumed..<count)) }
    case .partial:
      connection.staged.append(copying: bytes)
      answerStaged(connection)
    case .waiting, .replying:
      connection.staged.append(copying: bytes)
      // A client that goes on sending while its reply is on the way waits in the kernel from here on; evhttp reads
      // again when it starts the next request.
      if connection.staged.count > limits.head.maxHeadBytes {
        unsafe bufferevent_disable(connection.bufferevent, Int16(EV_READ))
      }
    case .lingering, .closing:
      break
    }
    unsafe evbuffer_drain(input, count)
    if connection.state == .waiting && stubbed === connection { unsafe evbuffer_add(input, Gate.stub, Gate.stub.count) }
  }

  /// Answers the heads that stand in `bytes`, one after the other, until the bytes end or a request must wait.
  /// Returns how many bytes are done with.
  private func answerHeads(_ connection: Connection, _ bytes: Span<UInt8>) -> Int {
    wire.removeAll(keepingCapacity: true)
    var done = 0
    while done < bytes.count, connection.state == .idle, !connection.closesAfterReply {
      switch head.parse(bytes.extracting(done..<bytes.count), limits: limits.head) {
      case .incomplete:
        flush(connection)
        return done
      case .refused(let refusal):
        handler.refused(refusal)
        appendRefusal(refusal)
        connection.closesAfterReply = true
      case .complete:
        answerHead(connection, bytes.extracting(done..<done + head.length))
        done += head.length
      }
    }
    flush(connection)
    // Behind a last reply nothing is looked at any more.
    return connection.closesAfterReply ? bytes.count : done
  }

  /// Asks the handler about the head that was just parsed, and puts its reply on the wire's buffer or the request on
  /// hold.
  private func answerHead(_ connection: Connection, _ bytes: Span<UInt8>) {
    reply.reset()
    let exchange = exchanges.peek()
    let decision = handler.answer(
      head, bytes, arrival: Clock.monotonicNanoseconds, exchange: exchange, into: &reply)
    connection.isFresh = false
    let closes = !head.persistent || head.announcesBody || isDraining
    switch decision {
    case .reply:
      format.append(
        reply, closes ? .close : head.minorVersion == 0 ? .keepAlive : .implied, withBody: !head.isHEAD, to: &wire)
      connection.closesAfterReply = closes
    case .wait:
      exchanges.begin(
        exchange, connection,
        PendingReply(closes: closes, isOldKeepAlive: head.minorVersion == 0, withBody: !head.isHEAD))
      connection.exchange = exchange.index
      connection.state = .waiting
      stubbed = connection
      move(connection, to: nil)
    }
  }

  /// Keeps the beginning of a head, or what follows a waiting request.
  private func stage(_ connection: Connection, _ bytes: Span<UInt8>) {
    connection.staged.append(copying: bytes)
    if connection.state == .idle { awaitRest(connection) }
  }

  /// The staged bytes are the beginning of a head: its deadline runs, and its scan starts.
  private func awaitRest(_ connection: Connection) {
    connection.state = .partial
    connection.scanner = HeadScanner()
    if connection.list !== awaitingHead { move(connection, to: awaitingHead) }
    // `parse` has just seen these bytes and found no end, so neither will this; it is where the next scan starts.
    _ = scanStaged(connection)
  }

  /// More bytes of a head are staged.
  private func answerStaged(_ connection: Connection) {
    guard scanStaged(connection) else { return }
    let bytes = connection.staged
    connection.staged = []
    connection.state = .idle
    let consumed = answerHeads(connection, bytes.span)
    if consumed < bytes.count { stage(connection, bytes.span.extracting(consumed..<bytes.count)) }
  }

  /// True when the staged bytes are ready to be judged: a whole head, or bytes that no head may hold.
  private func scanStaged(_ connection: Connection) -> Bool {
    let staged = connection.staged
    return connection.scanner.scan(staged.span, limits: limits.head) == .ready
  }

  /// evhttp has parsed a stub: here is its request, to be answered when the handler has decided.
  func stubArrived(_ request: OpaquePointer) {
    guard let connection = stubbed else { fatalError("libevent: a request that the gate did not hand in") }
    stubbed = nil
    precondition(
      unsafe evhttp_request_get_connection(request) == connection.evhttpConnection,
      "libevent: a stub turned up on another connection")
    unsafe evhttp_request_set_on_complete_cb(
      request,
      { _, context in
        unsafe Unmanaged<Connection>.fromOpaque(context!)._withUnsafeGuaranteedRef { $0.server.completed($0) }
      }, Unmanaged.passUnretained(connection).toOpaque())
    unsafe exchanges.carry(connection.exchange, request)
  }

  /// A reply that went through evhttp, or that was stuck, is out: the next head, if one is here already.
  func resume(_ connection: Connection) {
    connection.state = .idle
    move(connection, to: idle)
    unsafe bufferevent_enable(connection.bufferevent, Int16(EV_READ))
    guard !connection.staged.isEmpty else {
      if isDraining { close(connection) }
      return
    }
    let bytes = connection.staged
    connection.staged = []
    let consumed = answerHeads(connection, bytes.span)
    if consumed < bytes.count { stage(connection, bytes.span.extracting(consumed..<bytes.count)) }
    if connection.state == .waiting && stubbed === connection { insertStub(connection) }
  }

  /// Hands evhttp a stub outside of a read: the buffer's end is frozen there, and its callback must be run.
  private func insertStub(_ connection: Connection) {
    let input = unsafe bufferevent_get_input(connection.bufferevent)
    connection.editsInput = true
    unsafe evbuffer_unfreeze(input, 0)
    unsafe evbuffer_add(input, Gate.stub, Gate.stub.count)
    unsafe evbuffer_freeze(input, 0)
    connection.editsInput = false
    unsafe bufferevent_trigger(connection.bufferevent, Int16(EV_READ), 0)
  }
}
