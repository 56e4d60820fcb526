// Which keys are usable, and what is said of the others.

import DevIssuer
import Testing
import Token

@testable import Verification

/// A JWK in pieces, so that a test can change one.
private struct JWK: Sendable {
  var members: [(String, String)]

  static func of(_ algorithm: SigningAlgorithm) -> JWK {
    let text = try! Fixture.signers[algorithm]!.jwk()
    let members = text.dropFirst().dropLast().split(separator: ",").map { member in
      let parts = member.split(separator: ":", maxSplits: 1)
      return (String(parts[0].dropFirst().dropLast()), String(parts[1]))
    }
    return JWK(members: members)
  }

  func setting(_ name: String, _ value: String?) -> JWK {
    var changed = members.filter { $0.0 != name }
    if let value { changed.append((name, value)) }
    return JWK(members: changed)
  }

  subscript(_ name: String) -> String { members.first { $0.0 == name }?.1 ?? "" }
  var text: String { "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}" }
}

/// So many bytes of an odd number.
private func odd(_ count: Int) -> [UInt8] { [UInt8](repeating: 0xc5, count: count) }

private struct Refused: Sendable, CustomTestStringConvertible {
  let what: String
  let jwk: String
  let refusal: KeyRefusal
  var issuer = Fixture.other
  var algorithms = Fixture.allAlgorithms
  var testDescription: String { what }
}

private func base64URL(_ bytes: [UInt8]) -> String { "\"\(Base64URLEncoding.encode(bytes))\"" }

/// An odd modulus of so many bits that has no small factors in common with anything that matters here.
private func modulus(bits: Int, odd: Bool = true) -> String {
  var bytes = [UInt8](repeating: 0xc5, count: (bits + 7) / 8)
  bytes[0] = UInt8(truncatingIfNeeded: (1 << ((bits - 1) % 8)))
  bytes[bytes.count - 1] = odd ? 0x0b : 0x0a
  return base64URL(bytes)
}

