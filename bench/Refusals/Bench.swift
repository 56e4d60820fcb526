// The judgement that is measured, and the clock. What is measured is in Case.swift and Costliest.swift.

import Glibc
import Token
import Verification

/// A judge with keys, and the clock. Its first answer is the one that the loops give, the look into an empty memory of
/// verified tokens included.
final class Bench {
  private let judge: Judge
  private let keys: [KeySet]
  private let audience = Array(Workshop.audience.utf8)
  private var reader = TokenReader()
  private var cache = TokenCache(limit: 1 << 20)
  private let tokenHash = TokenHash()
  private var collisions = 0
  private var verifier: SignatureVerifier

  init(_ keys: KeySet, _ verifier: consuming SignatureVerifier) {
    judge = Judge(Expectations(issuer: Array(Workshop.issuer.utf8)))
    self.keys = [keys]
    self.verifier = verifier
    cache.keep(only: [keys])
  }

  struct NoDigests: Error {}

  static func verifier() throws -> SignatureVerifier {
    guard let verifier = SignatureVerifier() else { throw NoDigests() }
    return verifier
  }

  // MARK: - What is measured

  /// What a loop says at first.
  func answer(_ token: [UInt8]) -> Screening {
    let audience = audience
    let now = Double(Workshop.now)
    // As Gateway's ForwardAuth does.
    if token.count > TokenReader.maximumTokenLength { return .refused(.tooLarge) }
    if cache.lookup(audience: audience.span, token: token.span, now: now) != nil {
      Refusals.exit(failing: "remembered, though nothing ever was")
    }
    return judge.firstAnswer(
      token: token.span, audience: audience.span, now: now, keys: keys, reader: &reader)
  }

  /// The part of it that reads the token.
  private func screen(_ token: [UInt8]) {
    let audience = audience
    _ = judge.screen(
      token: token.span, audience: audience.span, now: Double(Workshop.now), keys: keys, reader: &reader)
    _ = reader.isList(token.span)
  }

  /// What the pool finds equal tokens by.
  private func hash(_ token: [UInt8]) {
    let audience = audience
    if tokenHash.ofAll(audience: audience.span, token: token.span) == 0 { collisions += 1 }
  }

  /// What a worker does.
  private func verifySignature(_ token: [UInt8], _ signature: [UInt8]) {
    let end = token.lastIndex(of: UInt8(ascii: ".")) ?? 0
    _ = verifier.verify(
      signingInput: token.span.extracting(0..<end), signature: signature.span, key: keys[0].keys[0])
  }

  /// What a loop does with a token whose signature is good.
  private func confirm(_ token: [UInt8]) -> Verdict {
    let audience = audience
    return judge.confirm(
      token: token.span, audience: audience.span, now: Double(Workshop.now), keys: keys, verifiedBy: keys[0].keys[0],
      reader: &reader)
  }

  /// A whole verdict at once.
  func verify(_ token: [UInt8]) -> Verdict {
    let audience = audience
    return judge.verdict(
      token: token.span, audience: audience.span, now: Double(Workshop.now), keys: keys, reader: &reader,
      verifier: &verifier)
  }

  func verify(_ message: [UInt8], _ signature: [UInt8], _ key: VerificationKey) -> Bool {
    verifier.verify(signingInput: message.span, signature: signature.span, key: key)
  }

  // MARK: - Lines

  /// Measures one case and prints its line; whether it is within the bound.
  func show(_ measured: Case) -> Bool {
    expect(measured)
    let tokens = strangers(measured.tokens)
    let (least, median) = patient { bench, turn in _ = bench.answer(tokens[turn % tokens.count]) }
    return show(measured.name, [least, median], bounded: least)
  }

  /// Measures a case whose tokens are judged in full behind their signature alone; whether what comes before it is
  /// within the bound, and the whole within that and a verification.
  func showUnsettled(_ measured: Case) -> Bool {
    expect(measured)
    let tokens = measured.tokens
    for token in tokens where confirm(token) != .allowed {
      Refusals.exit(failing: "\(measured.name): the claims are not good")
    }
    func least(_ body: (Bench, [UInt8]) -> Void) -> Double {
      time { bench, turn in body(bench, tokens[turn % tokens.count]) }.least
    }
    let before = patient { bench, turn in bench.screen(tokens[turn % tokens.count]) }.least
    let hash = least { $0.hash($1) }
    let signature = signature(of: tokens)
    let later = least { _ = $0.confirm($1) }
    return show(measured.name, [before, hash, signature, before + hash + signature, later], bounded: before)
  }

  /// A thousand spellings of the tokens' signatures, as they come from strangers.
  private func strangers(_ tokens: [[UInt8]]) -> [[UInt8]] {
    (0..<1024).map { number in
      var token = tokens[number % tokens.count]
      for place in 0..<3 {
        let at = token.count - 2 - place
        let letter = UInt8(ascii: "A") + UInt8((number >> (4 * place)) & 0xF)
        if token[at] != UInt8(ascii: ".") { token[at] = letter }
      }
      return token
    }
  }

  /// The cost in µs of holding a wrong signature against a key.
  func signature(of tokens: [[UInt8]]) -> Double {
    let wrong = [UInt8](repeating: 0x5A, count: 256)
    return time { bench, turn in bench.verifySignature(tokens[turn % tokens.count], wrong) }.least
  }

  private func expect(_ measured: Case) {
    for token in measured.tokens {
      let isAsExpected =
        switch (answer(token), measured.expected) {
        case (.refused(let reason), .refused(let expected)): reason == expected
        case (.needsSignature, .needsSignature): true
        default: false
        }
      if !isAsExpected { Refusals.exit(failing: "\(measured.name): another answer: \(answer(token))") }
    }
  }

  private func show(_ name: String, _ figures: [Double], bounded: Double) -> Bool {
    let isWithin = bounded <= Refusals.bound
    print(Self.row("  " + name, figures.map(\.formatted)) + (isWithin ? "" : "   over"))
    return isWithin
  }

  static func row(_ name: String, _ figures: [String]) -> String {
    figures.reduce(name + String(repeating: " ", count: max(1, 66 - name.count))) { row, figure in
      row + String(repeating: " ", count: max(1, 10 - figure.count)) + figure
    }
  }

  // MARK: - The clock

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

  /// The same, up to five times where the bound is not kept: 40 ms may fall into what somebody else does.
  private func patient(_ body: (Bench, Int) -> Void) -> (least: Double, median: Double) {
    var best = time(body)
    for _ in 0..<4 where best.least > Refusals.bound {
      let again = time(body)
      best = (min(best.least, again.least), min(best.median, again.median))
    }
    return best
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
