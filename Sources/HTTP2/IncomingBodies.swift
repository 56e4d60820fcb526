// The bodies of requests that have one. Nobody reads them: they are counted against Content-Length (RFC 9113, section
// 8.1.1), and a stream that was answered may send for a moment only.

/// The streams of one connection that have not ended yet. Empty for a client that sends no bodies.
struct IncomingBodies {
  private struct Body {
    /// What Content-Length says; nil where there is none.
    var expected: Int?
    var received = 0
    /// When the reply was complete; nil until then.
    var answered: UInt64?
  }

  private var bodies: [Int32: Body] = [:]
  /// How many of them belong to answered streams.
  private(set) var lingering = 0

  mutating func begin(_ stream: Int32, expected: Int?) { bodies[stream] = Body(expected: expected) }

  /// False: more has come than Content-Length says.
  mutating func receive(_ stream: Int32, _ count: Int) -> Bool {
    guard var body = bodies[stream] else { return true }
    // At most a stream's flow-control window, which is never given back.
    body.received += count
    bodies[stream] = body
    return body.received <= body.expected ?? .max
  }

  /// The client has ended the stream. False: less has come than Content-Length says.
  mutating func end(_ stream: Int32) -> Bool {
    guard let body = remove(stream) else { return true }
    return body.received == body.expected ?? body.received
  }

  /// The stream's reply is complete. True: its body is still on the way.
  mutating func answered(_ stream: Int32, now: UInt64) -> Bool {
    guard var body = bodies[stream], body.answered == nil else { return false }
    body.answered = now
    bodies[stream] = body
    lingering += 1
    return true
  }

  mutating func drop(_ stream: Int32) { _ = remove(stream) }

  private mutating func remove(_ stream: Int32) -> Body? {
    guard !bodies.isEmpty, let body = bodies.removeValue(forKey: stream) else { return nil }
    if body.answered != nil { lingering -= 1 }
    return body
  }

  /// The streams that were answered before `limit`.
  func overdue(before limit: UInt64) -> [Int32] {
    bodies.compactMap { stream, body in body.answered.map { $0 < limit } == true ? stream : nil }
  }
}
