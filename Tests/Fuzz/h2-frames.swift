// Fuzzed: what a client sends on an HTTP/2 connection, behind its preface. The first byte says how the bytes are cut into
// reads and what the server does with a head.

import HTTP2
import HTTPSyntax

private let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
private let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
private let lines = Array("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 4\r\nX-Auth-User: a@b.c\r\n".utf8)
private let body = Array("body".utf8)

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  guard let mode = input.first else { return 0 }
  let scratch = HTTP2Scratch()
  let limits = HTTP2Limits()
  let connection = HTTP2Connection(limits: limits, scratch: scratch)!
  let bytes = preface + settings + input.dropFirst()
  let size = mode & 0xF == 0 ? bytes.count : Int(mode & 0xF)
  var head = RequestHead()
  var wire: [UInt8] = []
  var held: [Int32] = []
  var now: UInt64 = 1
  for from in stride(from: 0, to: bytes.count, by: size) {
    let read = Array(bytes[from..<min(from + size, bytes.count)])
    var offset = 0
    now += UInt64(mode >> 6) * 100_000_000
    receiving: while true {
      switch connection.receive(read.span, from: &offset, now: now, head: &head, wire: &wire) {
      case .needsMore:
        precondition(offset == read.count && !connection.isOver)
        break receiving
      case .over:
        precondition(connection.isOver)
        break receiving
      case .head(let stream):
        let text = scratch.headBytes
        precondition(head.length == text.count && text.suffix(4).elementsEqual([13, 10, 13, 10]))
        if mode & 0x10 != 0, connection.hold(stream) {
          held.append(stream)
        } else {
          connection.respond(stream, status: 401, fieldLines: lines.span, body: body.span, now: now, into: &wire)
        }
      case .refused(let stream, let refusal):
        precondition(head.length == 0)
        connection.respond(
          stream, status: UInt16(refusal.status), fieldLines: lines.span, body: body.span, refusal: refusal, now: now,
          into: &wire)
      }
    }
    if mode & 0x20 != 0, let stream = held.popLast() {
      connection.finish(stream, status: 200, fieldLines: lines.span, body: body.span, now: now, into: &wire)
    }
    precondition(connection.engineBytes <= limits.engineBytes + 4096)
    precondition(connection.waiting == held.count && held.count <= limits.waiting)
    precondition(connection.unsentBodyBytes <= limits.unsentBodyBytes + body.count)
  }
  for stream in held {
    connection.finish(stream, status: 200, fieldLines: lines.span, body: body.span, now: now, into: &wire)
  }
  precondition(connection.waiting == 0)
  // What leaves is whole frames, and behind a GOAWAY that blames nothing more is read.
  var i = 0
  while i < wire.count {
    precondition(i + 9 <= wire.count, "half a frame")
    i += 9 + (Int(wire[i]) << 16 | Int(wire[i + 1]) << 8 | Int(wire[i + 2]))
  }
  precondition(i == wire.count, "half a frame")
  // No input of n bytes makes more than this: replies, acknowledgements, our own settings.
  precondition(wire.count <= 1024 + bytes.count * 32)
  return 0
}
