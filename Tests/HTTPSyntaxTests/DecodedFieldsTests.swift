// The fields of HTTP/2 requests, judged as heads of HTTP/1, and what HTTP/2 adds.

import HTTPSyntax
import Testing

private typealias Field = (name: [UInt8], value: [UInt8])

private let pseudo = [(":method", "GET"), (":scheme", "https"), (":path", "/auth/a"), (":authority", "a")]

private func bytes(_ fields: [(String, String)]) -> [Field] { fields.map { (Array($0.0.utf8), Array($0.1.utf8)) } }

/// The verdict, the head as text and its lines.
private func judge(
  _ fields: [Field], endsStream: Bool = true, limits: HeadLimits = HeadLimits()
) -> (outcome: HeadOutcome, text: String, lines: [String]) {
  var decoded = DecodedFields()
  var head = RequestHead()
  for field in fields {
    guard decoded.append(name: field.name.span, value: field.value.span, limits: limits) else { break }
  }
  let outcome = decoded.finish(endsStream: endsStream, limits: limits, into: &head)
  let written = decoded.bytes
  var lines: [String] = []
  for index in 0..<head.fieldCount {
    let line = head.field(index)
    lines.append(
      String(decoding: written[line.name], as: UTF8.self) + "=" + String(decoding: written[line.value], as: UTF8.self))
  }
  return (outcome, String(decoding: written, as: UTF8.self), lines)
}

private func judge(_ fields: [(String, String)], endsStream: Bool = true) -> HeadOutcome {
  judge(bytes(fields), endsStream: endsStream).outcome
}