private let refusals: [Refused] = {
  let rsa = JWK.of(.rs256)
  let ec = JWK.of(.es256)
  let ed = JWK.of(.ed25519)
  // A modulus of 2049 bits from a flawed card: Wycheproof's json_web_key_test, tcId 7.
  let roca =
    "\"AanFpofbj7KjD4Lf-N2hVMKR7yewSyXhhbirIMTGpfYEhZ_lnt5UoK98DnKIgArXGTu3MaW_HhFw16HGaTDUHqPrId7fe4r11CqRw09yBFuW79V8sYIwHdzCaWflUI6auImYbVfoN9_nD5n8N8SY9DwXw7mwZM9wREPXoDPgOoIWl6q_MPsp7n0zs3Z5ZaiQWOOzl1S9OhwAfSiiOwz6efnXEaxuTEtPd7BjSx7NaFka8Dx9U7YqXy2RFj1O9PjyaDGuRh7YXsX3iMUSP_wSyHQg_c_qHRtKUsNSGCT7OZg0hzm2KphtjnayKJvC64vAbROBR4Ubg6Bxg9IQVZ-QYyE\""
  var table: [Refused] = [
    Refused(what: "a string", jwk: "\"key\"", refusal: .notAnObject),
    Refused(what: "null", jwk: "null", refusal: .notAnObject),
    Refused(what: "oct", jwk: "{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AAAA\"}", refusal: .symmetric),
    Refused(what: "oct without k", jwk: "{\"kty\":\"oct\",\"kid\":\"a\"}", refusal: .symmetric),
    Refused(what: "oct spelled with an escape", jwk: "{\"kty\":\"\\u006fct\",\"kid\":\"a\"}", refusal: .symmetric),
    Refused(what: "kid a number", jwk: rsa.setting("kid", "7").text, refusal: .kid),
    Refused(what: "kid empty", jwk: rsa.setting("kid", "\"\"").text, refusal: .kid),
    Refused(
      what: "kid of 257 bytes", jwk: rsa.setting("kid", "\"\(String(repeating: "k", count: 257))\"").text,
      refusal: .kid),
    Refused(what: "no kty", jwk: rsa.setting("kty", nil).text, refusal: .keyType),
    Refused(what: "kty rsa", jwk: rsa.setting("kty", "\"rsa\"").text, refusal: .keyType),
    Refused(what: "use enc", jwk: rsa.setting("use", "\"enc\"").text, refusal: .use),
    Refused(what: "key_ops encrypt", jwk: rsa.setting("key_ops", "[\"encrypt\"]").text, refusal: .keyOperations),
    Refused(what: "key_ops empty", jwk: rsa.setting("key_ops", "[]").text, refusal: .keyOperations),
    Refused(what: "key_ops a string", jwk: rsa.setting("key_ops", "\"verify\"").text, refusal: .keyOperations),
    Refused(what: "key_ops mixed", jwk: rsa.setting("key_ops", "[\"verify\",1]").text, refusal: .keyOperations),
    Refused(what: "alg HS256 on RSA", jwk: rsa.setting("alg", "\"HS256\"").text, refusal: .algorithmUnknown),
    Refused(what: "alg none", jwk: rsa.setting("alg", "\"none\"").text, refusal: .algorithmUnknown),
    Refused(what: "alg rs256", jwk: rsa.setting("alg", "\"rs256\"").text, refusal: .algorithmUnknown),
    Refused(what: "kty null", jwk: rsa.setting("kty", "null").text, refusal: .keyType),
    Refused(what: "n null", jwk: rsa.setting("n", "null").text, refusal: .modulus),
    Refused(what: "alg ES256 on RSA", jwk: rsa.setting("alg", "\"ES256\"").text, refusal: .algorithmMisfit),
    Refused(what: "alg RS256 on EC", jwk: ec.setting("alg", "\"RS256\"").text, refusal: .algorithmMisfit),
    Refused(what: "alg ES384 on P-256", jwk: ec.setting("alg", "\"ES384\"").text, refusal: .algorithmMisfit),
    Refused(what: "alg EdDSA on P-256", jwk: ec.setting("alg", "\"EdDSA\"").text, refusal: .algorithmMisfit),
    Refused(
      what: "alg RS512 where the issuer has RS256", jwk: rsa.setting("alg", "\"RS512\"").text,
      refusal: .algorithmNotIssuers, algorithms: .rs256),
    Refused(what: "ES256 where the issuer has RS256", jwk: ec.text, refusal: .algorithmNotIssuers, algorithms: .rs256),
    Refused(
      what: "no alg and none that fits", jwk: rsa.setting("alg", nil).text, refusal: .algorithmUndetermined,
      algorithms: .es256),
    Refused(what: "no n", jwk: rsa.setting("n", nil).text, refusal: .modulus),
    Refused(what: "n empty", jwk: rsa.setting("n", "\"\"").text, refusal: .modulus),
    Refused(what: "n with padding", jwk: rsa.setting("n", "\"AQAB==\"").text, refusal: .modulus),
    Refused(
      what: "n with two leading zeros", jwk: rsa.setting("n", base64URL([0, 0] + odd(256))).text, refusal: .modulus),
    Refused(
      what: "n of 2047 bits behind a zero", jwk: rsa.setting("n", base64URL([0, 0x45] + odd(255))).text,
      refusal: .modulusSize),
    Refused(what: "n of zero", jwk: rsa.setting("n", base64URL([0])).text, refusal: .modulus),
    Refused(what: "n even", jwk: rsa.setting("n", modulus(bits: 2048, odd: false)).text, refusal: .modulus),
    Refused(what: "n of 1024 bits", jwk: rsa.setting("n", modulus(bits: 1024)).text, refusal: .modulusSize),
    Refused(what: "n of 2047 bits", jwk: rsa.setting("n", modulus(bits: 2047)).text, refusal: .modulusSize),
    Refused(what: "n of 8193 bits", jwk: rsa.setting("n", modulus(bits: 8193)).text, refusal: .modulusSize),
    Refused(what: "n of 16384 bits", jwk: rsa.setting("n", modulus(bits: 16384)).text, refusal: .modulus),
    Refused(what: "n from a ROCA card", jwk: rsa.setting("n", roca).text, refusal: .modulusWeak),
    Refused(what: "no e", jwk: rsa.setting("e", nil).text, refusal: .exponent),
    Refused(what: "e = 1", jwk: rsa.setting("e", base64URL([1])).text, refusal: .exponent),
    Refused(what: "e = 2", jwk: rsa.setting("e", base64URL([2])).text, refusal: .exponent),
    Refused(what: "e = 65536", jwk: rsa.setting("e", base64URL([1, 0, 0])).text, refusal: .exponent),
    Refused(what: "e = 65539", jwk: rsa.setting("e", base64URL([1, 0, 3])).text, refusal: .exponent),
    Refused(what: "e with two leading zeros", jwk: rsa.setting("e", base64URL([0, 0, 3])).text, refusal: .exponent),
    Refused(what: "e = 1 behind a zero", jwk: rsa.setting("e", base64URL([0, 1])).text, refusal: .exponent),
    Refused(what: "e = 0", jwk: rsa.setting("e", base64URL([0])).text, refusal: .exponent),
    Refused(
      what: "e = 3 behind a zero at Cloudflare", jwk: rsa.setting("e", base64URL([0, 3])).text, refusal: .exponent,
      issuer: Fixture.cloudflare),
    Refused(
      what: "e = 3 at Cloudflare, with a slash", jwk: rsa.setting("e", base64URL([3])).text, refusal: .exponent,
      issuer: Fixture.cloudflare + "/"),
    Refused(
      what: "e = 3 at Cloudflare", jwk: rsa.setting("e", base64URL([3])).text, refusal: .exponent,
      issuer: Fixture.cloudflare),
    Refused(what: "no crv", jwk: ec.setting("crv", nil).text, refusal: .curve),
    Refused(what: "crv secp256k1", jwk: ec.setting("crv", "\"secp256k1\"").text, refusal: .curve),
    Refused(what: "crv Ed25519 on EC", jwk: ec.setting("crv", "\"Ed25519\"").text, refusal: .curve),
    Refused(what: "crv X25519", jwk: ed.setting("crv", "\"X25519\"").text, refusal: .curve),
    Refused(what: "no x", jwk: ec.setting("x", nil).text, refusal: .point),
    Refused(what: "no y", jwk: ec.setting("y", nil).text, refusal: .point),
    Refused(
      what: "x of 31 bytes", jwk: ec.setting("x", base64URL([UInt8](repeating: 1, count: 31))).text, refusal: .point),
    Refused(
      what: "x of 33 bytes", jwk: ec.setting("x", base64URL([UInt8](repeating: 0, count: 33))).text, refusal: .point),
    Refused(what: "a point off the curve", jwk: ec.setting("y", ec["x"]).text, refusal: .point),
    Refused(
      what: "the point at zero",
      jwk: ec.setting("x", base64URL([UInt8](repeating: 0, count: 32))).setting(
        "y", base64URL([UInt8](repeating: 0, count: 32))
      ).text, refusal: .point),
    Refused(
      what: "Ed25519 of 31 bytes", jwk: ed.setting("x", base64URL([UInt8](repeating: 1, count: 31))).text,
      refusal: .point),
    Refused(
      what: "Ed25519 of 33 bytes", jwk: ed.setting("x", base64URL([UInt8](repeating: 1, count: 33))).text,
      refusal: .point),
  ]
  for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
    table.append(Refused(what: "private \(name)", jwk: rsa.setting(name, "\"AQ\"").text, refusal: .privatePart))
  }
  return table
}()

