// Which audience a target asks about.

import HTTPSyntax
import Testing

@testable import ForwardAuth

@Suite struct AudiencePathTests {
  @Test(
    arguments: [
      ("/auth/a", "a"), ("/auth/f00d/", "f00d"), ("/auth/f00d?x", "f00d"), ("/auth/f00d/x?y", "f00d"),
      ("/auth/f00d?/", "f00d"),
      ("/auth/AZaz09._~-", "AZaz09._~-"),
      ("/auth/" + String(repeating: "a", count: 128), String(repeating: "a", count: 128)),
      ("/auth/a/%00/../..", "a"), ("/auth/auth/", "auth"), ("/auth/..", ".."), ("/auth/a//b", "a"),
      ("/auth/" + String(repeating: "a", count: 129), nil), ("/auth/" + String(repeating: "a", count: 128) + "b/", nil),
      ("/auth/", nil), ("/auth", nil), ("/auth?", nil), ("/auth//a", nil), ("/auth/?a", nil), ("/", nil), ("*", nil),
      ("/Auth/a", nil), ("/authx/a", nil), ("/%61uth/a", nil), ("/auth/a%2Fb", nil), ("/auth/%61", nil),
      ("/auth/a;b", nil),
      ("/auth/a,b", nil), ("/auth/a\\b", nil), ("/auth/a@b", nil), ("/auth/a+b", nil), ("/auth/a:", nil),
      ("/x/auth/a", nil),
    ] as [(String, String?)])
  func `the audience is the segment behind auth, byte for byte`(target: String, expected: String?) {
    let method = target == "*" ? "OPTIONS" : "GET"
    let bytes = Array("\(method) \(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    var head = RequestHead()
    #expect(head.parse(bytes.span) == .complete)
    let range = audience(inTarget: head.target, of: bytes.span)
    #expect(range.map { String(decoding: bytes[$0], as: UTF8.self) } == expected)
  }

  @Test(arguments: [0..<0, 5..<5, 0..<6, 0..<1000, -7..<4, Int.max - 7..<Int.max])
  func `a range that is no target has no audience and does not trap`(range: Range<Int>) {
    let bytes = Array("/auth/abc".utf8)
    #expect(audience(inTarget: range, of: bytes.span) == nil)
  }
}
