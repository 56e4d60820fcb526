// Each abuse of HTTP/2 that is known by name, just within its bound and just past it.

import HTTP2
import HTTPSyntax
import Testing

/// A flood of one kind of frame.
struct Flood: CustomTestStringConvertible {
  var testDescription: String
  var frame: [UInt8]
}

@Suite struct AbuseTests {
  private static let calm: UInt32 = 0xB

  @Test func `rapid reset, CVE-2023-44487: 200 at once and 33 a second, then the connection ends`() {
    let client = Client()
    client.policy = .ignore
    var stream: UInt32 = 1
    func abuse(_ count: Int) -> [Sent] {
      var sent: [Sent] = []
      for _ in 0..<count {
        sent += client.send(request(stream) + reset(stream))
        stream += 2
      }
      return sent
    }
    #expect(abuse(200).goAways.isEmpty)
    client.now += 1_000_000_000
    #expect(abuse(33).goAways.isEmpty)
    #expect(client.connection.failure == nil)
    #expect(abuse(1).goAways == [Self.calm])
    #expect(client.isOver && client.connection.failure == .rapidReset)
  }

  @Test func `a stream whose verification waits is counted until that ends, not until it is reset`() {
    let client = Client()
    client.policy = .hold
    var sent: [Sent] = []
    for turn in 0..<64 { sent += client.send(request(UInt32(1 + 2 * turn)) + reset(UInt32(1 + 2 * turn))) }
    #expect(sent.of(Kind.headers).isEmpty && client.connection.waiting == 64)
    #expect(client.send(request(129)).of(Kind.headers).map(\.fields) == [[":status=503"]])
    client.finish(1)
    #expect(client.send(request(131)).of(Kind.headers).isEmpty)
  }

  @Test func `made-you-reset, CVE-2025-8671: 100 resets of ours, then the connection ends`() {
    let client = Client()
    client.policy = .ignore
    var sent: [Sent] = []
    // A WINDOW_UPDATE that takes the stream's window over 2^31-1 makes a server reset it.
    let overflow = bigEndian(0x7FFF_FFFF)
    var stream: UInt32 = 1
    for _ in 0..<101 {
      client.now += 10_000_000
      sent += client.send(request(stream) + frame(Kind.windowUpdate, 0, stream, overflow))
      stream += 2
    }
    #expect(sent.resets.allSatisfy { $0 == 3 })
    #expect(sent.resets.count == 101 && client.connection.failure == nil, "one has come back in a second")
    sent = client.send(request(stream) + frame(Kind.windowUpdate, 0, stream, overflow))
    #expect(sent.goAways == [Self.calm])
    #expect(client.isOver && client.connection.failure == .madeYouReset)
  }

  @Test(arguments: [(8, nil), (9, HTTP2Failure.flood)])
  func `CONTINUATION, CVE-2024-27316: 8 behind a HEADERS frame`(count: Int, failure: HTTP2Failure?) {
    let client = Client()
    var bytes = frame(Kind.headers, endStream, 1, block(requestFields))
    for turn in 1...count {
      bytes += frame(Kind.continuation, turn == count ? endHeaders : 0, 1, block([("x", "y")]))
    }
    client.send(bytes)
    #expect(client.connection.failure == failure)
    #expect(client.isOver == (failure != nil))
    #expect(client.heads.count == (failure == nil ? 1 : 0))
  }

  @Test(arguments: [
    Flood(testDescription: "PING", frame: ping),
    Flood(testDescription: "SETTINGS", frame: settings()),
    Flood(testDescription: "PRIORITY", frame: frame(Kind.priority, 0, 1, [0, 0, 0, 0, 16])),
    Flood(testDescription: "PRIORITY of idle streams", frame: frame(Kind.priority, 0, 9999, [0, 0, 0, 0, 16])),
    Flood(testDescription: "WINDOW_UPDATE", frame: frame(Kind.windowUpdate, 0, 0, [0, 0, 0, 1])),
    Flood(testDescription: "empty DATA", frame: frame(Kind.data, 0, 1)),
    Flood(testDescription: "unknown frames", frame: frame(0xAA, 0, 0, [1, 2])),
    Flood(testDescription: "resets of a stream that is gone", frame: reset(3)),
    Flood(testDescription: "HEADERS of a stream that is gone", frame: request(3)),
  ])
  func `a flood of frames that ask nothing ends the connection at 100 a second`(flood: Flood) {
    let client = Client()
    client.send(request(1, flags: endHeaders) + request(3))
    // The bucket is full again, whatever came so far.
    client.now += 10_000_000_000
    client.policy = .ignore
    if flood.testDescription == "empty DATA" { client.send(request(5, flags: endHeaders)) }
    let one = flood.testDescription == "empty DATA" ? frame(Kind.data, 0, 5) : flood.frame
    for _ in 0..<100 { client.send(one) }
    #expect(client.connection.failure == nil)
    client.now += 1_000_000_000
    for _ in 0..<100 { client.send(one) }
    #expect(client.connection.failure == nil)
    #expect(client.send(one).goAways == [Self.calm])
    #expect(client.isOver && client.connection.failure == .flood)
  }