@Suite struct JWKSetTests {
  @Test(arguments: refusals)
  fileprivate func `an unusable key is skipped with its reason, and spoils no good one`(_ refused: Refused) throws {
    let good = try SigningKey.generate(.es256)
    let algorithms = refused.algorithms.union(.es256)
    // Alone: the set fails, and says why.
    #expect(throws: JWKSetError.self) {
      try Fixture.read("{\"keys\":[\(refused.jwk)]}", issuer: refused.issuer, algorithms: refused.algorithms)
    }
    if refused.jwk.contains("\"ES256\"") && refused.refusal == .algorithmNotIssuers { return }
    // Undetermined keys are RSA, so one more algorithm of EC changes nothing for them.
    let set = try Fixture.read(
      "{\"keys\":[\(refused.jwk),\(good.jwk())]}", issuer: refused.issuer, algorithms: algorithms)
    #expect(set.keys.map(\.kid) == [Array(good.kid.utf8)])
    #expect(set.skipped.map(\.refusal) == [refused.refusal])
    #expect(set.skipped.first?.position == 0)
    #expect(set.isAlarming == [.symmetric, .privatePart].contains(refused.refusal))
  }

  @Test(arguments: SigningAlgorithm.allCases)
  func `a key of each algorithm is usable`(_ algorithm: SigningAlgorithm) throws {
    let signer = try #require(Fixture.signers[algorithm])
    let set = try Fixture.keySet(of: [signer])
    let key = try #require(set.key(named: Array(signer.kid.utf8)))
    #expect(key.algorithm.name.description == algorithm.name)
    #expect(key.signatureLength == key.algorithm.signatureLength ?? 256)
    #expect(set.count == 1)
  }

  @Test(arguments: [nil, "[\"verify\"]", "[\"sign\",\"verify\"]"])
  func `use and key_ops may be absent, and key_ops may hold more`(_ operations: String?) throws {
    let jwk = JWK.of(.rs256).setting("use", nil).setting("key_ops", operations)
    #expect(try Fixture.read("{\"keys\":[\(jwk.text)]}").keys.count == 1)
  }

  @Test func `a key without alg takes the first of the issuer's algorithms that fits`() throws {
    let plain = Array("{\"keys\":[\(JWK.of(.rs256).setting("alg", nil).text)]}".utf8)
    func algorithms(_ order: [Algorithm]) throws(JWKSetError) -> [Algorithm] {
      try JWKSet.read(plain.span, issuer: Array(Fixture.other.utf8), preferring: order).keys.map(\.algorithm)
    }
    #expect(try algorithms([.es256, .ps256, .rs256]) == [.ps256])
    #expect(try algorithms([.rs256, .ps256]) == [.rs256])
    let jwk = JWK.of(.rs256).setting("alg", nil).text
    #expect(try Fixture.read("{\"keys\":[\(jwk)]}", algorithms: [.ps384, .es256]).keys[0].algorithm == .ps384)
    let edwards = JWK.of(.ed25519).setting("alg", nil).text
    #expect(
      try Fixture.read("{\"keys\":[\(edwards)]}", algorithms: Fixture.allAlgorithms).keys[0].algorithm == .ed25519)
  }

  @Test func `an exponent of 3 is fine where the issuer is not Cloudflare's`() throws {
    let jwk = JWK.of(.rs256).setting("e", base64URL([3])).text
    #expect(try Fixture.read("{\"keys\":[\(jwk)]}", issuer: Fixture.other).keys.count == 1)
    #expect(throws: JWKSetError.self) { try Fixture.read("{\"keys\":[\(jwk)]}", issuer: Fixture.cloudflare) }
  }

  @Test(arguments: [2048, 2049, 4096, 8192])
  func `moduli of 2048 to 8192 bits are taken with their exact size`(_ bits: Int) throws {
    let jwk = JWK.of(.rs256).setting("n", modulus(bits: bits)).text
    let key = try Fixture.read("{\"keys\":[\(jwk)]}").keys[0]
    #expect(key.bits == bits)
    #expect(key.signatureLength == (bits + 7) / 8)
  }

  @Test func `the set in Cloudflare's shape is read, certificates left aside`() throws {
    let team = try StandInIssuer(issuer: Fixture.cloudflare)
    try team.rotate()
    let text = String(decoding: try team.keySet(), as: UTF8.self)
    #expect(
      text.hasPrefix(
        "{\"keys\":[{\"kid\":\"\(team.current.kid)\",\"kty\":\"RSA\",\"alg\":\"RS256\",\"use\":\"sig\",\"e\":\"AQAB\",\"n\":\""
      ))
    #expect(text.contains("\"public_cert\":{\"kid\":"))
    let set = try Fixture.read(text)
    #expect(set.keys.map { String(decoding: $0.kid, as: UTF8.self) } == team.keys.map(\.kid))
    #expect(set.skipped.isEmpty)
  }

  @Test(arguments: ["use", "key_ops", "alg", "kid", "d", "p", "k", "x5c", "crv"])
  func `a member that is null is as one that is not there`(_ name: String) throws {
    let jwk = JWK.of(.rs256).setting(name, "null").text
    let set = try Fixture.read("{\"keys\":[\(jwk)]}")
    #expect(set.keys.map(\.algorithm) == [.rs256])
  }

  @Test func `one zero byte before n and e is the sign of an encoder of signed numbers`() throws {
    let jwk = JWK.of(.rs256)
    let modulus = [0x85] + odd(255)
    func key(_ zero: [UInt8]) throws -> VerificationKey {
      let changed = jwk.setting("n", base64URL(zero + modulus)).setting("e", base64URL(zero + [1, 0, 1]))
      return try Fixture.read("{\"keys\":[\(changed.text)]}").keys[0]
    }
    #expect(try key([0]).isSame(as: key([])))
    #expect(try key([0]).bits == 2048)
  }

  // MARK: - Keys without a name

  @Test func `a key without kid is usable where no other is, and then every kid means it`() throws {
    let nameless = JWK.of(.rs256).setting("kid", nil).text
    let bad = JWK.of(.rs512).setting("e", base64URL([1])).text
    let set = KeySet(try Fixture.read("{\"keys\":[\(bad),\(nameless),\(nameless)]}"), generation: 1)
    #expect(set.keys.map(\.kid) == [[]])
    for kid in ["", "any"] { #expect(set.key(named: Array(kid.utf8)) != nil) }
    let named = JWK.of(.rs384).setting("alg", "\"RS256\"")
    let beside = try Fixture.read("{\"keys\":[\(nameless),\(named.text)]}")
    #expect(beside.keys.map { "\"\(String(decoding: $0.kid, as: UTF8.self))\"" } == [named["kid"]])
    #expect(beside.skipped.map(\.refusal) == [.kid])
    let other = JWK.of(.rs384).setting("alg", "\"RS256\"").setting("kid", nil).text
    #expect(throws: JWKSetError.self) { try Fixture.read("{\"keys\":[\(nameless),\(other)]}") }
  }

  @Test func `a token without kid is by the only key for its alg, or by none`() throws {
    let signers = try [SigningAlgorithm.rs256, .es256, .ed25519].map { try #require(Fixture.signers[$0]) }
    let set = try Fixture.keySet(of: signers)
    #expect(set.index(ofOnlyKeyFor: .rs256) == 0)
    #expect(set.index(ofOnlyKeyFor: [.ed25519, .ed448]) == 2)
    #expect(set.index(ofOnlyKeyFor: .rs512) == nil)
    #expect(set.index(ofOnlyKeyFor: []) == nil)
    #expect(set.index(ofOnlyKeyFor: [.rs256, .es256]) == nil)
  }

  // MARK: - Words

  @Test func `a set without a usable key says of each key why`() throws {
    let enc = JWK.of(.rs256).setting("use", "\"enc\"").setting("kid", "\"a\\u001b[\"").text
    let small = JWK.of(.rs256).setting("n", modulus(bits: 1024)).setting("kid", nil).text
    let text = "{\"keys\":[\(enc),\(small),\(enc)]}"
    var words = ""
    do throws(JWKSetError) { _ = try Fixture.read(text) } catch { words = error.description }
    #expect(
      words
        == "No key of the key set is usable. key 1 (a?[), key 3 (a?[): use is not sig. "
        + "key 2: The RSA modulus has fewer than 2048 or more than 8192 bits.")
    #expect(JWKSetError.noUsableKey([]).description == "No key of the key set is usable. It is empty.")
    #expect(JWKSetError.malformed.description == "\(JWKSetError.malformed.explanation)")
  }

  // MARK: - Duplicates

  @Test func `the same kid with the same key is one key, however it is written`() throws {
    let jwk = JWK.of(.rs256)
    let escaped = jwk.setting("kid", jwk["kid"].replacing("a", with: "\\u0061")).setting("use", nil)
    let set = try Fixture.read("{\"keys\":[\(jwk.text),\(escaped.text),\(jwk.text)]}")
    #expect(set.keys.count == 1)
    #expect(set.skipped.isEmpty)
  }

  @Test func `the same kid with different keys is none of them`() throws {
    let first = JWK.of(.rs256).setting("kid", "\"same\"")
    let second = JWK.of(.rs384).setting("kid", "\"same\"").setting("alg", "\"RS256\"")
    let third = JWK.of(.rs512).setting("alg", "\"RS256\"")
    let set = try Fixture.read("{\"keys\":[\(first.text),\(third.text),\(second.text),\(first.text)]}")
    #expect(set.keys.count == 1)
    #expect(set.keys[0].kid != Array("same".utf8))
    #expect(set.skipped.map(\.refusal) == [.duplicate, .duplicate, .duplicate])
    #expect(set.skipped.map(\.position) == [0, 2, 3])
  }

  @Test func `the same kid and material under two algorithms is none of them`() throws {
    let first = JWK.of(.rs256)
    let second = first.setting("alg", "\"PS256\"")
    #expect(
      throws: JWKSetError.noUsableKey([
        SkippedKey(position: 0, kid: Array(first["kid"].dropFirst().dropLast().utf8), refusal: .duplicate),
        SkippedKey(position: 1, kid: Array(first["kid"].dropFirst().dropLast().utf8), refusal: .duplicate),
      ])
    ) { try Fixture.read("{\"keys\":[\(first.text),\(second.text)]}", algorithms: [.rs256, .ps256]) }
  }

  @Test func `a bad key is skipped before duplicates are judged`() throws {
    let good = JWK.of(.rs256)
    let bad = good.setting("e", base64URL([1]))
    let set = try Fixture.read("{\"keys\":[\(bad.text),\(good.text)]}")
    #expect(set.keys.count == 1)
    #expect(set.skipped.map(\.refusal) == [.exponent])
  }

  // MARK: - Whole sets

  @Test(arguments: [
    ("", JWKSetError.malformed), ("<html>", .malformed), ("[]", .malformed), ("null", .malformed),
    ("{\"keys\":[]", .malformed), ("{\"keys\":[]}}", .malformed), ("{\"keys\":[],\"keys\":[]}", .malformed),
    ("{}", .noKeys), ("{\"keys\":{}}", .noKeys), ("{\"keys\":null}", .noKeys), ("{\"Keys\":[]}", .noKeys),
    ("{\"keys\":[]}", .noUsableKey([])),
  ])
  func `what is no key set fails as a whole`(_ text: String, _ error: JWKSetError) {
    #expect(throws: error) { try Fixture.read(text) }
  }

  @Test func `64 keys are read and 65 are not`() throws {
    let jwk = JWK.of(.rs256).text
    let many = Array(repeating: jwk, count: 64).joined(separator: ",")
    #expect(try Fixture.read("{\"keys\":[\(many)]}").keys.count == 1)
    #expect(throws: JWKSetError.tooManyKeys) { try Fixture.read("{\"keys\":[\(many),{}]}") }
  }

  @Test func `256 KiB are read and a byte more is not`() throws {
    let jwk = JWK.of(.rs256).text
    let head = "{\"keys\":[\(jwk)]}"
    let padding = String(repeating: " ", count: JWKSet.maximumBytes - head.utf8.count)
    #expect(try Fixture.read(head + padding).keys.count == 1)
    #expect(throws: JWKSetError.tooLarge) { try Fixture.read(head + padding + " ") }
  }

  @Test func `a text of the most nodes is read to its end`() {
    // 131,000 nodes of one digit: the tape must hold them all before the set is found to have no keys.
    let digits = Array(repeating: "1", count: 131_000).joined(separator: ",")
    #expect(throws: JWKSetError.noKeys) { try Fixture.read("{\"a\":[\(digits)]}") }
  }

  // MARK: - Lookup

  @Test func `a key is found by the exact bytes of its kid`() throws {
    let jwk = JWK.of(.rs256).setting("kid", "\"k\\u0000\\u00e9y\"").text
    let set = KeySet(try Fixture.read("{\"keys\":[\(jwk)]}"), generation: 7)
    #expect(set.generation == 7)
    #expect(set.key(named: [0x6b, 0, 0xc3, 0xa9, 0x79]) != nil)
    for wrong: [UInt8] in [
      [], [0x6b], [0x6b, 0, 0xc3, 0xa9], [0x6b, 0, 0xc3, 0xa9, 0x79, 0], [0x4b, 0, 0xc3, 0xa9, 0x79],
    ] {
      #expect(set.key(named: wrong) == nil)
    }
  }
}
