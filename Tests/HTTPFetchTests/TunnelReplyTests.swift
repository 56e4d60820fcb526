// What a proxy's answer to CONNECT is taken for.

import EventLoops
import POSIX
import Testing

@testable import HTTPFetch

@Suite("The answer of a proxy")
struct TunnelReplyTests {
  private func receive(_ text: String, atOnce: Bool = true) throws(FetchFailure) -> Bool {
    var reply = TunnelReply()
    if atOnce { return try reply.receive(Array(text.utf8)) }
    var isOpen = false
    for byte in text.utf8 { isOpen = try reply.receive([byte]) }
    return isOpen
  }

  private func failure(_ text: String) -> FetchFailure? {
    do throws(FetchFailure) {
      _ = try receive(text)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: [
    "HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200 OK\r\nVia: x\r\n\r\n", "HTTP/1.1 204 \r\n\r\n",
    "HTTP/1.1 200\r\n\r\n",
  ]) func `a status of 2xx opens the tunnel, in whatever pieces it comes`(_ text: String) throws {
    #expect(try receive(text))
    #expect(try receive(text, atOnce: false))
  }

  @Test(arguments: ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n", "\r\n\r"])
  func `a part of an answer opens nothing`(_ text: String) throws {
    #expect(try !receive(text))
  }

  @Test(arguments: [
    ("HTTP/1.1 407 x\r\n\r\n", "can't connect: the proxy answered with status 407"),
    ("HTTP/1.1 100 x\r\n\r\n", "can't connect: the proxy answered with status 100"),
    ("HTTP/1.1 20x x\r\n\r\n", "can't connect: the proxy's answer is no HTTP"),
    ("HTTP/2.0 200 x\r\n\r\n", "can't connect: the proxy's answer is no HTTP"),
    ("HTTP/1.1 2000\r\n\r\n", "can't connect: the proxy's answer is no HTTP"),
    ("\r\n\r\n", "can't connect: the proxy's answer is no HTTP"),
    ("HTTP/1.1 200 x\r\n\r\n\u{16}", "can't connect: the proxy sent more than an answer"),
    (String(repeating: "x", count: 16_385), "the response is larger than allowed"),
  ]) func `anything else is a failure that says what it was`(_ text: String, _ words: String) {
    #expect(failure(text)?.description == words)
  }

  @Test(arguments: [
    ("u:p", "Basic dTpw"), ("Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ("a:", "Basic YTo="),
    ("a:\u{e9}", "Basic YTrDqQ=="),
  ]) func `user and password go to the proxy as RFC 7617 has it`(_ credentials: String, _ value: String) {
    let proxy = FetchProxy(host: "p", port: 1, credentials: Array(credentials.utf8))
    let question = TunnelReply.question(host: "a.example", port: 443, authorization: proxy.authorization)
    #expect(
      String(decoding: question, as: UTF8.self)
        == "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nProxy-Authorization: \(value)\r\n\r\n")
    #expect(FetchProxy(host: "p", port: 1).authorization == nil)
  }

  @Test func `the question names host and port, an IPv6 address in brackets`() {
    #expect(
      String(decoding: TunnelReply.question(host: "a.example", port: 443), as: UTF8.self)
        == "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
    #expect(
      String(decoding: TunnelReply.question(host: "::1", port: 8443), as: UTF8.self)
        == "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n")
  }

  @Test func `a proxy is for TLS alone`() {
    let proxy = FetchProxy(host: "p", port: 1)
    #expect(FetchTarget(isTLS: false, host: "a", port: 80, path: "/", proxy: proxy).proxy == nil)
    #expect(FetchTarget(isTLS: true, host: "a", port: 443, path: "/", proxy: proxy).proxy == proxy)
  }
}
