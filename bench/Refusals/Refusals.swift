// What it costs to refuse a token, kind by kind, and what a verification allocates: started by bench/refusals.

import COpenSSL
import Glibc
import Issuer
import Token
import Verification

@main struct Refusals {
  /// What may be spent on a token before its signature is verified, in µs. Tokens of the usual size must keep it; of
  /// those of 8 KiB that are made to be slow, the ones that do not are shown.
  static let bound = 5.0

  static func main() throws {
    // Before anything of OpenSSL is called.
    let allocations = Allocations()
    if CommandLine.arguments.dropFirst() == ["--allocations"] {
      guard let allocations else { exit(failing: "bench/count_allocations.c is not preloaded") }
      try AllocationReport(allocations: allocations).write()
      return
    }
    guard CommandLine.arguments.count == 1 else { exit(failing: "usage: refusals [--allocations]") }
    guard try measure() else { exit(failing: "a token of the usual size breaks the bound of \(Self.bound) µs") }
  }

  static func exit(failing message: String) -> Never {
    print("error: \(message)")
    Glibc.exit(1)
  }

  /// Prints the table; false where the refusal of a token of the usual size exceeds the bound.
  private static func measure() throws -> Bool {
    let workshop = try Workshop()
    let bench = Bench(try workshop.keys(), try Bench.verifier())
    let verification = bench.verification(of: workshop.token())
    print("one verification (RS256, 2048 bits), refused at its end: \(verification.formatted) µs\n")
    print("refused before the signature, usual size           least   median   µs")
    var isWithin = true
    for refusal in workshop.refusals { isWithin = bench.show(refusal) && isWithin }
    print("\nthe same, tokens of 8 KiB                            least   median   µs")
    for costly in workshop.costliest { _ = bench.show(costly) }
    return isWithin
  }
}

extension Double {
  /// Two digits behind the point.
  var formatted: String {
    let hundredths = Int((self * 100).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }
}

/// A judge with keys, and the clock.
final class Bench {
  private let judge: Judge
  private let keys: [KeySet]
  private let audience = Array(Workshop.audience.utf8)
  private var reader = TokenReader()
  private var verifier: SignatureVerifier

  init(_ keys: KeySet, _ verifier: consuming SignatureVerifier) {
    judge = Judge(Expectations(issuer: Array(Workshop.issuer.utf8)))
    self.keys = [keys]
    self.verifier = verifier
  }

  struct NoDigests: Error {}

  static func verifier() throws -> SignatureVerifier {
    guard let verifier = SignatureVerifier() else { throw NoDigests() }
    return verifier
  }

  /// Measures one case and prints its line; whether it is within the bound.
  func show(_ measured: Case) -> Bool {
    for token in measured.tokens {
      let reason = assess(token)
      guard reason == measured.reason else {
        let got = reason.map { "\($0.name)" } ?? "none"
        Refusals.exit(failing: "\(measured.name) is refused for another reason: \(got)")
      }
    }
    let tokens = measured.tokens
    let (least, median) = time { bench, turn in _ = bench.assess(tokens[turn % tokens.count]) }
    let padding = String(repeating: " ", count: max(1, 46 - measured.name.count))
    let isWithin = least <= Refusals.bound
    print("  \(measured.name)\(padding)\(least.padded)\(median.padded)\(isWithin ? "" : "   over")")
    return isWithin
  }

  /// The cost in µs of a whole verification of a token whose signature is wrong.
  func verification(of token: [UInt8]) -> Double {
    time { bench, _ in _ = bench.verify(token) }.least
  }

  func verify(_ token: [UInt8]) -> Verdict {
    let audience = audience
    return judge.verdict(
      token: token.span, audience: audience.span, now: Double(Workshop.now), keys: keys, reader: &reader,
      verifier: &verifier)
  }

  func verify(_ message: [UInt8], _ signature: [UInt8], _ key: VerificationKey) -> Bool {
    verifier.verify(signingInput: message.span, signature: signature.span, key: key)
  }

  func assess(_ token: [UInt8]) -> Reason? {
    let audience = audience
    let assessment = judge.assess(
      token: token.span, audience: audience.span, now: Double(Workshop.now), keys: keys, reader: &reader)
    guard case .refused(let reason) = assessment else { return nil }
    return reason
  }

  /// µs a call: the least and the median of many batches of about a millisecond. The least is what the code costs; the
  /// rest is what else the machine did.
  private func time(_ body: (Bench, Int) -> Void) -> (least: Double, median: Double) {
    var calls = 16
    while true {
      let spent = batch(calls, body)
      if spent > 1_000_000 { break }
      calls *= 2
    }
    let batches = (0..<41).map { _ in Double(batch(calls, body)) / Double(calls) / 1000 }.sorted()
    return (batches[0], batches[batches.count / 2])
  }

  private func batch(_ calls: Int, _ body: (Bench, Int) -> Void) -> UInt64 {
    let start = Self.nanoseconds
    for turn in 0..<calls { body(self, turn) }
    return Self.nanoseconds - start
  }

  private static var nanoseconds: UInt64 {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }
}

extension Double {
  fileprivate var padded: String {
    let text = formatted
    return String(repeating: " ", count: max(1, 9 - text.count)) + text
  }
}
