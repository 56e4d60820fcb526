// Who a token speaks for, what `require` lets in, and how claims are written into headers.

import Testing
import Token

@Suite struct IdentityTests {
  static func expecting(_ requirement: Requirement) -> Expectations {
    Expectations(issuer: Array(Samples.issuer.utf8), require: requirement)
  }

  /// What the reader writes for a token with these claims.
  static func written(_ changes: [String: String?], _ write: (borrowing TokenReader, inout [UInt8]) -> Void) -> String {
    var reader = TokenReader()
    let token = Array(Samples.token(payload: Samples.payload(changes)).utf8)
    if let reason = reader.read(token.span) { return "refused: \(reason)" }
    var bytes: [UInt8] = []
    write(reader, &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test(arguments: [
    #""a@b""#, #""someone@example.com""#, #""\u0061@b""#, #""jos\u00e9@example.com""#, #""josé@example.com""#,
    #""a+b%c@example.com""#, "\"\(String(repeating: "a", count: 252))@b\"",
  ])
  func `a well-formed email is a user`(email: String) {
    #expect(checking(["email": email]) == nil)
    #expect(checking(["email": email], expecting: Self.expecting(.identity)) == nil)
    #expect(checking(["email": email], expecting: Self.expecting(.service)) == .identity)
  }

  @Test(arguments: [
    #""""#, #""@""#, #""a@""#, #""@b""#, #""ab""#, #""a@b@c""#, #""a@@b""#, #""a b@c""#, #""a@b c""#, #"" a@b""#,
    #""a@b ""#,
    #""a@b\r\nX: y""#, #""a@b\n""#, #""a@b\u0000""#, #""a\t@b""#, #""a@b\u007f""#, #""a@b\u001f""#, "null", "1", "[]",
    #"["a@b"]"#, "{}", "true", #""a\u0040b@c""#, "\"\(String(repeating: "a", count: 253))@b\"",
  ])
  func `any other email refuses, also beside a common_name`(email: String) {
    #expect(checking(["email": email]) == .identity)
    #expect(checking(["email": email, "sub": #""""#, "common_name": #""svc""#]) == .identity)
  }

  @Test(arguments: ["1", "null", "[]", "{}", "true", #"["x"]"#])
  func `a sub that is no string refuses, for users and services`(sub: String) {
    #expect(checking(["sub": sub]) == .identity)
    #expect(checking(["email": nil, "common_name": #""svc""#, "sub": sub]) == .identity)
  }

  @Test func `a user needs no sub and may have a common_name`() {
    #expect(checking(["sub": nil]) == nil)
    #expect(checking(["sub": #""""#]) == nil)
    let both: [String: String?] = ["common_name": #""svc""#]
    #expect(checking(both, expecting: Self.expecting(.identity)) == nil)
    #expect(checking(both, expecting: Self.expecting(.service)) == .identity)
    #expect(Self.written(both) { $0.appendUser(to: &$1) } == "someone@example.com")
  }

  @Test(arguments: [nil, #""""#])
  func `a service token has a common_name and an empty or absent sub`(sub: String?) {
    let claims: [String: String?] = ["email": nil, "sub": sub, "common_name": #""e367.access""#]
    #expect(checking(claims) == nil)
    #expect(checking(claims, expecting: Self.expecting(.service)) == nil)
    #expect(checking(claims, expecting: Self.expecting(.identity)) == .identity)
    #expect(Self.written(claims) { $0.appendUser(to: &$1) } == "e367.access")
    #expect(Self.written(claims) { $0.appendEmail(to: &$1) } == "")
    #expect(Self.written(claims) { $0.appendSubject(to: &$1) } == "")
  }

  @Test(
    arguments: [
      (#""svc""#, #""someone""#), (#""""#, nil), ("null", nil), ("1", nil), (#"["svc"]"#, nil), (nil, nil),
      ("\"\(String(repeating: "s", count: 255))\"", nil), (#""svc""#, #""\u0000""#),
    ] as [(String?, String?)])
  func `any other service token refuses`(commonName: String?, sub: String?) {
    #expect(checking(["email": nil, "sub": sub, "common_name": commonName]) == .identity)
  }

  @Test func `a common_name has at most 254 bytes once unescaped`() {
    let longest = String(repeating: #"\/"#, count: 254)
    #expect(checking(["email": nil, "sub": nil, "common_name": "\"\(longest)\""]) == nil)
    #expect(checking(["email": nil, "sub": nil, "common_name": "\"\(longest)x\""]) == .identity)
  }

  @Test(arguments: [
    (#"plain id-1 ~!"#, "plain id-1 ~!"), ("100%", "100%25"), ("%41", "%2541"), ("é", "%C3%A9"), (#"\u00e9"#, "%C3%A9"),
    (#"a\r\nSet-Cookie: x"#, "a%0D%0ASet-Cookie: x"), (#"\u0000\u001f\u007f"#, "%00%1F%7F"),
    (#"\ud83d\ude00"#, "%F0%9F%98%80"),
    (#"\"\\"#, "\"\\"), ("\u{80}", "%C2%80"), ("", ""), (#"\u0020\u007e"#, " ~"),
  ])
  func `a byte outside 0x20 to 0x7E, or a percent sign, leaves as %XX`(inside: String, header: String) {
    #expect(Self.written(["sub": "\"\(inside)\""]) { $0.appendSubject(to: &$1) } == header)
  }

  @Test func `an email is written escaped, after what is in the buffer`() {
    let text = Self.written(["email": #""jos\u00e9%@example.com""#]) {
      $1 += Array("X: ".utf8)
      $0.appendEmail(to: &$1)
      $1 += Array("|".utf8)
      $0.appendUser(to: &$1)
    }
    #expect(text == "X: jos%C3%A9%25@example.com|jos%C3%A9%25@example.com")
  }

  @Test func `without an acceptable identity nothing is written`() {
    let text = Self.written(["email": #""a@b@c""#]) {
      $0.appendUser(to: &$1)
      $0.appendEmail(to: &$1)
      $0.appendSubject(to: &$1)
    }
    #expect(text == "")
  }

  @Test(
    arguments: [
      ("1700003600", 1_700_003_600), ("1700003600.999", 1_700_003_600), ("1.5", 1), ("0.5", 0),
      ("9007199254740991", 9_007_199_254_740_991), ("1e400", nil), ("9223372036854775808", nil), (#""1""#, nil),
      (nil, nil),
    ] as [(String?, Int64?)])
  func `exp is floored, and nil when it is not usable`(exp: String?, floored: Int64?) {
    var reader = TokenReader()
    let token = Array(Samples.token(payload: Samples.payload(["exp": exp])).utf8)
    let reason = reader.read(token.span)
    #expect(reason == nil)
    let expires = reader.expiresFloored
    #expect(expires == floored)
    let notBefore = reader.notBefore
    #expect(notBefore == 1_700_000_000)
  }
}
