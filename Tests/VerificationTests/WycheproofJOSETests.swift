// Wycheproof's JWS and JWK files, whose payloads are no claims: form, header, key and signature are judged by the
// gateway's own code, the claims are left out.

import Foundation
import DevIssuer
import Testing
import Token

@testable import Verification

@Suite struct WycheproofJOSETests {
  /// Whether a JWS is good under a key set, claims aside: the header and the signature are read by the token reader from
  /// a token with an empty object as its payload, the payload's encoding is read strictly, the signature is verified
  /// over what came.
  private func isGood(
    _ jws: [UInt8], _ keys: KeySet, _ reader: inout TokenReader, _ verifier: inout SignatureVerifier
  ) -> Bool {
    let parts = jws.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 3 else { return false }
    let stand = Array(parts[0]) + Array(".e30.".utf8) + Array(parts[2])
    if reader.read(stand.span) != nil || reader.checkHeader(Self.rules) != nil { return false }
    let payload = Array(parts[1])
    var decoded = [UInt8](repeating: 0, count: payload.count)
    var buffer = decoded.mutableSpan
    if Base64URL.decode(payload.span, in: 0..<payload.count, to: &buffer) == nil { return false }
    let named = reader.hasKeyIdentifier ? reader.withKeyIdentifier { keys.index(of: $0) } : nil
    let place = reader.hasKeyIdentifier ? named : keys.index(ofOnlyKeyFor: reader.algorithms)
    guard let place else { return false }
    let key = keys.keys[place]
    guard reader.algorithms.contains(key.algorithm) else { return false }
    let input = Array(jws[..<(parts[0].count + 1 + parts[1].count)])
    return reader.withSignature { signature in
      verifier.verify(signingInput: input.span, signature: signature, key: key)
    }
  }

  private static let rules = Expectations(issuer: Array(Fixture.other.utf8), algorithms: Fixture.allAlgorithms)

  private func keySet(_ object: Any?) throws -> KeySet? {
    guard let object else { return nil }
    let keys = (object as? [String: Any])?["keys"] as? [Any] ?? [object]
    let data = try JSONSerialization.data(withJSONObject: ["keys": keys])
    let set = try? JWKSet.read(
      Array(data).span, issuer: Array(Fixture.other.utf8), algorithms: Fixture.allAlgorithms)
    return set.map { KeySet($0, generation: 1) }
  }

  /// What each tcId of a file must get, by the list beside the vectors.
  private func expectations(_ folder: URL) throws -> [String: Bool] {
    let data = try Data(contentsOf: folder.appending(path: "expected-under-our-policy.json"))
    var expected: [String: Bool] = [:]
    for entry in try JSONSerialization.jsonObject(with: data) as? [[String: Any]] ?? [] {
      let file = entry["file"] as? String ?? "json_web_signature_test"
      expected["\(file) \(entry["tcId"] ?? "")"] = entry["expected_here"] as? String == "valid"
    }
    return expected
  }

  /// RFC 7520's figure 20 says PS384 under a key that says PS256. The list accepts it; SPEC.md refuses, because a key has
  /// one algorithm, and it has the last word.
  private static let refusedBySpecification: Set = ["json_web_signature_test 346", "json_web_signature_test 350"]

  @Test(arguments: [("json_web_signature_test", 401, 32), ("json_web_key_test", 26, 1)])
  func `each JWS gets the verdict of our policy`(_ name: String, _ vectors: Int, _ accepted: Int) throws {
    guard let folder = Wycheproof.folder() else { return }
    let expected = try expectations(folder)
    var reader = TokenReader()
    var verifier = try Fixture.verifier()
    var (seen, good) = (0, 0)
    for group in try Wycheproof.file(name, in: folder).groups {
      // Groups of symmetric keys have no public half: what they have is offered as it is, and must not be taken.
      let keys = try keySet(group.fields["public"] ?? group.fields["private"])
      for test in group.tests {
        let identifier = "\(name) \(test["tcId"] ?? "")"
        // Vectors that are not a string are in JSON serialization.
        let jws = Array((test["jws"] as? String ?? "{").utf8)
        let verdict = if let keys { isGood(jws, keys, &reader, &verifier) } else { false }
        let wanted = try #require(expected[identifier] as Bool?) && !Self.refusedBySpecification.contains(identifier)
        #expect(verdict == wanted, "\(identifier): \(test["comment"] ?? "")")
        seen += 1
        good += verdict ? 1 : 0
      }
    }
    print("\(name): \(seen) vectors, \(good) accepted")
    #expect(seen == vectors)
    #expect(good == accepted)
  }

  @Test func `the mutations of base64 that Wycheproof makes with HS256 are refused with RS256`() throws {
    let team = Fixture.team
    let keys = try Fixture.keySet(of: team)
    var reader = TokenReader()
    var verifier = try Fixture.verifier()
    // 12 bytes of payload leave no bits over, 13 leave four, 14 leave two.
    for payload in ["{\"a\":\"bcdef\"", "{\"a\":\"bcdefg\"", "{\"a\":\"bcdefgh\""] {
      let token = try team.sign(claims: payload)
      let parts = token.split(separator: UInt8(ascii: ".")).map(Array.init)
      let untouched = isGood(token, keys, &reader, &verifier)
      #expect(untouched)
      for part in 0..<3 {
        for mutation in mutations(of: parts[part]) {
          var changed = parts
          changed[part] = mutation
          let whole = Array(changed.joined(separator: ".".utf8))
          let good = isGood(whole, keys, &reader, &verifier)
          #expect(!good, "\(String(decoding: mutation.suffix(12), as: UTF8.self))")
        }
      }
    }
  }

  /// Spellings that lenient decoders take for the same bytes (tcId 357 to 377).
  private func mutations(of text: [UInt8]) -> [[UInt8]] {
    let middle = text.count / 2
    var all: [[UInt8]] = []
    for insert in ["=", "==", "\n", "\r\n", " ", "\t", "\0", "?", "!", "%3D", "\u{e9}", "."] {
      let bytes = Array(insert.utf8)
      all += [text + bytes, bytes + text, text[..<middle] + bytes + text[middle...]].map(Array.init)
    }
    // The other alphabet, a character less, and other bits behind the last byte.
    for (from, to) in [("-", "+"), ("_", "/")] {
      let changed = text.map { $0 == from.utf8.first! ? to.utf8.first! : $0 }
      if changed != text { all.append(changed) }
    }
    all.append(text.dropLast())
    if text.count % 4 != 0 { all.append(text.dropLast() + [text.last! + 1]) }
    return all
  }
}
