// What the tests share: a judged head as plain values, so that expectations can print it, and the heads they vary.

import HTTPSyntax

/// A copy of everything that RequestHead tells after one parse.
struct Judged: Equatable {
  var outcome: HeadOutcome
  var length: Int
  var method: String
  var target: String
  var isHEAD: Bool
  var isOPTIONS: Bool
  var minorVersion: Int
  var persistent: Bool
  var announcesBody: Bool
  var expectsContinue: Bool
  var fields: [String]

  init(_ bytes: [UInt8], limits: HeadLimits = HeadLimits()) {
    var head = RequestHead()
    self.init(bytes, using: &head, limits: limits)
  }

  init(_ bytes: [UInt8], using head: inout RequestHead, limits: HeadLimits = HeadLimits()) {
    outcome = head.parse(bytes.span, limits: limits)
    length = head.length
    method = String(decoding: bytes[head.method], as: UTF8.self)
    target = String(decoding: bytes[head.target], as: UTF8.self)
    isHEAD = head.isHEAD
    isOPTIONS = head.isOPTIONS
    minorVersion = head.minorVersion
    persistent = head.persistent
    announcesBody = head.announcesBody
    expectsContinue = head.expectsContinue
    fields = []
    for index in 0..<head.fieldCount {
      let line = head.field(index)
      let name = String(decoding: bytes[line.name], as: UTF8.self)
      fields.append(name + "=" + String(decoding: bytes[line.value], as: UTF8.self))
    }
  }

  init(_ text: String, limits: HeadLimits = HeadLimits()) {
    self.init(Array(text.utf8), limits: limits)
  }
}

/// The verdict over `bytes` alone.
func verdict(_ bytes: [UInt8], limits: HeadLimits = HeadLimits()) -> HeadOutcome {
  var head = RequestHead()
  return head.parse(bytes.span, limits: limits)
}

/// The verdict when the bytes arrive in pieces that end at `cuts`, and the judge is called as a server does: only once
/// the scanner says so.
func verdictInPieces(_ bytes: [UInt8], cuts: some Sequence<Int>, limits: HeadLimits = HeadLimits()) -> HeadOutcome {
  var scanner = HeadScanner()
  for cut in cuts {
    let received = Array(bytes[..<cut])
    if scanner.scan(received.span, limits: limits) == .ready { return verdict(received, limits: limits) }
  }
  return scanner.scan(bytes.span, limits: limits) == .ready ? verdict(bytes, limits: limits) : .incomplete
}

/// A request line and a Host, to which a test adds what it is about.
func withLines(_ lines: String..., version: String = "HTTP/1.1") -> String {
  "GET /auth/a \(version)\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
}

/// What Traefik and nginx send as a subrequest, shortened.
let usualHead =
  "GET /auth/f00d HTTP/1.1\r\nHost: gateway:8000\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
  + "Accept:text/html,*/*;q=0.8\r\nCookie: a=b; CF_Authorization=x.y.z\r\nX-Forwarded-For: 192.0.2.1 \r\n"
  + "X-Empty:\r\nX-Tab: a\tb\r\nX-Latin: \u{E9}t\u{E9}\r\n\r\n"
