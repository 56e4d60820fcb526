// Signatures of every algorithm, good and bad, through one verifier whose contexts are reused throughout.

import DevIssuer
import Testing
import Token

@testable import Verification

@Suite struct SignatureVerifierTests {
  private func key(_ algorithm: SigningAlgorithm) throws -> (SigningKey, VerificationKey) {
    let signer = try #require(Fixture.signers[algorithm])
    return (signer, try Fixture.keySet(of: [signer]).keys[0])
  }

  @Test(arguments: SigningAlgorithm.allCases)
  func `a good signature verifies, again and again, between bad ones`(_ algorithm: SigningAlgorithm) throws {
    let (signer, key) = try key(algorithm)
    var verifier = try Fixture.verifier()
    for round in 0..<3 {
      let message = Array("header.payload\(round)".utf8)
      let signature = try signer.sign(message)
      let other = Array("header.payload!".utf8)
      // Taken out of #expect, whose macro would copy the verifier.
      let good = verifier.verify(signingInput: message.span, signature: signature.span, key: key)
      #expect(good)
      let moved = verifier.verify(signingInput: other.span, signature: signature.span, key: key)
      #expect(!moved)
      for at in [0, signature.count / 2, signature.count - 1] {
        var changed = signature
        changed[at] ^= 1
        let bad = verifier.verify(signingInput: message.span, signature: changed.span, key: key)
        #expect(!bad, "byte \(at)")
      }
    }
    #expect(verifier.keyCount == 1)
  }

  @Test(arguments: SigningAlgorithm.allCases)
  func `a signature of another length is refused`(_ algorithm: SigningAlgorithm) throws {
    let (signer, key) = try key(algorithm)
    var verifier = try Fixture.verifier()
    let message = Array("message".utf8)
    let signature = try signer.sign(message)
    for wrong in [[], Array(signature.dropLast()), signature + [0], [0] + signature, signature + signature] {
      let good = verifier.verify(signingInput: message.span, signature: wrong.span, key: key)
      #expect(!good, "\(wrong.count) bytes")
    }
    // Refused before a context was made for the key.
    #expect(verifier.keyCount == 0)
  }

  @Test(arguments: SigningAlgorithm.allCases)
  func `a signature by another key of the same algorithm is refused`(_ algorithm: SigningAlgorithm) throws {
    let (_, key) = try key(algorithm)
    var verifier = try Fixture.verifier()
    let message = Array("message".utf8)
    let signature = try SigningKey.generate(algorithm).sign(message)
    let good = verifier.verify(signingInput: message.span, signature: signature.span, key: key)
    #expect(!good)
  }

  @Test func `a PSS signature is none of PKCS 1, and the other way round`() throws {
    let signer = try #require(Fixture.signers[.rs256])
    let jwk = try signer.jwk()
    var verifier = try Fixture.verifier()
    let message = Array("message".utf8)
    let signature = try signer.sign(message)
    for (name, expected) in [("RS256", true), ("PS256", false), ("RS384", false), ("RS256", true)] {
      let text = "{\"keys\":[\(jwk.replacing("\"RS256\"", with: "\"\(name)\""))]}"
      let key = try Fixture.read(text, algorithms: Fixture.allAlgorithms).keys[0]
      let good = verifier.verify(signingInput: message.span, signature: signature.span, key: key)
      #expect(good == expected, "\(name)")
    }
    #expect(verifier.keyCount == 3)
  }

  @Test(arguments: [(SigningAlgorithm.es256, 32), (.es384, 48), (.es512, 66)])
  func `ECDSA halves of zero are refused`(_ algorithm: SigningAlgorithm, _ half: Int) throws {
    let (signer, key) = try key(algorithm)
    var verifier = try Fixture.verifier()
    let message = Array("message".utf8)
    let signature = try signer.sign(message)
    let zero = [UInt8](repeating: 0, count: half)
    let full = [UInt8](repeating: 0xff, count: half)
    for forged in [zero + zero, zero + signature[half...], signature[..<half] + zero, full + full] {
      let good = verifier.verify(signingInput: message.span, signature: Array(forged).span, key: key)
      #expect(!good)
    }
  }

  @Test(
    arguments: [
      // r, s, and the DER after the sequence's header.
      ([0x01], [0x02], [0x02, 0x01, 0x01, 0x02, 0x01, 0x02]),
      ([0x80], [0x7f], [0x02, 0x02, 0x00, 0x80, 0x02, 0x01, 0x7f]),
      ([0x00], [0x01, 0x00], [0x02, 0x01, 0x00, 0x02, 0x02, 0x01, 0x00]),
    ] as [([UInt8], [UInt8], [UInt8])])
  func `raw halves become the one DER encoding`(_ r: [UInt8], _ s: [UInt8], _ content: [UInt8]) throws {
    func padded(_ half: [UInt8]) -> [UInt8] { [UInt8](repeating: 0, count: 32 - half.count) + half }
    #expect(DERSignature.encoding(padded(r) + padded(s)) == [0x30, UInt8(content.count)] + content)
  }

  @Test func `the longest DER encoding takes the long form of the length`() throws {
    let encoded = try #require(DERSignature.encoding([UInt8](repeating: 0xff, count: 132)))
    #expect(encoded.count == 141)
    #expect(encoded.prefix(5) == [0x30, 0x81, 138, 0x02, 67])
    #expect(DERSignature.encoding([UInt8](repeating: 1, count: 65)) == nil)
  }

  @Test func `contexts go with their keys, and a new set with the same keys finds them`() throws {
    let (first, second) = (try #require(Fixture.signers[.es256]), try #require(Fixture.signers[.ed25519]))
    let both = try Fixture.keySet(of: [first, second])
    var verifier = try Fixture.verifier()
    let message = Array("message".utf8)
    for (signer, key) in zip([first, second], both.keys) {
      let signature = try signer.sign(message)
      let good = verifier.verify(signingInput: message.span, signature: signature.span, key: key)
      #expect(good)
    }
    #expect(verifier.keyCount == 2)
    let fresh = try Fixture.keySet(of: [second], generation: 2)
    verifier.keep(only: [fresh])
    #expect(verifier.keyCount == 1)
    let signature = try second.sign(message)
    let good = verifier.verify(signingInput: message.span, signature: signature.span, key: fresh.keys[0])
    #expect(good)
    #expect(verifier.keyCount == 1)
  }

  @Test func `contexts are bounded, and the least used one goes`() throws {
    var verifier = try Fixture.verifier()
    let message = Array("message".utf8)
    for _ in 0...SignatureVerifier.maximumKeys {
      let signer = try SigningKey.generate(.ed25519)
      let key = try Fixture.keySet(of: [signer]).keys[0]
      let signature = try signer.sign(message)
      let good = verifier.verify(signingInput: message.span, signature: signature.span, key: key)
      #expect(good)
    }
    #expect(verifier.keyCount == SignatureVerifier.maximumKeys)
  }

  @Test func `threads with a verifier each share one key set`() async throws {
    let signers = [SigningAlgorithm.rs256, .ps384, .es256, .ed25519].map { Fixture.signers[$0]! }
    let set = try Fixture.keySet(of: signers)
    let message = Array("message".utf8)
    let signatures = try signers.map { try $0.sign(message) }
    let good = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var verifier = try Fixture.verifier()
          var good = 0
          for round in 0..<40 {
            let key = set.keys[round % 4]
            let signature = signatures[round % 4]
            let verdict = verifier.verify(signingInput: message.span, signature: signature.span, key: key)
            good += verdict ? 1 : 0
          }
          return good
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(good == 160)
  }
}
