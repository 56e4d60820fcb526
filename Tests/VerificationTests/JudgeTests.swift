// The order of the checks, and that nothing but a full check allows.

import DevIssuer
import Testing
import Token

@testable import Verification

@Suite struct JudgeTests {
  /// The verdict on a token, through fresh contexts.
  private func verdict(
    _ token: [UInt8], audience: String = Fixture.audience, now: Int = Fixture.now, keys: KeySet?,
    judge: Judge = Fixture.judge()
  ) throws -> Verdict {
    var reader = TokenReader()
    var verifier = try Fixture.verifier()
    let name = Array(audience.utf8)
    return judge.verdict(
      token: token.span, audience: name.span, now: Double(now), keys: keys.map { [$0] } ?? [], reader: &reader,
      verifier: &verifier)
  }

  private func user(_ team: StandInIssuer = Fixture.team, now: Int = Fixture.now) throws -> [UInt8] {
    try team.userToken(audience: [Fixture.audience], email: "jane@example.com", now: now)
  }

  @Test func `a good token of a user is allowed`() throws {
    #expect(try verdict(user(), keys: Fixture.keySet(of: Fixture.team)) == .allowed)
  }

  @Test func `a service token is allowed where services are`() throws {
    let token = try Fixture.team.serviceToken(
      audience: [Fixture.audience], commonName: "e367826f93b8.access", now: Fixture.now)
    let keys = try Fixture.keySet(of: Fixture.team)
    #expect(try verdict(token, keys: keys) == .denied(.identity))
    let judge = Judge(Expectations(issuer: Array(Fixture.cloudflare.utf8), require: .service))
    #expect(try verdict(token, keys: keys, judge: judge) == .allowed)
  }

  @Test(arguments: SigningAlgorithm.allCases)
  func `a good token of each algorithm is allowed, and under no other key`(_ algorithm: SigningAlgorithm) throws {
    let signer = try #require(Fixture.signers[algorithm])
    let team = StandInIssuer(issuer: Fixture.other, keys: [signer])
    // The stand-in's RSA keys of other algorithms sign as they were made.
    let token = try user(team)
    let judge = Fixture.judge(Fixture.other, algorithms: Fixture.allAlgorithms)
    #expect(try verdict(token, keys: Fixture.keySet(of: [signer]), judge: judge) == .allowed)
    let stranger = try SigningKey.generate(.ed25519)
    #expect(try verdict(token, keys: Fixture.keySet(of: [stranger]), judge: judge) == .denied(.keyUnknown))
  }

  @Test func `checks that need no keys come before the lack of keys`() throws {
    #expect(try verdict(Array("x".utf8), keys: nil) == .denied(.malformed))
    #expect(try verdict(user(), audience: "other", keys: nil) == .denied(.audience))
    #expect(try verdict(user(), now: Fixture.now + 86400 + 30, keys: nil) == .denied(.expired))
    #expect(try verdict(user(), keys: nil) == .denied(.keysUnavailable))
  }

  @Test func `the keys of another issuer are no keys`() throws {
    let keys = try Fixture.keySet(of: Fixture.team.keys, issuer: Fixture.other, algorithms: .rs256)
    #expect(try verdict(user(), keys: keys) == .denied(.keysUnavailable))
  }

  @Test func `with several issuers each token is judged by its own, and by its own keys alone`() throws {
    let rsa = Fixture.team
    let signer = try #require(Fixture.signers[.es256])
    let curve = StandInIssuer(issuer: Fixture.other, keys: [signer])
    let judge = Judge([
      Expectations(issuer: Array(Fixture.cloudflare.utf8), leeway: 0),
      Expectations(issuer: Array(Fixture.other.utf8), algorithms: .es256, leeway: 100, require: .service),
    ])
    let rsaKeys = try Fixture.keySet(of: rsa)
    let curveKeys = try Fixture.keySet(of: [signer])
    let both = [curveKeys, rsaKeys]
    let service = try curve.serviceToken(audience: [Fixture.audience], commonName: "a", now: Fixture.now)
    #expect(try several(user(), both, judge) == .allowed)
    #expect(try several(service, both, judge) == .allowed)
    // What one issuer wants is not what the other gets: algorithms, leeway, require.
    #expect(try several(user(curve), both, judge) == .denied(.identity))
    let end = Fixture.now + 86_400
    #expect(try several(user(), both, judge, now: end) == .denied(.expired))
    #expect(try several(service, both, judge, now: end + 99) == .allowed)
    #expect(try several(service, both, judge, now: end + 100) == .denied(.expired))
    // One issuer's outage is not the other's.
    #expect(try several(user(), [rsaKeys], judge) == .allowed)
    #expect(try several(service, [rsaKeys], judge) == .denied(.keysUnavailable))
    // A key of one issuer vouches for no token that names the other.
    let forged = StandInIssuer(issuer: Fixture.cloudflare, keys: [signer])
    #expect(try several(user(forged), both, judge) == .denied(.algorithm))
    let strange = try StandInIssuer(issuer: Fixture.cloudflare)
    let strangeKeys = try Fixture.keySet(of: strange.keys, issuer: Fixture.other, algorithms: .rs256)
    #expect(try several(user(strange), [rsaKeys, strangeKeys], judge) == .denied(.keyUnknown))
  }

