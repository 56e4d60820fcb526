// Payloads that made evhttp, or another server, see a second request where the proxy saw one. A gate that refuses or
// takes exactly the first head, and knows of its body, gives the second no chance.

import HTTPSyntax
import Testing

@Suite struct DesyncTests {
  static let second = "GET /auth/second HTTP/1.1\r\nHost: b\r\n\r\n"

  @Test(arguments: [
    ("a line that starts with NUL", "GET / HTTP/1.1\r\nHost: a\r\n\u{0}: x\r\n\r\n", Refusal.badFieldLine),
    ("NUL alone ends the head for evhttp", "GET / HTTP/1.1\r\nHost: a\r\n\u{0}\r\n", .badFieldLine),
    ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 39\r\n\r\n", .badFraming),
    ("space before the colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", .badFieldLine),
    ("an encoding unknown", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", .codingNotImplemented),
    (
      "length and encoding",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .badFraming
    ),
    ("encoding on 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", .badFraming),
    ("twice chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", .badFraming),
    ("a bare LF", "GET / HTTP/1.1\nHost: a\n\n", .badRequestLine),
    ("a bare LF in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\n", .badFieldLine),
    ("a folded length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\n", .badFraming),
    ("a folded encoding", "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tTransfer-Encoding: chunked\r\n\r\n", .badFieldLine),
    ("a vertical tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{B}chunked\r\n\r\n", .badFieldLine),
    ("an authority in the path", "GET //evil/p HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget),
    ("a version with a sign", "GET / HTTP/-1.1\r\nHost: a\r\n\r\n", .badRequestLine),
    ("an empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
  ])
  func `a payload that hides a second request is refused`(what: String, payload: String, refusal: Refusal) {
    let bytes = Array((payload + Self.second).utf8)
    #expect(verdict(bytes) == .refused(refusal), "\(what)")
    #expect(verdictInPieces(bytes, cuts: 1..<bytes.count) == .refused(refusal), "\(what), byte at a time")
  }

  @Test(arguments: [
    "HEAD /auth/a HTTP/1.1\r\nHost: a\r\nContent-Length: 39\r\n\r\n",
    "GET /auth/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /auth/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
  ])
  func `a body is known from the head, whatever the method`(payload: String) {
    let judged = Judged(payload + Self.second)
    #expect(judged.outcome == .complete)
    #expect(judged.length == payload.utf8.count)
    #expect(judged.announcesBody)
  }

  @Test func `sixteen thousand lines of a colon are refused at the first`() {
    let flood = Array(("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: ":\r\n", count: 16_000)).utf8)
    #expect(verdict(flood) == .refused(.badFieldLine))
    #expect(verdictInPieces(flood, cuts: []) == .refused(.badFieldLine))
  }

  @Test func `sixteen thousand short lines are refused at the line over the limit`() {
    let flood = Array(("GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "a:\r\n", count: 16_000)).utf8)
    #expect(verdict(flood) == .refused(.tooManyFieldLines))
    #expect(verdictInPieces(flood, cuts: []) == .refused(.tooManyFieldLines))
  }
}
