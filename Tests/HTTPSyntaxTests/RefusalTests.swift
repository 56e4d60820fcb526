// Every refusal: which bytes earn it, and what it says to the outside.

import HTTPSyntax
import Testing

@Suite struct RefusalTests {
  @Test(arguments: [
    ("", "/"), (" ", "/"), ("\r\n", "/"), ("\n", "/"), ("G(T ", "/"), ("G\u{0}T ", "/"), ("GET\t", "/"), ("GET:", "/"),
    ("G\u{E9}T ", "/"), ("GET  ", "/"), ("GET \t", ""), ("\u{16}\u{3}\u{1}", "/"), ("GET\r\n", "/"), ("GET\n", "/"),
  ])
  func `a method that is no token and one space is refused with 400`(start: String, target: String) {
    let outcome = verdict(Array("\(start)\(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
    #expect(outcome == .refused(start == "GET \t" ? .badTarget : .badRequestLine))
  }

  @Test(arguments: [
    "http://a/auth/x", "a", "a:443", "?", "//", "//evil/p", "*x", "*/", "**", "/#", "/a#b", "/a\u{0}b", "/a\tb",
    "/a\u{7F}", "/a\u{1F}", "/\u{E9}", "/12345678\u{80}", "/1234567\u{1}", "/123456\u{7F}", "\\", "#", "*", "%2F",
  ])
  func `a target that is no origin-form is refused with 400`(target: String) {
    #expect(verdict(Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) == .refused(.badTarget))
  }

  @Test func `an asterisk is a target of OPTIONS alone`() {
    #expect(verdict(Array("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) == .complete)
    #expect(verdict(Array("OPTION * HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) == .refused(.badTarget))
    #expect(verdict(Array("options * HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) == .refused(.badTarget))
    #expect(verdict(Array("OPTIONS *?x HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) == .refused(.badTarget))
  }

  @Test(arguments: [
    "GET /\r\n", "GET / \r\n", "GET /\n", "GET /  HTTP/1.1\r\n", "GET /a b HTTP/1.1\r\n", "GET / HTTP/1.1 \r\n",
    "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\r\n", "GET / HTTP/1.1\rX", "GET / HTTP/1.1\u{0}\r\n", "GET / http/1.1\r\n",
    "GET / HTTP/1.01\r\n", "GET / HTTP/01.1\r\n", "GET / HTTP/4294967297.1\r\n", "GET / HTTP/-1.1\r\n",
    "GET / HTTP/1\r\n", "GET / HTTP/1.\r\n", "GET / HTTP/1,1\r\n", "GET / HTTPS/1.1\r\n", "GET / HTTP /1.1\r\n",
    "GET / HTTP/2\r\n", "GET / HTTP/2.0\n", "GET / ICY/1.1\r\n", "GET / HTTP/1.1\tx\r\n", "GET / HTTP/a.b\r\n",
  ])
  func `a request line that does not end in one known version and CRLF is refused with 400`(line: String) {
    #expect(verdict(Array((line + "Host: a\r\n\r\n").utf8)) == .refused(.badRequestLine))
  }

  @Test(arguments: ["0.9", "1.2", "1.9", "2.0", "2.1", "0.0", "3.0", "9.9"])
  func `another version is refused with 505`(version: String) {
    #expect(verdict(Array("GET / HTTP/\(version)\r\nHost: a\r\n\r\n".utf8)) == .refused(.versionNotSupported))
  }

  @Test func `the preface of HTTP 2 is refused with 505`() {
    #expect(verdict(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)) == .refused(.versionNotSupported))
    #expect(verdict(Array("PRI * HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) == .refused(.badTarget))
  }

  @Test(arguments: [
    "CONNECT a:443 HTTP/1.1", "CONNECT / HTTP/1.1", "TRACE / HTTP/1.1", "TRACE * HTTP/1.0", "CONNECT //", "TRACE ",
  ])
  func `CONNECT and TRACE are refused with 501`(line: String) {
    #expect(verdict(Array("\(line)\r\nHost: a\r\n\r\n".utf8)) == .refused(.methodNotImplemented))
  }

  @Test(arguments: [
    ": x", ":", " A: x", "\tA: x", " folded", "A : x", "A\t: x", "A", "A B: x", "A\u{0}: x", "\u{0}", "\u{0}A: x",
    "\u{E9}: x", "(A): x", "A/B: x", "A: \u{0}", "A: x\u{0}", "A: x\u{1}y", "A: \u{7F}", "A: 1234567\u{8}",
    "A: 12345678\u{1F}", "A: \u{B}", "A: x\ry", "A: x\ny", "A: x\n", "A: x\r", "A: \r", "A\r\n", "A\n", "\n",
    "A: x\r\r",
    "A: x\r\n y", "A: x\r\n\ty", "A: \tx\ty\u{1}", "A;b: x", "\"A\": x", "A: 12345\r78",
  ])
  func `a header line that is no name, colon, value and CRLF is refused with 400`(line: String) {
    #expect(verdict(Array(withLines(line).utf8)) == .refused(.badFieldLine))
    #expect(verdict(Array("GET / HTTP/1.1\r\n\(line)\r\nHost: a\r\n\r\n".utf8)) == .refused(.badFieldLine))
  }

  @Test(arguments: ["\n", "\r\r\n", "\rX", "\r\u{0}"])
  func `an empty line that is no CRLF is refused with 400`(end: String) {
    #expect(verdict(Array("GET / HTTP/1.1\r\nHost: a\r\n\(end)".utf8)) == .refused(.badFieldLine))
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nhOST: b\r\n\r\n", "GET / HTTP/1.0\r\nHost:\r\n\r\n",
  ])
  func `no Host with 1 dot 1, or two, is refused with 400`(text: String) {
    #expect(verdict(Array(text.utf8)) == .refused(.badHost))
  }

  @Test(arguments: [
    "", " ", ":80", "a/", "a/b", "u@a", "u:p@a", "a b", "a:b", "a:80:80", "a:+80", "a:65536", "a:999999999999999999999",
    "a?b", "a#b", "%", "%4", "%zz", "a%", "\u{E9}", "a\"", "<a>", "http://a", "[", "[]", "[::1", "::1", "[::1]a",
    "[::1]:x", "[:::]", "[:1]", "[1:]", "[1]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[12345::]",
    "[::g]", "[1:2:3:4:5:6:7:8::]", "[::1.2.3]", "[::1.2.3.256]", "[::1.2.3.4.5]", "[::1.2.3.04]", "[fe80::1%25eth0]",
    "[1:2:3:4:5:6:7:1.2.3.4]", "[v1.a]", "[1:2:3:4:5:6:7:8:]", "[::1.2.3.4:1]", "[192.0.2.1]", "a\\b",
  ])
  func `a Host that names no host is refused with 400`(host: String) {
    #expect(verdict(Array("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8)) == .refused(.badHost))
  }

  @Test(arguments: ["gzip", "GZIP", "x-gzip", "compress", "X-Compress", "deflate"])
  func `a transfer coding that we don't have is refused with 501`(coding: String) {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \(coding)\r\n\r\n"
    #expect(verdict(Array(text.utf8)) == .refused(.codingNotImplemented))
    #expect(Refusal.codingNotImplemented.status == 501)
  }

  @Test(arguments: [
    ["Transfer-Encoding: x-deflate"], ["Transfer-Encoding: gzip,"], ["Transfer-Encoding: gzip;q=1"],
    ["Content-Length: 5", "Transfer-Encoding: gzip"],
    ["Content-Length: 5", "Content-Length: 5"], ["Content-Length: 0", "content-length: 0"], ["Content-Length:"],
    ["Content-Length: +5"], ["Content-Length: -0"], ["Content-Length: 5, 5"], ["Content-Length: 0x5"],
    ["Content-Length: 5 5"], ["Content-Length: 1234567890123456789"], ["Content-Length: 5a"],
    ["Content-Length: \u{B2}"],
    ["Transfer-Encoding: chunked, chunked"], ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: chunked,"], ["Transfer-Encoding: chunked;q=1"], ["Transfer-Encoding:"],
    ["Transfer-Encoding: identity"], ["Transfer-Encoding: \"chunked\""], ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    ["Content-Length: 5", "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Content-Length: 0"],
  ])
  func `framing that could be read in two ways is refused with 400`(lines: [String]) {
    let text = "POST / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
    #expect(verdict(Array(text.utf8)) == .refused(.badFraming))
  }

  @Test func `Transfer-Encoding on 1 dot 0 is refused with 400`() {
    let text = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(verdict(Array(text.utf8)) == .refused(.badFraming))
  }

  @Test(arguments: [
    ["Expect:"], ["Expect: 200-ok"], ["Expect: 100-continue, x"], ["expect: 100-continue;a"], ["Expect: 100"],
    ["Expect: 100-continue", "Expect: 100-continue"],
  ])
  func `another expectation is refused with 400`(lines: [String]) {
    let text = "POST / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
    #expect(verdict(Array(text.utf8)) == .refused(.badExpect))
    #expect(verdict(Array(text.replacing("1.1", with: "1.0").utf8)) == .refused(.badExpect))
  }

  @Test func `each refusal has its status, and a name and a line of its own`() {
    let expected: [(Refusal, Int, String)] = [
      (.badRequestLine, 400, "bad_request_line"), (.badTarget, 400, "bad_target"),
      (.badFieldLine, 400, "bad_field_line"), (.badHost, 400, "bad_host"), (.badFraming, 400, "bad_framing"),
      (.badExpect, 400, "bad_expect"), (.headTimeout, 408, "head_timeout"), (.targetTooLong, 414, "target_too_long"),
      (.headTooLarge, 431, "head_too_large"), (.tooManyFieldLines, 431, "too_many_field_lines"),
      (.methodNotImplemented, 501, "method_not_implemented"),
      (.codingNotImplemented, 501, "coding_not_implemented"), (.tooManyConnections, 503, "too_many_connections"),
      (.tooManyPartialHeads, 503, "too_many_partial_heads"), (.versionNotSupported, 505, "version_not_supported"),
    ]
    #expect(expected.map(\.0) == Refusal.allCases)
    for (refusal, status, name) in expected {
      #expect(refusal.status == status)
      #expect("\(refusal.name)" == name)
      let printable = "\(refusal.body)".utf8.allSatisfy { 0x20...0x7E ~= $0 }
      #expect(printable)
    }
    #expect(Set(Refusal.allCases.map { "\($0.body)" }).count == Refusal.allCases.count)
  }
}
