// The stand-in issuer: what it writes is what Cloudflare's tokens and sets look like.

import Foundation
import DevIssuer
import Testing
import Token

@testable import Verification

@Suite struct IssuerTests {
  private func object(_ token: [UInt8], _ part: Int) throws -> [String: Any] {
    let text = String(decoding: token.split(separator: UInt8(ascii: "."))[part], as: UTF8.self)
    var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
    while base64.utf8.count % 4 != 0 { base64 += "=" }
    let data = try #require(Data(base64Encoded: base64))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  @Test func `a user's token has the claims that Access writes`() throws {
    let token = try Fixture.team.userToken(
      audience: ["one", "two"], email: "j\"an\\e\n@example.com", now: Fixture.now, lifetime: 60)
    let header = try object(token, 0)
    #expect(Set(header.keys) == ["alg", "kid", "typ"])
    #expect(header["alg"] as? String == "RS256")
    #expect((header["kid"] as? String)?.count == 64)
    let claims = try object(token, 1)
    #expect(
      Set(claims.keys) == [
        "aud", "email", "exp", "iat", "nbf", "iss", "type", "identity_nonce", "sub", "country",
      ])
    #expect(claims["aud"] as? [String] == ["one", "two"])
    #expect(claims["email"] as? String == "j\"an\\e\n@example.com")
    #expect(claims["exp"] as? Int == Fixture.now + 60)
    #expect(claims["type"] as? String == "app")
    #expect(UUID(uuidString: claims["sub"] as? String ?? "") != nil)
  }

  @Test func `a service's token has a common name, an empty sub and no email`() throws {
    let token = try Fixture.team.serviceToken(audience: ["one"], commonName: "id.access", now: Fixture.now)
    let claims = try object(token, 1)
    #expect(Set(claims.keys) == ["type", "aud", "exp", "iss", "common_name", "iat", "sub"])
    #expect(claims["sub"] as? String == "")
  }

  @Test func `base64url is that of RFC 4648 without padding`() {
    for (text, expected) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
      #expect(Base64URLEncoding.encode(text.utf8) == expected)
    }
    #expect(Base64URLEncoding.encode([0xfb, 0xff]) == "-_8")
  }
}
