// Fields and cookies by name, and the audience of a path.

import HTTPSyntax
import Testing

@Suite struct LookupTests {
  /// The occurrence as text: `-` for none, `*` for several, else the value in angle brackets.
  private func show(_ occurrence: Occurrence, _ bytes: [UInt8]) -> String {
    switch occurrence {
    case .none: "-"
    case .one(let range): "<" + String(decoding: bytes[range], as: UTF8.self) + ">"
    case .several: "*"
    }
  }

  @Test(arguments: [
    ([], "-"), (["Cf-Access-Jwt-Assertion: a.b.c"], "<a.b.c>"), (["CF-ACCESS-JWT-ASSERTION:a"], "<a>"),
    (["cf-access-jwt-assertion:   "], "<>"), (["Cf-Access-Jwt-Assertion: a, b"], "<a, b>"),
    (["Cf-Access-Jwt-Assertion: a", "X: y", "cf-access-jwt-assertion: a"], "*"),
    (["Cf_Access_Jwt_Assertion: a", "Cf.Access.Jwt.Assertion: a", "Cf-Access-Jwt-Assertio: a"], "-"),
    (["Cf-Access-Jwt-Assertion2: a", "X-Cf-Access-Jwt-Assertion: a", "Authorization: Bearer a"], "-"),
    (["Cf_Access_Jwt_Assertion: a", "Cf-Access-Jwt-Assertion: b"], "<b>"),
  ])
  func `a field is found by its whole name in any case, and only where it is the only one`(
    lines: [String], expected: String
  ) {
    let bytes = Array(("GET / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
    var head = RequestHead()
    #expect(head.parse(bytes.span) == .complete)
    let name: FieldName = "Cf-Access-Jwt-Assertion"
    let found = head.value(of: name, in: bytes.span)
    #expect(show(found, bytes) == expected)
    let count = head.count(of: name, in: bytes.span)
    #expect(expected == "-" ? count == 0 : expected == "*" ? count == 2 : count == 1)
  }

  @Test func `fields of one name are walked in the order sent`() {
    let bytes = Array(withLines("X: 1", "Y: 2", "x: 3").utf8)
    var head = RequestHead()
    #expect(head.parse(bytes.span) == .complete)
    let first = head.firstIndex(of: "x", in: bytes.span)
    let second = head.firstIndex(of: "x", in: bytes.span, from: 2)
    let third = head.firstIndex(of: "x", in: bytes.span, from: 4)
    #expect(first == 1 && second == 3 && third == nil)
  }

  @Test func `fewer bytes than were parsed hold nothing`() {
    let bytes = Array(withLines("Cookie: a=b").utf8)
    var head = RequestHead()
    #expect(head.parse(bytes.span) == .complete)
    let fewer = bytes.span.extracting(first: 10)
    let field = head.value(of: "cookie", in: fewer)
    let cookie = head.cookie("a", in: fewer)
    #expect(field == .none && cookie == .none)
  }

  @Test func `nothing is found in a head that was refused`() {
    let bytes = Array(withLines("Cookie: CF_Authorization=x", ": x").utf8)
    var head = RequestHead()
    #expect(head.parse(bytes.span) == .refused(.badFieldLine))
    let cookie = head.cookie("CF_Authorization", in: bytes.span)
    let field = head.value(of: "host", in: bytes.span)
    #expect(cookie == .none && field == .none)
  }

  @Test(arguments: [
    ([], "-"), (["Cookie:"], "-"), (["X-Cookie: CF_Authorization=x", "Cookie2: CF_Authorization=x"], "-"),
    (["Cookie: CF_Authorization=x.y.z"], "<x.y.z>"), (["cOOKIE:CF_Authorization=x"], "<x>"),
    (["Cookie: a=b; CF_Authorization=x; c=d"], "<x>"), (["Cookie: a=b;CF_Authorization=x;c=d"], "<x>"),
    (["Cookie: ;; ;CF_Authorization=x ;"], "<x>"), (["Cookie: \tCF_Authorization=x\t; b"], "<x>"),
    (["Cookie: CF_Authorization="], "<>"), (["Cookie: CF_Authorization=;"], "<>"),
    (["Cookie: CF_Authorization= x"], "< x>"),
    (["Cookie: CF_Authorization=\"x\""], "<\"x\">"), (["Cookie: CF_Authorization=a=b=="], "<a=b==>"),
    (["Cookie: a=b", "Cookie: CF_Authorization=x", "Cookie: c=d"], "<x>"),
    (["Cookie: CF_Authorization=x; CF_Authorization=x"], "<x>"),
    (["Cookie: CF_Authorization=x.y", "Cookie: a=b; CF_Authorization=x.y ;c=d"], "<x.y>"),
    (["Cookie: CF_Authorization=; CF_Authorization="], "<>"),
    (["Cookie: CF_Authorization=x; CF_Authorization=x; CF_Authorization=y"], "*"),
    (["Cookie: CF_Authorization=x; CF_Authorization=y; CF_Authorization=x"], "*"),
    (["Cookie: CF_Authorization=x; CF_Authorization=\"x\""], "*"),
    (["Cookie: CF_Authorization=x; CF_Authorization= x"], "*"),
    (["Cookie: CF_Authorization=xy; CF_Authorization=xz"], "*"),
    (["Cookie: CF_Authorization=xy; CF_Authorization=x"], "*"),
    (["Cookie: CF_Authorization=x", "Cookie: CF_Authorization=y"], "*"),
    (["Cookie: CF_Authorization=; CF_Authorization=x"], "*"),
    (["Cookie: CF_Authorization"], "-"), (["Cookie: CF_Authorization; a=b"], "-"),
    (["Cookie: CF_Authorization; CF_Authorization=x"], "<x>"),
    (["Cookie: XCF_Authorization=x"], "-"), (["Cookie: CF_AuthorizationX=x"], "-"),
    (["Cookie: CF_Authorization_=x"], "-"),
    (["Cookie: cf_authorization=x; CF_AUTHORIZATION=y"], "-"), (["Cookie: CF_Authorization =x"], "-"),
    (["Cookie: a=CF_Authorization=x"], "-"), (["Cookie: a=b, CF_Authorization=x"], "-"),
    (["Cookie: CF_Authorizatio=x"], "-"),
    (["Cookie: a=\"b; CF_Authorization=x; c\""], "<x>"), (["Cookie: =CF_Authorization=x"], "-"),
    (
      ["Cookie: aaaaaaaaaaaaaaaaaaaaaaaaa=bbbbbbbbbbbbbbbbbbbbb;CF_Authorization=yyyyyyyyyyyyyyyyyyyyyyyy"],
      "<yyyyyyyyyyyyyyyyyyyyyyyy>"
    ),
  ])
  func `a cookie is found by its exact name, and only where it is the only one`(lines: [String], expected: String) {
    let bytes = Array(("GET / HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
    var head = RequestHead()
    #expect(head.parse(bytes.span) == .complete)
    let found = head.cookie("CF_Authorization", in: bytes.span)
    #expect(show(found, bytes) == expected)
  }
}
