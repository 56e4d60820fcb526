// What is remembered never says anything else than a fresh judgement would, wherever the clock steps.

import DevIssuer
import Testing
import Token

@testable import Verification

@Suite struct ClockTests {
  /// What a loop does with one token: remembered or judged, and remembered when it is allowed.
  private struct Loop: ~Copyable {
    let judge: Judge
    let keys: KeySet
    var cache = TokenCache(limit: 1 << 20)
    var reader = TokenReader()
    var verifier: SignatureVerifier
    var hits = 0

    init(_ keys: KeySet, _ verifier: consuming SignatureVerifier) {
      judge = Fixture.judge()
      self.keys = keys
      self.verifier = verifier
      cache.keep(only: [keys])
    }

    mutating func judged(_ token: [UInt8], now: Double) -> Verdict {
      let audience = Array(Fixture.audience.utf8)
      return judge.verdict(
        token: token.span, audience: audience.span, now: now, keys: [keys], reader: &reader, verifier: &verifier)
    }

    mutating func answer(_ token: [UInt8], now: Double) -> Verdict {
      let audience = Array(Fixture.audience.utf8)
      if cache.lookup(audience: audience.span, token: token.span, now: now) != nil {
        hits += 1
        return .allowed
      }
      let verdict = judged(token, now: now)
      guard verdict == .allowed, let validity = judge.validity(of: reader) else { return verdict }
      let reply: [UInt8] = [1]
      cache.insert(
        audience: audience.span, token: token.span, key: keys.keys[0],
        validFrom: validity.validFrom, refuseFrom: validity.refuseFrom,
        payload: reply.span)
      return .allowed
    }
  }

  private static let now = Double(Fixture.now)

  /// Claims whose times lie apart: `nbf` and `iat` in both orders, and no `nbf`.
  private static let times: [(name: String, nbf: Int?, iat: Int, exp: String)] = [
    ("nbf first", -600, -300, "600"), ("iat first", -600, -900, "600"), ("no nbf", nil, -300, "600"),
    ("a fraction", -600, -300, "600.5"),
  ]

  private func token(_ times: (name: String, nbf: Int?, iat: Int, exp: String)) throws -> [UInt8] {
    let nbf = times.nbf.map { "\"nbf\":\(Fixture.now + $0)," } ?? ""
    let exp = times.exp.split(separator: ".")
    let end = "\(Fixture.now + (Int(exp[0]) ?? 0))" + (exp.count > 1 ? ".\(exp[1])" : "")
    return try Fixture.team.sign(
      claims:
        "{\"iss\":\"\(Fixture.cloudflare)\",\"aud\":\"\(Fixture.audience)\",\(nbf)\"iat\":\(Fixture.now + times.iat),"
        + "\"exp\":\(end),\"email\":\"a@b\"}")
  }

  @Test(arguments: times.indices)
  func `a clock that steps to and fro never gets another verdict from memory`(_ index: Int) throws {
    let token = try token(Self.times[index])
    var loop = Loop(try Fixture.keySet(of: Fixture.team), try Fixture.verifier())
    let first = loop.answer(token, now: Self.now)
    #expect(first == .allowed)
    var steps = [
      0.0, 1, 629, 629.9, 630, 630.4, 630.5, 630.6, 631, 86400, 1e9, -1, -299, -329, -330, -330.5, -331, -600, -629,
    ]
    steps += [-630, -631, -900, -930, -931, -86400, -1.7e9, 600, 30, 629.99, 1e308, -.infinity, .infinity, .nan]
    for step in steps + steps.reversed() {
      let remembered = loop.answer(token, now: Self.now + step)
      let fresh = loop.judged(token, now: Self.now + step)
      #expect(remembered == fresh, "\(Self.times[index].name), \(step) s away")
    }
    let hits = loop.hits
    #expect(hits > 8)
  }

  @Test func `a remembered token ends exactly at exp plus the leeway`() throws {
    let token = try token(("", nil, 0, "600"))
    var loop = Loop(try Fixture.keySet(of: Fixture.team), try Fixture.verifier())
    for (step, verdict) in [(0.0, Verdict.allowed), (629.999, .allowed), (630, .denied(.expired)), (629.999, .allowed)]
    {
      let answer = loop.answer(token, now: Self.now + step)
      #expect(answer == verdict, "\(step)")
    }
    let hits = loop.hits
    #expect(hits == 2)
  }

  @Test func `two tokens that differ in one byte share nothing`() throws {
    let token = try token(("", nil, 0, "600"))
    var loop = Loop(try Fixture.keySet(of: Fixture.team), try Fixture.verifier())
    let first = loop.answer(token, now: Self.now)
    #expect(first == .allowed)
    for at in token.indices {
      var changed = token
      changed[at] = changed[at] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      let verdict = loop.answer(changed, now: Self.now)
      #expect(verdict != .allowed, "character \(at)")
    }
    let hits = loop.hits
    #expect(hits == 0)
    #expect(loop.cache.counters.entries == 1)
  }
}
