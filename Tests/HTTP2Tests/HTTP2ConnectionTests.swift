// A connection that keeps the rules: what is read, what is answered, how it ends.

import HTTP2
import HTTPSyntax
import Testing

@Suite struct HTTP2ConnectionTests {
  @Test func `the server's settings leave first and say its bounds`() {
    let client = Client(starts: false)
    let sent = client.send(preface + settings())
    #expect(sent.map(\.kind) == [Kind.settings, Kind.settings])
    #expect(sent[0].payload == [0, 3, 0, 0, 1, 0, 0, 6, 0, 0, 0x80, 0, 0, 9, 0, 0, 0, 1])
    #expect(sent[1].flags == acknowledgement)
  }

  @Test func `a request is a head of HTTP 1 to the server, and its reply is one frame`() {
    let client = Client()
    let sent = client.send(request(1, requestFields + [("user-agent", "x"), ("cookie", "a=1"), ("cookie", "b=2")]))
    #expect(
      client.heads == [
        "GET /auth/a HTTP/1.1\r\nhost: gateway:8443\r\nuser-agent: x\r\ncookie: a=1; b=2\r\n\r\n"
      ])
    #expect(sent.map(\.kind) == [Kind.headers])
    #expect(sent[0].stream == 1 && sent[0].flags == endStream | endHeaders)
    #expect(
      sent[0].fields == [
        ":status=200", "date=Thu, 01 Jan 1970 00:00:00 GMT", "content-length=0", "x-auth-user=a@b.c",
      ])
  }

  @Test func `a body follows in a frame that ends the stream`() {
    let client = Client()
    client.status = 401
    client.body = Array("Token is missing.".utf8)
    let sent = client.send(request(1))
    #expect(sent.map(\.kind) == [Kind.headers, Kind.data])
    #expect(sent[0].flags == endHeaders && sent[1].flags == endStream)
    #expect(sent[1].payload == client.body)
  }

  @Test(arguments: [1, 2, 3, 7, 9, 20])
  func `bytes may come in pieces of any size`(size: Int) {
    let client = Client(starts: false)
    let half = block(requestFields).count / 2
    let payload = block(requestFields)
    let bytes =
      preface + settings() + request(1)
      + frame(Kind.headers, endStream, 3, Array(payload[..<half]))
      + frame(Kind.continuation, endHeaders, 3, Array(payload[half...])) + request(5)
    var sent: [Sent] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      sent += client.send(Array(bytes[start..<min(start + size, bytes.count)]))
    }
    #expect(client.streams == [1, 3, 5])
    #expect(Set(client.heads).count == 1)
    #expect(sent.of(Kind.headers).map(\.stream) == [1, 3, 5])
    #expect(client.connection.failure == nil && client.connection.partialSince == nil)
  }

  @Test func `two connections of one loop do not mix their half-received heads`() {
    let first = Client()
    let second = HTTP2Connection(limits: HTTP2Limits(), scratch: first.scratch)!
    let bytes = request(1, requestFields + [("x", "first")])
    first.send(Array(bytes[..<(bytes.count - 3)]))
    #expect(first.connection.partialBytes > 0)
    var head = RequestHead()
    var wire: [UInt8] = []
    var offset = 0
    let other = preface + settings() + request(1, requestFields + [("x", "second")])
    #expect(second.receive(other.span, from: &offset, now: 1, head: &head, wire: &wire) == .head(stream: 1))
    #expect(String(decoding: first.scratch.headBytes, as: UTF8.self).contains("x: second"))
    first.send(Array(bytes[(bytes.count - 3)...]))
    #expect(first.heads.count == 1 && first.heads[0].contains("x: first"))
    #expect(first.connection.partialBytes == 0)
  }

  @Test func `the deadline of what is incomplete runs from its first byte`() {
    let client = Client()
    #expect(client.connection.partialSince == nil)
    client.now = 5_000_000_000_000
    let bytes = request(1)
    client.send(Array(bytes[..<1]))
    #expect(client.connection.partialSince == 5_000_000_000_000)
    client.now += 1
    client.send(Array(bytes[1..<20]))
    #expect(client.connection.partialSince == 5_000_000_000_000)
    // The end of one and the start of the next: the next one's deadline.
    client.send(Array(bytes[20...]) + [0])
    #expect(client.connection.partialSince == 5_000_000_000_001)
    let payload = block(requestFields)
    let other = Client()
    other.send(frame(Kind.headers, endStream, 1, payload))
    #expect(other.connection.partialSince != nil, "a head without its CONTINUATION is incomplete")
  }

  @Test func `a head waits while others are answered, and is answered when its verification ends`() {
    let client = Client()
    client.policy = .hold
    client.send(request(1))
    client.policy = .answer
    #expect(client.send(request(3)).of(Kind.headers).map(\.stream) == [3])
    #expect(client.connection.waiting == 1)
    let (wasThere, sent) = client.finish(1)
    #expect(wasThere && sent.of(Kind.headers).map(\.stream) == [1])
    #expect(client.connection.waiting == 0)
  }

  @Test func `a stream that is reset while it waits is not answered, and counts until its verification ends`() {
    let client = Client()
    client.policy = .hold
    client.send(request(1) + reset(1))
    #expect(client.connection.waiting == 1)
    let (wasThere, sent) = client.finish(1)
    #expect(!wasThere && sent.isEmpty)
    #expect(client.connection.waiting == 0 && client.connection.failure == nil)
  }

  @Test func `a drain lets what is on the way be answered, in two steps`() {
    let client = Client()
    client.policy = .hold
    client.send(request(1))
    let notice = client.output { $0.announceDrain(into: &$1) }
    #expect(notice.goAways == [0] && notice[0].lastStream == 0x7FFF_FFFF)
    // What was sent before the notice arrived is taken.
    client.send(request(3))
    #expect(client.streams == [1, 3])
    let last = client.output { $0.drain(into: &$1) }
    #expect(last.goAways == [0] && last[0].lastStream == 3)
    client.send(request(5))
    for turn in 0..<150 { client.send(request(UInt32(7 + 2 * turn))) }
    #expect(client.streams == [1, 3] && !client.connection.isOver, "late requests are no abuse")
    #expect(client.finish(1).wasThere && client.finish(3).wasThere)
    #expect(client.connection.isOver)
  }

  @Test func `a body is never waited for, and counted against its length`() {
    let client = Client()
    let post: [Field] = requestFields + [("content-length", "4")]
    #expect(client.send(request(1, post, flags: endHeaders)).of(Kind.headers).count == 1)
    #expect(client.send(frame(Kind.data, endStream, 1, [1, 2, 3, 4])).resets == [])
    #expect(client.send(request(3, post, flags: endHeaders) + frame(Kind.data, 0, 3, [1, 2, 3, 4, 5])).resets == [1])
    #expect(client.send(request(5, post, flags: endHeaders) + frame(Kind.data, endStream, 5, [1])).resets == [1])
    #expect(client.send(request(7, post)).resets == [1], "the stream ends without its body")
    #expect(client.connection.failure == nil)
  }

  @Test func `an answered stream that goes on sending is reset without blame`() {
    let client = Client()
    client.send(request(1, flags: endHeaders))
    #expect(client.connection.hasTimers)
    client.now += 1_000_000_000
    #expect(client.output { _ = $0.tick(now: client.now, into: &$1) }.isEmpty)
    client.now += 1_000_000_001
    #expect(client.output { _ = $0.tick(now: client.now, into: &$1) }.resets == [0])
    #expect(!client.connection.hasTimers)
    // Many at once: at once.
    let many = (0..<33).flatMap { request(UInt32(3 + 2 * $0), flags: endHeaders) }
    #expect(client.send(many).resets.count == 33)
  }

  private static let trailers: [(bytes: [UInt8], resets: Int)] = [
    (frame(Kind.headers, endHeaders, 1, block([("a", "b")])), 1),
    (frame(Kind.headers, endHeaders | endStream, 1, block([(":path", "/")])), 1),
    (frame(Kind.headers, endHeaders | endStream, 1, block([("a", "b")])), 0),
  ]

  @Test(arguments: trailers)
  func `a trailer ends its stream and has no pseudo-fields`(bytes: [UInt8], resets: Int) {
    let client = Client()
    #expect(client.send(request(1, flags: endHeaders) + bytes).resets.count == resets)
    #expect(client.connection.failure == nil)
  }

  @Test func `a malformed request is answered, its stream is reset, and the others go on`() {
    let client = Client()
    let sent = client.send(request(1, requestFields + [("Upper", "x")]) + request(3))
    #expect(client.refusals == [.badFieldLine])
    #expect(sent.on(1).map(\.kind) == [Kind.headers, Kind.data, Kind.reset])
    #expect(sent.on(1)[0].fields == [":status=400"] && sent.resets == [1])
    #expect(sent.on(3).map(\.kind) == [Kind.headers])
  }

  @Test func `a refusal that is no malformed request resets nothing`() {
    let client = Client()
    var fields = requestFields
    fields[0].value = "TRACE"
    let sent = client.send(request(1, fields))
    #expect(client.refusals == [.methodNotImplemented])
    #expect(sent.map(\.kind) == [Kind.headers, Kind.data])
  }

  private static let connectionErrors: [(bytes: [UInt8], code: UInt32)] = [
    (frame(Kind.data, endStream, 0, [1]), 1),
    (frame(Kind.data, 0, 2, [1]), 1),
    (frame(Kind.headers, 5, 0, [0x82]), 1),
    (frame(Kind.settings, 0, 1), 1),
    (frame(Kind.settings, 0, 0, [1, 2, 3]), 6),
    (frame(Kind.ping, 0, 0, [1]), 6),
    (frame(Kind.windowUpdate, 0, 0, [0, 0, 0, 0]), 1),
    (frame(Kind.headers, 5, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]), 9),
    (frame(Kind.continuation, 4, 1), 1),
    (frame(Kind.headers, 0, 1, block(requestFields)) + ping, 1),
    (frame(5, 0, 1, [0, 0, 0, 0, 0, 0, 0, 0]), 1),
    (request(3) + request(2), 1),
    (frame(Kind.data, 0, 1, Array(repeating: 0, count: 16_385)), 6),
  ]

  @Test(arguments: connectionErrors)
  func `a connection error ends the connection with RFC 9113's code`(bytes: [UInt8], code: UInt32) {
    let client = Client()
    let sent = client.send(bytes)
    #expect(sent.goAways == [code])
    #expect(client.isOver && client.connection.failure == .protocolViolation && client.connection.goAwayCode == code)
    #expect(client.send(request(9)).isEmpty)
  }

  @Test(arguments: ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", "\u{16}\u{3}\u{1}"])
  func `another protocol ends the connection at once or waits for its preface`(text: String) {
    let client = Client(starts: false)
    client.send(Array(text.utf8))
    let isPrefix = text.utf8.count < preface.count && preface.starts(with: text.utf8)
    #expect(client.isOver != isPrefix)
    #expect(client.connection.failure == .badPreface)
  }

  @Test func `a connection's engine needs little memory`() {
    let client = Client()
    for turn in 0..<32 { client.send(request(UInt32(1 + 2 * turn))) }
    #expect(client.connection.engineBytes < 32 * 1024)
  }
}
