// Allocations a verification, algorithm by algorithm, in the form of bench/allocations.txt. No times.

import COpenSSL
import DevIssuer
import Token
import Verification

struct AllocationReport {
  let allocations: Allocations
  private static let calls: UInt = 64

  /// Prints one line a row: what is done, allocations a call of ours and of OpenSSL.
  func write() throws {
    print("# OpenSSL \(OPENSSL_version_major()).\(OPENSSL_version_minor()): allocations a call")
    print("# what ours openssl")
    let workshop = try Workshop()
    let bench = Bench(try workshop.keys(), try Bench.verifier())
    let good = try workshop.team.sign(claims: workshop.claims())
    let usual = workshop.token()
    let remembered = Remembered(try workshop.keys(), good)
    let hit = spent { remembered.answer() }
    print("remembered \(hit.ours) \(hit.openssl)")
    let refused =
      (workshop.refusals + workshop.costliest + workshop.headers + workshop.barelySettled + workshop.unsettled).flatMap(
        \.tokens
      )
      .reduce(UInt(0)) { most, token in max(most, spent { _ = bench.answer(token) }.ours) }
    print("refused \(refused) 0")
    for (name, token) in [("RS256", good), ("RS256_wrong", usual)] {
      let one = spent { _ = bench.verify(token) }
      print("\(name) \(one.ours) \(one.openssl)")
    }
    for algorithm in SigningAlgorithm.allCases where algorithm != .rs256 { try write(algorithm, workshop) }
  }

  private func write(_ algorithm: SigningAlgorithm, _ workshop: Workshop) throws {
    let key = try SigningKey.generate(algorithm)
    let text = Array("{\"keys\":[\(try key.jwk())]}".utf8)
    let set = try JWKSet.read(
      text.span, issuer: Array("https://keys.example".utf8), algorithms: AlgorithmSet(rawValue: .max))
    let message = Array("message".utf8)
    let signature = try key.sign(message)
    let bench = Bench(try workshop.keys(), try Bench.verifier())
    let one = spent {
      if !bench.verify(message, signature, set.keys[0]) { Refusals.exit(failing: "\(algorithm) does not verify") }
    }
    print("\(algorithm.rawValue) \(one.ours) \(one.openssl)")
  }

  /// Allocations a call, once everything that is made at the first call exists. Rounded up.
  private func spent(_ body: () -> Void) -> (ours: UInt, openssl: UInt) {
    for _ in 0..<8 { body() }
    let before = allocations.now()
    for _ in 0..<Self.calls { body() }
    let after = allocations.now()
    func each(_ sum: UInt) -> UInt { (sum + Self.calls - 1) / Self.calls }
    return (each(after.ours - before.ours), each(after.openssl - before.openssl))
  }
}

/// A token that was verified before: a look into the cache.
private final class Remembered {
  private var cache = TokenCache(limit: 1 << 20)
  private let token: [UInt8]
  private let audience = Array(Workshop.audience.utf8)

  init(_ keys: KeySet, _ token: [UInt8]) {
    self.token = token
    cache.keep(only: [keys])
    let reply = [UInt8](repeating: 0x41, count: 300)
    let audience = audience
    cache.insert(
      audience: audience.span, token: token.span, key: keys.keys[0], validFrom: 0,
      refuseFrom: Double(Workshop.now) + 60,
      payload: reply.span)
  }

  func answer() {
    let (audience, token) = (audience, token)
    let hit = cache.lookup(audience: audience.span, token: token.span, now: Double(Workshop.now))
    guard hit != nil else { Refusals.exit(failing: "not remembered") }
  }
}
