// All of Wycheproof's signature vectors that fit our algorithms, through key loading and one verifier.

import Testing
import Token

@testable import Verification

/// A file, the algorithm it is run under, and how many of its vectors must be accepted; the rest must be refused.
private struct Run: Sendable, CustomTestStringConvertible {
  let file: String
  let alg: String
  let vectors: Int
  let accepted: Int
  var testDescription: String { "\(file) as \(alg)" }
}

/// The counts are checked in, so that a file that changes or a vector that is left out shows. `acceptable` is refused.
/// Files of DER signatures, of other salts and of MGF1 with another hash must be refused wholly, but for one:
/// tcId 69 of the file with no salt has a salt of 32 bytes, which makes it a good PS256. `rsa_pss_misc` holds each of
/// three algorithms once.
private let runs: [Run] = [
  Run(file: "rsa_signature_2048_sha256_test", alg: "RS256", vectors: 259, accepted: 9),
  Run(file: "rsa_signature_2048_sha384_test", alg: "RS384", vectors: 258, accepted: 7),
  Run(file: "rsa_signature_2048_sha512_test", alg: "RS512", vectors: 259, accepted: 8),
  Run(file: "rsa_signature_3072_sha256_test", alg: "RS256", vectors: 259, accepted: 8),
  Run(file: "rsa_signature_3072_sha384_test", alg: "RS384", vectors: 259, accepted: 7),
  Run(file: "rsa_signature_3072_sha512_test", alg: "RS512", vectors: 260, accepted: 8),
  Run(file: "rsa_signature_4096_sha256_test", alg: "RS256", vectors: 258, accepted: 7),
  Run(file: "rsa_signature_4096_sha384_test", alg: "RS384", vectors: 259, accepted: 7),
  Run(file: "rsa_signature_4096_sha512_test", alg: "RS512", vectors: 259, accepted: 7),
  Run(file: "rsa_signature_8192_sha256_test", alg: "RS256", vectors: 258, accepted: 7),
  Run(file: "rsa_pss_2048_sha256_mgf1_32_test", alg: "PS256", vectors: 108, accepted: 63),
  Run(file: "rsa_pss_3072_sha256_mgf1_32_test", alg: "PS256", vectors: 108, accepted: 63),
  Run(file: "rsa_pss_4096_sha256_mgf1_32_test", alg: "PS256", vectors: 108, accepted: 63),
  Run(file: "rsa_pss_2048_sha384_mgf1_48_test", alg: "PS384", vectors: 141, accepted: 95),
  Run(file: "rsa_pss_4096_sha384_mgf1_48_test", alg: "PS384", vectors: 141, accepted: 95),
  Run(file: "rsa_pss_4096_sha512_mgf1_64_test", alg: "PS512", vectors: 179, accepted: 132),
  Run(file: "rsa_pss_2048_sha256_mgf1_0_test", alg: "PS256", vectors: 103, accepted: 1),
  Run(file: "rsa_pss_2048_sha256_mgf1sha1_20_test", alg: "PS256", vectors: 108, accepted: 0),
  Run(file: "rsa_pss_4096_sha512_mgf1_32_test", alg: "PS512", vectors: 177, accepted: 0),
  Run(file: "rsa_pss_misc_test", alg: "PS256", vectors: 150, accepted: 1),
  Run(file: "rsa_pss_misc_test", alg: "PS384", vectors: 150, accepted: 1),
  Run(file: "rsa_pss_misc_test", alg: "PS512", vectors: 150, accepted: 1),
  Run(file: "ecdsa_secp256r1_sha256_p1363_test", alg: "ES256", vectors: 262, accepted: 173),
  Run(file: "ecdsa_secp384r1_sha384_p1363_test", alg: "ES384", vectors: 280, accepted: 193),
  Run(file: "ecdsa_secp521r1_sha512_p1363_test", alg: "ES512", vectors: 318, accepted: 231),
  Run(file: "ecdsa_secp256r1_sha256_test", alg: "ES256", vectors: 484, accepted: 0),
  Run(file: "ecdsa_secp384r1_sha384_test", alg: "ES384", vectors: 504, accepted: 0),
  Run(file: "ecdsa_secp521r1_sha512_test", alg: "ES512", vectors: 542, accepted: 0),
  Run(file: "ed25519_test", alg: "EdDSA", vectors: 151, accepted: 88),
  Run(file: "ed448_test", alg: "EdDSA", vectors: 87, accepted: 17),
]

@Suite struct WycheproofSignatureTests {
  @Test func `the files are 28 and hold 6539 vectors`() {
    var seen: Set<String> = []
    let vectors = runs.reduce(0) { $0 + (seen.insert($1.file).inserted ? $1.vectors : 0) }
    #expect(seen.count == 28)
    #expect(vectors == 6539)
  }

  @Test(arguments: runs)
  fileprivate func `each vector gets the verdict that it must`(_ run: Run) throws {
    guard let folder = Wycheproof.folder() else { return }
    var verifier = try Fixture.verifier()
    var (vectors, accepted, wrong) = (0, 0, 0)
    for group in try Wycheproof.file(run.file, in: folder).groups {
      let text = Wycheproof.keySet(of: group, alg: run.alg)
      let key = try Fixture.read(text, issuer: Fixture.other, algorithms: Fixture.allAlgorithms).keys[0]
      let fits = fits(group, run)
      for test in group.tests {
        let message = Wycheproof.bytes(test["msg"] as? String ?? "")
        let signature = Wycheproof.bytes(test["sig"] as? String ?? "")
        let good = verifier.verify(signingInput: message.span, signature: signature.span, key: key)
        let isSaltedAsWanted = run.file == "rsa_pss_2048_sha256_mgf1_0_test" && test["tcId"] as? Int == 69
        let expected = fits && test["result"] as? String == "valid" || isSaltedAsWanted
        vectors += 1
        accepted += good ? 1 : 0
        if good != expected {
          wrong += 1
          Issue.record("\(run.file) tcId \(test["tcId"] ?? "?"): \(good ? "accepted" : "refused")")
        }
      }
    }
    print("\(run.file) as \(run.alg): \(vectors) vectors, \(accepted) accepted, \(wrong) wrong")
    #expect(vectors == run.vectors)
    #expect(accepted == run.accepted)
  }

  /// Whether the signatures of a group are in the form that the algorithm wants at all.
  private func fits(_ group: Wycheproof.Group, _ run: Run) -> Bool {
    let bits = Int(run.alg.suffix(3)) ?? 0
    switch run.alg.prefix(2) {
    case "PS":
      return group.text("sha") == "SHA-\(bits)" && group.text("mgfSha") == "SHA-\(bits)"
        && group.number("sLen") == bits / 8
    case "ES": return run.file.contains("p1363")
    default: return true
    }
  }
}