@Suite struct DecodedFieldsTests {
  @Test func `a request becomes the head that HTTP 1 would have sent`() {
    let judged = judge(
      bytes(
        pseudo + [("user-agent", "x y"), ("cookie", "a=1"), ("accept", ""), ("cookie", "b=2; c=3"), ("te", "trailers")])
    )
    #expect(judged.outcome == .complete)
    #expect(
      judged.text
        == "GET /auth/a HTTP/1.1\r\nhost: a\r\nuser-agent: x y\r\naccept: \r\nte: trailers\r\n"
        + "cookie: a=1; b=2; c=3\r\n\r\n"
    )
    #expect(judged.lines == ["host=a", "user-agent=x y", "accept=", "te=trailers", "cookie=a=1; b=2; c=3"])
  }

  @Test(arguments: [
    [(":path", "/"), (":authority", "a"), (":scheme", "http"), (":method", "POST")],
    [(":method", "GET"), (":scheme", "HTTPS"), (":path", "/"), ("host", "a")],
    [(":method", "OPTIONS"), (":scheme", "https"), (":path", "*"), (":authority", "a")],
    pseudo + [("host", "A")], pseudo + [("content-length", "0")], pseudo + [("expect", "100-continue")],
    pseudo + [("cookie", "")], pseudo + [("x", "\u{80}\ta b")],
  ])
  func `a request that keeps all rules is complete`(fields: [(String, String)]) {
    #expect(judge(fields) == .complete)
  }

  private static let refused: [(fields: [(String, String)], refusal: Refusal)] = [
    ([], .badRequestLine),
    ([("x", "y")], .badRequestLine),
    (Array(pseudo[1...]), .badRequestLine),
    ([pseudo[0], pseudo[2], pseudo[3]], .badRequestLine),
    ([pseudo[0], pseudo[1], pseudo[3]], .badRequestLine),
    (Array(pseudo[..<3]), .badHost),
    (pseudo + [(":method", "GET")], .badRequestLine),
    (pseudo + [(":path", "/")], .badRequestLine),
    (pseudo + [(":authority", "a")], .badRequestLine),
    (pseudo + [(":scheme", "https")], .badRequestLine),
    (pseudo + [(":status", "200")], .badRequestLine),
    (pseudo + [(":protocol", "websocket")], .badRequestLine),
    (pseudo + [(":", "")], .badRequestLine),
    (pseudo + [(":Path", "/")], .badRequestLine),
    (Array(pseudo[..<3]) + [("host", "a"), pseudo[3]], .badRequestLine),
    ([(":method", "")] + pseudo[1...], .badRequestLine),
    ([(":method", "GET /x HTTP/1.1\r\nhost: evil\r\nx:")] + pseudo[1...], .badHost),
    ([(":method", "GET /x HTTP/1.1\r\nx:")] + pseudo[1...], .badRequestLine),
    ([(":method", "GE T")] + pseudo[1...], .badTarget),
    ([(":method", "TRACE")] + pseudo[1...], .methodNotImplemented),
    ([(":method", "CONNECT")] + pseudo[1...], .methodNotImplemented),
    ([(":method", "CONNECT"), pseudo[3]], .methodNotImplemented),
    ([pseudo[0], (":scheme", "ftp"), pseudo[2], pseudo[3]], .badRequestLine),
    ([pseudo[0], pseudo[1], (":path", ""), pseudo[3]], .badRequestLine),
    ([pseudo[0], pseudo[1], (":path", "//a"), pseudo[3]], .badTarget),
    ([pseudo[0], pseudo[1], (":path", "*"), pseudo[3]], .badTarget),
    ([pseudo[0], pseudo[1], (":path", "https://a/"), pseudo[3]], .badTarget),
    ([pseudo[0], pseudo[1], (":path", "/a#b"), pseudo[3]], .badTarget),
    ([pseudo[0], pseudo[1], (":path", "/a b"), pseudo[3]], .badRequestLine),
    ([pseudo[0], pseudo[1], (":path", "/ HTTP/1.1\r\nhost: evil\r\n\r\n"), pseudo[3]], .badTarget),
    (
      [pseudo[0], pseudo[1], (":path", "/" + String(repeating: "x", count: HeadLimits().maxHeadBytes)), pseudo[3]],
      .targetTooLong
    ),
    (Array(pseudo[..<3]) + [(":authority", "user@a")], .badHost),
    (Array(pseudo[..<3]) + [(":authority", "")], .badHost),
    (Array(pseudo[..<3]) + [(":authority", "a\r\nx: y")], .badFieldLine),
    (Array(pseudo[..<3]) + [(":authority", " a")], .badFieldLine),
    (pseudo + [("host", "b")], .badHost),
    (pseudo + [("host", "a:443")], .badHost),
    (pseudo + [("host", "a"), ("host", "a")], .badHost),
    (Array(pseudo[..<3]) + [("host", "a"), ("host", "a")], .badHost),
    (pseudo + [("Host", "a")], .badFieldLine),
    (pseudo + [("x-Upper", "y")], .badFieldLine),
    (pseudo + [("cf-access-jwt-Assertion", "y")], .badFieldLine),
    (pseudo + [("connection", "close")], .badFieldLine),
    (pseudo + [("keep-alive", "1")], .badFieldLine),
    (pseudo + [("proxy-connection", "close")], .badFieldLine),
    (pseudo + [("upgrade", "h2c")], .badFieldLine),
    (pseudo + [("transfer-encoding", "chunked")], .badFraming),
    (pseudo + [("te", "gzip")], .badFieldLine),
    (pseudo + [("te", "trailers, gzip")], .badFieldLine),
    (pseudo + [("", "y")], .badFieldLine),
    (pseudo + [("a:b", "y")], .badFieldLine),
    (pseudo + [("a b", "y")], .badFieldLine),
    (pseudo + [("a: b\r\nc", "y")], .badFieldLine),
    (pseudo + [("x", "y\r\nz: w")], .badFieldLine),
    (pseudo + [("x", "y\r\n\r\n")], .badFieldLine),
    (pseudo + [("x", "y\r\n")], .badFieldLine),
    (pseudo + [("x", "\r")], .badFieldLine),
    (pseudo + [("x", "a\u{0}b")], .badFieldLine),
    (pseudo + [("x", " y")], .badFieldLine),
    (pseudo + [("x", "y\t")], .badFieldLine),
    (pseudo + [("x", " ")], .badFieldLine),
    (pseudo + [("cookie", "a=1\r\nx: y")], .badFieldLine),
    (pseudo + [("content-length", "1")], .badFraming),
    (pseudo + [("content-length", "+0")], .badFraming),
    (pseudo + [("content-length", "0"), ("content-length", "0")], .badFraming),
    (pseudo + [("expect", "x")], .badExpect),
  ]

  @Test(arguments: refused)
  func `what breaks a rule is refused, with HTTP 1's reason`(fields: [(String, String)], refusal: Refusal) {
    let judged = judge(bytes(fields))
    #expect(judged.outcome == .refused(refusal))
    #expect(judged.lines.isEmpty, "nothing is told of a refused head")
  }

  @Test func `a length is fine where a body may follow`() {
    #expect(judge(pseudo + [("content-length", "7")], endsStream: false) == .complete)
  }

  @Test func `cookie crumbs count as one line, and other lines are at most 128`() {
    let crumbs = (0..<200).map { ("cookie", "c\($0)=1") }
    #expect(judge(bytes(pseudo + crumbs)).lines.count == 2)
    let lines = (0..<126).map { ("x\($0)", "") }
    #expect(judge(pseudo + lines + crumbs) == .complete)
    #expect(judge(pseudo + lines + [("y", "")] + crumbs) == .refused(.tooManyFieldLines))
    #expect(judge(pseudo + lines + [("y", ""), ("z", "")]) == .refused(.tooManyFieldLines))
  }

  @Test func `the size is the sum that RFC 9113 names, and four heads of it are too much`() {
    let limits = HeadLimits(maxHeadBytes: 1000)
    let fixed = pseudo.reduce(0) { $0 + $1.0.utf8.count + $1.1.utf8.count + 32 }
    let fitting = Array(repeating: UInt8(0x78), count: 1000 - fixed - 33)
    #expect(judge(bytes(pseudo) + [([0x61], fitting)], limits: limits).outcome == .complete)
    #expect(judge(bytes(pseudo) + [([0x61], fitting + [0x78])], limits: limits).outcome == .refused(.headTooLarge))
    var decoded = DecodedFields()
    let name: [UInt8] = [0x61]
    let value = Array(repeating: UInt8(0x78), count: 967)
    var taken = 0
    while decoded.append(name: name.span, value: value.span, limits: limits) { taken += 1 }
    #expect(taken == 4)
    #expect(decoded.bytes.count < 1100)
  }

  @Test func `a scratch used again remembers nothing of the head before`() {
    var decoded = DecodedFields()
    var head = RequestHead()
    for fields in [bytes(pseudo + [("cookie", "a=1"), ("host", "a")]), bytes([("x", "y")]), bytes(pseudo)] {
      decoded.reset()
      for field in fields { _ = decoded.append(name: field.name.span, value: field.value.span) }
      _ = decoded.finish(endsStream: true, into: &head)
    }
    let text = String(decoding: decoded.bytes, as: UTF8.self)
    let length = head.length
    #expect(text == "GET /auth/a HTTP/1.1\r\nhost: a\r\n\r\n" && length == text.utf8.count)
  }
}