  @Test(arguments: ["", "/", "x"]) func `an iss that is none of several is denied as such`(_ tail: String) throws {
    let judge = Judge([
      Expectations(issuer: Array("https://one.example".utf8)), Expectations(issuer: Array(Fixture.other.utf8)),
    ])
    let stranger = StandInIssuer(issuer: Fixture.cloudflare + tail, keys: Fixture.team.keys)
    #expect(try several(user(stranger), [Fixture.keySet(of: Fixture.team)], judge) == .denied(.issuer))
    var reader = TokenReader()
    let place = judge.issuer(of: reader)
    #expect(place == nil)
    let token = try user(stranger)
    _ = reader.read(token.span)
    let validity = judge.validity(of: reader)
    #expect(validity == nil)
  }

  @Test func `with one issuer the algorithm is judged before iss, with several after it`() throws {
    let signer = try #require(Fixture.signers[.es256])
    let stranger = StandInIssuer(issuer: "https://stranger.example", keys: [signer])
    let one = Expectations(issuer: Array(Fixture.cloudflare.utf8))
    let two = Expectations(issuer: Array(Fixture.other.utf8))
    #expect(try several(user(stranger), [], Judge([one])) == .denied(.algorithm))
    #expect(try several(user(stranger), [], Judge([one, two])) == .denied(.issuer))
  }

  private func several(
    _ token: [UInt8], _ keys: [KeySet], _ judge: Judge, now: Int = Fixture.now
  ) throws -> Verdict {
    var reader = TokenReader()
    var verifier = try Fixture.verifier()
    let audience = Array(Fixture.audience.utf8)
    return judge.verdict(
      token: token.span, audience: audience.span, now: Double(now), keys: keys, reader: &reader, verifier: &verifier)
  }

  @Test func `a key that stays through a rotation stays the same object, with what it has counted`() throws {
    let team = try StandInIssuer(issuer: Fixture.cloudflare)
    let first = try Fixture.keySet(of: team)
    first.keys[0].uses.count(isGood: true, now: 5)
    first.keys[0].uses.count(isGood: false, now: 6)
    try team.rotate()
    let text = String(decoding: try team.keySet(), as: UTF8.self)
    let second = KeySet(try Fixture.read(text, issuer: team.issuer), after: first, generation: 2)
    #expect(second.count == 2)
    let kept = try #require(second.keys.first { $0.kid == first.keys[0].kid })
    #expect(kept === first.keys[0])
    #expect((kept.uses.goodCount, kept.uses.badCount, kept.uses.lastGood) == (1, 1, 5))
    #expect(second.keys.contains { $0.uses.lastGood == nil })
  }

  @Test func `a token without kid is judged by the only key for its alg, where the issuer is not Cloudflare`() throws {
    let signer = try #require(Fixture.signers[.rs256])
    let curve = try #require(Fixture.signers[.es256])
    let second = try SigningKey.generate(.rs256)
    func token(_ issuer: String, extra: String = "") throws -> [UInt8] {
      let claims =
        "{\"iss\":\"\(issuer)\",\"aud\":\"\(Fixture.audience)\",\"exp\":\(Fixture.now + 60),"
        + "\"iat\":\(Fixture.now),\"email\":\"a@b\"\(extra)}"
      return try StandInIssuer.sign(
        header: Array("{\"alg\":\"RS256\"}".utf8), payload: Array(claims.utf8), key: signer)
    }
    let dense = ",\"x\":[" + String(repeating: "1,", count: 1000) + "1]"
    let judge = Fixture.judge(Fixture.other, algorithms: Fixture.allAlgorithms)
    for extra in ["", dense] {
      let good = try token(Fixture.other, extra: extra)
      #expect(try verdict(good, keys: Fixture.keySet(of: [curve, signer]), judge: judge) == .allowed)
      #expect(try verdict(good, keys: Fixture.keySet(of: [second]), judge: judge) == .denied(.signature))
      #expect(try verdict(good, keys: Fixture.keySet(of: [signer, second]), judge: judge) == .denied(.malformed))
      #expect(try verdict(good, keys: Fixture.keySet(of: [curve]), judge: judge) == .denied(.malformed))
      #expect(try verdict(good, keys: nil, judge: judge) == .denied(.keysUnavailable))
      let own = try Fixture.keySet(of: [signer], issuer: Fixture.cloudflare)
      #expect(try verdict(token(Fixture.cloudflare, extra: extra), keys: own) == .denied(.malformed))
    }
  }

