// The record of a token against the record of the same identity as a policy test writes it: one must not tell another story.

import Policy
import Testing
import Token

@testable import Gateway

private let base64url = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

private func encoded(_ text: String) -> String {
  var out: [UInt8] = []
  var bits = 0
  var held: UInt32 = 0
  for byte in text.utf8 {
    held = held << 8 | UInt32(byte)
    bits += 8
    while bits >= 6 {
      bits -= 6
      out.append(base64url[Int(held >> UInt32(bits)) & 63])
    }
  }
  if bits > 0 { out.append(base64url[Int(held << UInt32(6 - bits)) & 63]) }
  return String(decoding: out, as: UTF8.self)
}

private let plan = ClaimPlan(
  ["groups", "country", "deep.er.est", "n", "yes", "no", "nothing", "object", "mixed", "absent", "odd"].compactMap {
    ClaimPath($0)
  })

private func record(_ payload: String) -> [UInt8]? {
  var reader = TokenReader()
  let token = Array((encoded(#"{"alg":"RS256","kid":"k"}"#) + "." + encoded(payload) + ".AAAA").utf8)
  guard reader.read(token.span) == nil else { return nil }
  var claims = ClaimRecord()
  let digest = [UInt8](repeating: 7, count: 32)
  // Twice, since its memory is used again.
  guard claims.write(reader, plan: plan, issuer: 3, tokenDigest: digest.span),
    claims.write(reader, plan: plan, issuer: 3, tokenDigest: digest.span)
  else { return nil }
  return claims.writer.bytes
}

private func expected(_ identity: CaseIdentity) -> [UInt8] {
  var writer = IdentityRecordWriter()
  identity.write(
    to: &writer, plan: plan, issuer: 3, issuedAt: 100, tokenDigest: [UInt8](repeating: 7, count: 32))
  return writer.bytes
}

@Test func `a person's claims are kept as a policy test would write them`() {
  let payload = #"""
    {"iat":100,"exp":9e9,"email":"l\u00e9a@acme.com","sub":"s\"1","country":"CH","identity_nonce":"n",
     "groups":["a","b\n",1.50,true,null,{"x":1},["y"]],"deep":{"er":{"est":"x"}},"n":-1e2,"yes":true,"no":false,
     "nothing":null,"object":{},"mixed":[],"odd":"\ud83d\ude00"}
    """#
  var identity = CaseIdentity(
    email: "l\u{e9}a@acme.com", subject: "s\"1", country: "CH", nonce: "n")
  identity.claims = [
    .init(
      "groups",
      .list([
        .text("a"), .text("b\n"), .number("1.50"), .boolean(true), .null, .object([.init("x", .number("1"))]),
        .list([.text("y")]),
      ])),
    .init("deep", .object([.init("er", .object([.init("est", .text("x"))]))])), .init("n", .number("-1e2")),
    .init("yes", .boolean(true)), .init("no", .boolean(false)), .init("nothing", .null), .init("object", .object([])),
    .init("mixed", .list([])), .init("odd", .text("\u{1F600}")),
  ]
  #expect(record(payload) == expected(identity))
}

@Test func `a claim is looked for at the top, then under custom`() {
  let payload =
    #"{"iat":100,"exp":9e9,"email":"a@b.c","groups":"top","custom":{"groups":["no"],"n":5,"deep":{"er":{"est":1}}}}"#
  let identity = CaseIdentity(
    email: "a@b.c",
    claims: [
      .init("groups", .text("top")), .init("n", .number("5")),
      .init("deep", .object([.init("er", .object([.init("est", .number("1"))]))])),
    ])
  #expect(record(payload) == expected(identity))
}

@Test func `a machine's record is no person's, and a country that is no text is none`() {
  let payload = #"{"iat":100,"exp":9e9,"common_name":"robot","sub":"","country":5}"#
  let identity = CaseIdentity(commonName: "robot", subject: "", claims: [.init("country", .number("5"))])
  #expect(record(payload) == expected(identity))
}

@Test(arguments: [
  #"{"iat":100,"exp":9e9}"#, #"{"iat":100,"exp":9e9,"email":"nobody"}"#, #"{"iat":100,"email":7}"#, "[]", "{",
])
func `a token that names nobody, or is none, has no record`(_ payload: String) {
  #expect(record(payload) == nil)
}
