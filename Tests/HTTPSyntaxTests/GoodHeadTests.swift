// Heads that are accepted, and what is recorded of them.

import HTTPSyntax
import Testing

@Suite struct GoodHeadTests {
  @Test(arguments: [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost:a\r\n\r\n",
    "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHOST:\t a \t\r\n\r\n",
    "connect / HTTP/1.1\r\nHost: a\r\n\r\n",
    "PROPFIND /a//b?c=\"<>\\^`{|}~%00&& HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /../auth/../%2e?/# HTTP/1.1\r\nHost: a\r\n\r\n".replacing("#", with: "!"),
    usualHead,
    withLines("Content-Length: 0"), withLines("content-length: 999999999999999999"),
    withLines("Transfer-Encoding: chunked"), withLines("TRANSFER-ENCODING:CHUNKED"),
    withLines("Expect: 100-Continue"), withLines("Content-Length:\t7 "),
    withLines("Content_Length: x", "X-Transfer-Encoding: gzip", "TE: gzip", "Trailer: a", "Upgrade: h2c"),
    withLines("Connection: , close,,", "Connection:"),
    withLines("A: \u{80}\u{FF}", "B: !~ \t x"),
  ])
  func `a head that keeps all rules is complete, to its last byte`(text: String) {
    let judged = Judged(text)
    #expect(judged.outcome == .complete)
    #expect(judged.length == text.utf8.count)
  }

  @Test func `the parts are recorded as sent, values without the white space around them`() {
    let judged = Judged(usualHead)
    #expect(judged.method == "GET")
    #expect(judged.target == "/auth/f00d")
    #expect(judged.minorVersion == 1)
    #expect(
      judged.fields == [
        "Host=gateway:8000", "User-Agent=Mozilla/5.0 (X11; Linux x86_64)", "Accept=text/html,*/*;q=0.8",
        "Cookie=a=b; CF_Authorization=x.y.z", "X-Forwarded-For=192.0.2.1", "X-Empty=", "X-Tab=a\tb",
        "X-Latin=\u{E9}t\u{E9}",
      ])
  }

  @Test(arguments: ["GET / HTTP/1.0\r\n\r\n", "\u{0}\n\n", "GET //"])
  func `what follows the head is not looked at`(tail: String) {
    var expected = Judged(usualHead)
    let judged = Judged(usualHead + tail)
    #expect(judged.length == usualHead.utf8.count)
    expected.outcome = judged.outcome
    #expect(judged == expected)
  }

  @Test(arguments: [
    ("HTTP/1.1", [], true), ("HTTP/1.0", [], false),
    ("HTTP/1.1", ["Connection: close"], false), ("HTTP/1.1", ["Connection: CLOSE"], false),
    ("HTTP/1.1", ["Connection: close, te"], false), ("HTTP/1.1", ["Connection: te,\tClose"], false),
    ("HTTP/1.1", ["Connection: te", "Connection: keep-alive,close"], false),
    ("HTTP/1.1", ["Connection: closed, close-x, xclose, c lose"], true), ("HTTP/1.1", ["Connection: keep-alive"], true),
    ("HTTP/1.1", ["Connection:"], true), ("HTTP/1.1", ["Proxy-Connection: close", "Connectio_: close"], true),
    ("HTTP/1.0", ["Connection: keep-alive"], true), ("HTTP/1.0", ["connection: x ,Keep-Alive"], true),
    ("HTTP/1.0", ["Connection: keep-alive", "Connection: close"], false),
    ("HTTP/1.0", ["Keep-Alive: timeout=5"], false), ("HTTP/1.0", ["Connection: keep_alive"], false),
  ])
  func `a connection persists as RFC 9112 says`(version: String, lines: [String], persistent: Bool) {
    let text = "GET / \(version)\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
    let judged = Judged(text)
    #expect(judged.outcome == .complete)
    #expect(judged.persistent == persistent)
  }

  @Test(arguments: [
    ("X: y", false), ("Content-Length: 0", false), ("Content-Length: 000000000000000000", false),
    ("Content-Length: 5", true), ("Content-Length: 10", true), ("Content-Length: 01", true),
    ("Transfer-Encoding: Chunked", true),
  ])
  func `a body is announced by a length above 0 or by chunked`(line: String, announces: Bool) {
    let judged = Judged(withLines(line))
    #expect(judged.outcome == .complete)
    #expect(judged.announcesBody == announces)
  }

  @Test func `a scratch used again remembers nothing of the head before`() {
    var head = RequestHead()
    let first = Judged(
      Array(
        "HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n".utf8),
      using: &head)
    #expect(first.isHEAD && first.announcesBody && first.expectsContinue && !first.persistent)
    let plain = Array("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    #expect(Judged(plain, using: &head) == Judged(plain))
    let isOPTIONS = head.isOPTIONS
    #expect(isOPTIONS)
    let refused = Judged(Array("HEAD /x HTTP/1.1\r\nHost: a\r\n\n".utf8), using: &head)
    #expect(refused.outcome == .refused(.badFieldLine))
    #expect(refused.length == 0 && refused.fields.isEmpty && refused.method.isEmpty && !refused.isHEAD)
    #expect(!refused.persistent)
  }

  @Test func `100-continue means nothing on 1 dot 0`() {
    let judged = Judged("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
    #expect(judged.outcome == .complete)
    #expect(!judged.expectsContinue)
  }

  @Test(arguments: [
    "a", "a:80", "a:", "a:65535", "a-b.c_d~e", "192.0.2.1:8000", "xn--bcher-kva.example", "%C3%A9", "!$&'()*+,;=",
    "[::]", "[::1]:80", "[2001:db8::1]", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]",
    "[::ffff:192.0.2.1]", "[1:2:3:4:5:6:1.2.3.4]", "[abcd:EF01::]",
  ])
  func `a Host that names a host passes`(host: String) {
    #expect(verdict(Array("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8)) == .complete)
  }
}
