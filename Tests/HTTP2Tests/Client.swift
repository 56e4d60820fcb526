// A client of one HTTP2Connection in memory: it sends bytes, lets a small server answer, and tells what came back.

import HTTP2
import HTTPSyntax

final class Client {
  enum Policy { case answer, hold, ignore }

  let scratch = HTTP2Scratch()
  let connection: HTTP2Connection
  let reader = FrameReader()
  private var head = RequestHead()
  /// What the server does with a good head.
  var policy = Policy.answer
  var status: UInt16 = 200
  var lines = Array("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\nX-Auth-User: a@b.c\r\n".utf8)
  var body: [UInt8] = []
  var now: UInt64 = 1_000_000_000_000
  /// Heads as the server has read them, in their order.
  var heads: [String] = []
  var refusals: [Refusal] = []
  var streams: [Int32] = []
  var isOver = false

  /// With the preface and SETTINGS behind it, unless the test sends them.
  init(_ limits: HTTP2Limits = HTTP2Limits(), starts: Bool = true) {
    connection = HTTP2Connection(limits: limits, scratch: scratch)!
    if starts { send(preface + settings() + frame(Kind.settings, acknowledgement, 0)) }
  }

  /// - Parameter heads: stops behind so many; the rest is told.
  @discardableResult
  func send(_ bytes: [UInt8]) -> [Sent] {
    var offset = 0
    var wire: [UInt8] = []
    receiving: while !isOver {
      switch connection.receive(bytes.span, from: &offset, now: now, head: &head, wire: &wire) {
      case .needsMore: break receiving
      case .over:
        isOver = true
      case .head(let stream):
        let text = scratch.headBytes
        heads.append(String(decoding: text, as: UTF8.self))
        streams.append(stream)
        switch policy {
        case .answer:
          connection.respond(
            stream, status: status, fieldLines: lines.span, body: body.span, now: now, into: &wire)
        case .hold:
          if !connection.hold(stream) {
            let none: [UInt8] = []
            connection.respond(stream, status: 503, fieldLines: none.span, body: none.span, now: now, into: &wire)
          }
        case .ignore: break
        }
      case .refused(let stream, let refusal):
        refusals.append(refusal)
        let text = refusal.body.withUTF8Buffer { unsafe Array($0) }
        let none: [UInt8] = []
        connection.respond(
          stream, status: UInt16(refusal.status), fieldLines: none.span, body: text.span, refusal: refusal, now: now,
          into: &wire)
      }
    }
    return reader.read(wire)
  }

  /// The verification of a stream on hold has ended.
  @discardableResult
  func finish(_ stream: Int32) -> (wasThere: Bool, sent: [Sent]) {
    var wire: [UInt8] = []
    let wasThere = connection.finish(
      stream, status: status, fieldLines: lines.span, body: body.span, now: now, into: &wire)
    return (wasThere, reader.read(wire))
  }

  func output(_ call: (HTTP2Connection, inout [UInt8]) -> Void) -> [Sent] {
    var wire: [UInt8] = []
    call(connection, &wire)
    return reader.read(wire)
  }
}

extension [Sent] {
  func of(_ kind: UInt8) -> [Sent] { filter { $0.kind == kind } }
  func on(_ stream: UInt32) -> [Sent] { filter { $0.stream == stream } }
  /// Codes of the GOAWAY frames.
  var goAways: [UInt32] { of(Kind.goAway).map { $0.code! } }
  var resets: [UInt32] { of(Kind.reset).map { $0.code! } }
}
