// The bodies of replies that the client's flow-control window has not admitted yet.
//
// Invariant: `current` is set only within one call of HTTP2Connection.respond, which keeps its memory alive; what is left
// of it is copied before that call ends.

/// What is left to send, by stream. Empty for a client that reads its replies.
@safe struct OutgoingBodies {
  private struct Body {
    var bytes: [UInt8]
    var sent = 0
  }

  private var bodies: [Int32: Body] = [:]
  private var current: (stream: Int32, rest: UnsafeBufferPointer<UInt8>)?
  /// Bytes kept here.
  private(set) var byteCount = 0

  /// A reply's body is read from `bytes` until `keepRest`.
  mutating func begin(_ stream: Int32, _ bytes: UnsafeBufferPointer<UInt8>) {
    unsafe current = bytes.isEmpty ? nil : (stream, bytes)
  }

  mutating func keepRest() {
    if let (stream, rest) = unsafe current, !rest.isEmpty {
      unsafe bodies[stream] = Body(bytes: Array(rest))
      byteCount += rest.count
    }
    unsafe current = nil
  }

  /// Copies what fits. `isLast`: the body ends with these bytes.
  mutating func read(_ stream: Int32, into buffer: UnsafeMutableRawBufferPointer) -> (count: Int, isLast: Bool) {
    if let (of, rest) = unsafe current, of == stream {
      let count = min(rest.count, buffer.count)
      unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(rest)[..<count]))
      unsafe current = (stream, UnsafeBufferPointer(rebasing: rest[count...]))
      return (count, count == rest.count)
    }
    guard let body = bodies[stream] else { return (0, true) }
    let count = min(body.bytes.count - body.sent, buffer.count)
    unsafe buffer.copyBytes(from: body.bytes[body.sent..<body.sent + count])
    byteCount -= count
    guard body.sent + count < body.bytes.count else {
      bodies[stream] = nil
      return (count, true)
    }
    bodies[stream]?.sent += count
    return (count, false)
  }

  mutating func drop(_ stream: Int32) {
    if let (of, _) = unsafe current, of == stream { unsafe current = nil }
    guard !bodies.isEmpty, let body = bodies.removeValue(forKey: stream) else { return }
    byteCount -= body.bytes.count - body.sent
  }
}