  @Test(arguments: [(32, false), (33, true)])
  func `a SETTINGS frame has at most 32 entries`(count: Int, ends: Bool) {
    let client = Client()
    client.send(settings(Array(repeating: (0xFF, 1), count: count)))
    #expect(client.isOver == ends)
  }

  @Test func `a head over max_head_bytes is answered 431, and the connection stays`() {
    let client = Client()
    let long = String(repeating: "x", count: 11_000)
    let fields = requestFields + [("a", long), ("b", long), ("c", long)]
    let payload = block(fields)
    let sent = client.send(
      frame(Kind.headers, endStream, 1, Array(payload[..<16_000]))
        + frame(Kind.continuation, 0, 1, Array(payload[16_000..<32_000]))
        + frame(Kind.continuation, endHeaders, 1, Array(payload[32_000...])))
    #expect(client.refusals == [.headTooLarge])
    #expect(sent.of(Kind.headers).map(\.fields) == [[":status=431"]])
    #expect(!client.isOver)
    #expect(client.send(request(3)).of(Kind.headers).map(\.stream) == [3])
  }

  @Test func `an HPACK bomb ends the connection when it is four heads large`() {
    let client = Client()
    // 3,900 bytes in the table, referred to by one byte each: 40 KB of head, then 160.
    let entry = literal(Array("bomb".utf8), Array(repeating: 0x78, count: 3900), indexed: true)
    func bomb(_ stream: UInt32, references: Int) -> [UInt8] {
      frame(
        Kind.headers, endStream | endHeaders, stream,
        block(requestFields) + entry + Array(repeating: 0x80 | 62, count: references))
    }
    #expect(client.send(bomb(1, references: 10)).of(Kind.headers).map(\.fields) == [[":status=431"]])
    #expect(client.send(bomb(3, references: 40)).goAways == [Self.calm])
    #expect(client.isOver && client.connection.failure == .headerBomb)
  }

  @Test func `a trailer is bounded as a head is`() {
    let client = Client()
    client.send(request(1, flags: endHeaders))
    let entry = literal(Array("bomb".utf8), Array(repeating: 0x78, count: 3900), indexed: true)
    let sent = client.send(frame(Kind.headers, 5, 1, entry + Array(repeating: 0x80 | 62, count: 40)))
    #expect(sent.goAways == [Self.calm] && client.connection.failure == .headerBomb)
  }

  @Test(arguments: [(128, nil), (129, Refusal.tooManyFieldLines)])
  func `a head has at most 128 lines, Host among them`(lines: Int, refusal: Refusal?) {
    let client = Client()
    let fields = (0..<lines - 1).map { Field(name: "x\($0)", value: "") }
    client.send(request(1, requestFields + fields))
    #expect(client.refusals == (refusal.map { [$0] } ?? []))
    #expect(client.heads.count == (refusal == nil ? 1 : 0))
  }

  @Test func `too many streams are refused before the client knows the bound, and end the connection behind it`() {
    let eager = Client(starts: false)
    eager.policy = .ignore
    var sent = eager.send(preface + settings())
    for turn in 0..<257 { sent += eager.send(request(UInt32(1 + 2 * turn))) }
    #expect(sent.resets == [7])
    #expect(!eager.isOver)

    let client = Client()
    client.policy = .ignore
    sent = []
    for turn in 0..<257 { sent += client.send(request(UInt32(1 + 2 * turn))) }
    #expect(client.streams.count == 256)
    #expect(sent.goAways == [1] && client.isOver)
  }

  @Test func `zero-window readers: bodies that wait are bounded`() {
    let client = Client(starts: false)
    client.send(preface + settings([(4, 0)]))
    client.status = 401
    client.body = Array(repeating: 0x78, count: 1000)
    var stream: UInt32 = 1
    for _ in 0..<65 {
      #expect(client.send(request(stream)).of(Kind.data).isEmpty)
      stream += 2
    }
    #expect(client.connection.unsentBodyBytes == 65_000)
    // A window opens, and what waited leaves.
    let sent = client.send(frame(Kind.windowUpdate, 0, 1, bigEndian(600)))
    #expect(sent.of(Kind.data).map(\.payload.count) == [600])
    #expect(client.connection.unsentBodyBytes == 64_400)
    client.send(reset(1))
    #expect(client.connection.unsentBodyBytes == 64_000)
    client.send(request(stream))
    #expect(!client.isOver)
    #expect(client.send(request(stream + 2)).goAways == [Self.calm])
    #expect(client.isOver && client.connection.failure == .unreadReplies)
  }

  @Test func `the engine's memory is bounded, and its bound ends the connection`() {
    var limits = HTTP2Limits()
    limits.engineBytes = 40_000
    let client = Client(limits)
    client.policy = .ignore
    var stream: UInt32 = 1
    while !client.isOver, stream < 600 {
      client.send(request(stream))
      stream += 2
    }
    #expect(client.isOver && client.connection.failure == .memory)
    #expect(client.connection.engineBytes <= 40_000 + 2048)
  }

  @Test func `256 open streams fit in the engine's bound`() {
    let client = Client()
    client.policy = .ignore
    for turn in 0..<256 { client.send(request(UInt32(1 + 2 * turn))) }
    #expect(!client.isOver)
    #expect(client.connection.engineBytes < HTTP2Limits().engineBytes / 2)
  }
}
