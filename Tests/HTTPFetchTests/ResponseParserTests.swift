// What a key server may send, byte by byte, and what becomes of it. No sockets.

import EventLoops
import POSIX
import Testing

@testable import HTTPFetch

@Suite struct ResponseParserTests {
  private func parse(_ text: String, pieces: Int = 1, maxBody: Int = 64) -> Result<FetchResponse, FetchFailure> {
    var parser = ResponseParser(maxBody: maxBody)
    let bytes = Array(text.utf8)
    do throws(FetchFailure) {
      var start = 0
      while start < bytes.count {
        let end = min(start + max(1, bytes.count / pieces), bytes.count)
        if let response = try parser.receive(Array(bytes[start..<end])) { return .success(response) }
        start = end
      }
      return .success(try parser.end())
    } catch {
      return .failure(error)
    }
  }

  private func ok(_ body: String, status: Int = 200, retryAfter: Int? = nil) -> Result<FetchResponse, FetchFailure> {
    .success(FetchResponse(status: status, body: Array(body.utf8), retryAfter: retryAfter))
  }

  static let good: [(text: String, body: String)] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200\r\ncontent-length:5\r\n\r\nhello", "hello"),
    ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "hello"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", "hello"),
    ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 0\r\n\r\n", ""),
  ]

  @Test(arguments: good.indices) func `a good response is read, in one piece and in any number`(_ index: Int) {
    let (text, body) = Self.good[index]
    for pieces in 1...text.utf8.count { #expect(parse(text, pieces: pieces) == ok(body)) }
  }

  @Test(arguments: good.indices) func `a response that ends early is truncated, never whole`(_ index: Int) {
    let text = Self.good[index].text
    for count in 1..<text.utf8.count {
      let result = parse(String(decoding: Array(text.utf8)[..<count], as: UTF8.self))
      // Only a body without a length may end anywhere.
      if !text.hasPrefix("HTTP/1.0") { #expect(result == .failure(.truncated)) }
    }
  }

  @Test func `a status other than 200 is told, with the seconds to wait`() {
    #expect(
      parse("HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n") == ok("", status: 429, retryAfter: 17))
    #expect(
      parse("HTTP/1.1 503 x\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n")
        == ok("", status: 503))
    #expect(parse("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n") == ok("", status: 302))
    #expect(parse("HTTP/1.1 304 Not Modified\r\n\r\n") == ok("", status: 304))
  }

  @Test(arguments: [
    "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 99 OK\r\n\r\n", "hello\r\n\r\n", "\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: empty\r\n\r\n",
  ]) func `what is not valid HTTP is refused`(_ text: String) {
    guard case .failure(.badResponse) = parse(text) else {
      Issue.record("\(parse(text))")
      return
    }
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n" + String(repeating: "x", count: 65),
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + String(repeating: "x", count: 64) + "\r\n1\r\nx",
    "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 17_000) + "\r\n\r\n",
    "HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 3_000) + "\r\n",
  ]) func `a head over 16 KiB or a body over the bound is refused`(_ text: String) {
    #expect(parse(text) == .failure(.tooLarge))
  }

  private static let chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

  @Test(arguments: [
    (chunkedHead + "0\r\n", "Trailer: x\r\n"), (chunkedHead, "1;" + String(repeating: "x", count: 1000) + "\r\ny\r\n"),
    ("", "HTTP/1.1 102 x\r\n\r\n"),
  ]) func `what comes beside a body is bounded, so that no answer keeps the loop busy`(_ start: String, _ more: String)
  {
    var parser = ResponseParser(maxBody: 1 << 20)
    let piece = Array(String(repeating: more, count: 16_384 / more.utf8.count).utf8)
    var failure: FetchFailure?
    var sent = 0
    do throws(FetchFailure) {
      _ = try parser.receive(Array(start.utf8))
      while sent < 8 << 20 {
        sent += piece.count
        let response = try parser.receive(piece)
        #expect(response == nil)
      }
    } catch {
      failure = error
    }
    #expect(failure == .tooLarge)
    #expect(sent < 2 << 20)
  }

  @Test func `a chunk that is longer than its size is refused`() {
    guard case .failure = parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n") else {
      Issue.record("accepted")
      return
    }
  }
}