  @Test func `an unknown kid is denied as such`() throws {
    let team = try StandInIssuer(issuer: Fixture.cloudflare)
    #expect(try verdict(user(team), keys: Fixture.keySet(of: Fixture.team)) == .denied(.keyUnknown))
  }

  @Test func `a key's kid with another key's signature is denied`() throws {
    let key = Fixture.team.current
    let header = "{\"alg\":\"RS256\",\"kid\":\"\(key.kid)\"}"
    let token = try user()
    let payload = token.split(separator: UInt8(ascii: "."))[1]
    let input = Base64URLEncoding.encode(header.utf8) + "." + String(decoding: payload, as: UTF8.self)
    let forged = try SigningKey.generate(.rs256).sign(Array(input.utf8))
    let whole = Array((input + "." + Base64URLEncoding.encode(forged)).utf8)
    #expect(try verdict(whole, keys: Fixture.keySet(of: Fixture.team)) == .denied(.signature))
  }

  @Test func `a token whose alg is not its key's is denied, also where the issuer has both`() throws {
    let signer = try #require(Fixture.signers[.ps256])
    let rs256 = try Fixture.read(
      "{\"keys\":[\(signer.jwk().replacing("\"PS256\"", with: "\"RS256\""))]}", algorithms: [.rs256, .ps256])
    let token = try user(StandInIssuer(issuer: Fixture.cloudflare, keys: [signer]))
    let judge = Fixture.judge(algorithms: [.rs256, .ps256])
    #expect(try verdict(token, keys: KeySet(rs256, generation: 1), judge: judge) == .denied(.algorithm))
  }

  @Test func `a signature of the wrong length is denied before a worker is asked`() throws {
    // Three bytes more, well encoded.
    let token = try user() + Array("AAAA".utf8)
    var reader = TokenReader()
    let keys = try Fixture.keySet(of: Fixture.team)
    let audience = Array(Fixture.audience.utf8)
    let assessment = Fixture.judge().assess(
      token: token.span, audience: audience.span, now: Double(Fixture.now), keys: [keys], reader: &reader)
    guard case .refused(.signature) = assessment else {
      Issue.record("not refused")
      return
    }
  }

  @Test func `every change of one character of a token is denied`() throws {
    let token = try user()
    let keys = try Fixture.keySet(of: Fixture.team)
    let judge = Fixture.judge()
    let audience = Array(Fixture.audience.utf8)
    var reader = TokenReader()
    var verifier = try Fixture.verifier()
    for at in stride(from: 0, to: token.count, by: 7) {
      var changed = token
      changed[at] = changed[at] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      let verdict = judge.verdict(
        token: changed.span, audience: audience.span, now: Double(Fixture.now), keys: [keys], reader: &reader,
        verifier: &verifier)
      #expect(verdict != .allowed, "character \(at)")
    }
  }

  @Test func `after a rotation old and new tokens are good, after two the oldest is not`() throws {
    let team = try StandInIssuer(issuer: Fixture.cloudflare)
    let first = try user(team)
    try team.rotate()
    let second = try user(team)
    let both = try Fixture.keySet(of: team, generation: 2)
    #expect(try verdict(first, keys: both) == .allowed)
    #expect(try verdict(second, keys: both) == .allowed)
    try team.rotate()
    let later = try Fixture.keySet(of: team, generation: 3)
    #expect(try verdict(first, keys: later) == .denied(.keyUnknown))
    #expect(try verdict(second, keys: later) == .allowed)
  }

  @Test func `a verified token may be served from nbf less the leeway and not at exp plus the leeway`() throws {
    let token = try user()
    var reader = TokenReader()
    #expect(Fixture.judge().validity(of: reader) == nil)
    let reason = reader.read(token.span)
    #expect(reason == nil)
    #expect(
      Fixture.judge().validity(of: reader)
        == Validity(validFrom: Double(Fixture.now - 30), refuseFrom: Double(Fixture.now + 86400 + 30)))
  }
}
