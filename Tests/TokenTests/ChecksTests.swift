// The checks that need no key: algorithm, issuer, audience, the times, type; their order; identity is in IdentityTests.

import Testing
import Token

@Suite struct ChecksTests {
  @Test func `the sample passes every check`() {
    #expect(checking([:]) == nil)
  }

  @Test(arguments: [
    #""none""#, #""None""#, #""NONE""#, #""nOnE""#, #""""#, "null", "1", "[]", #"["RS256"]"#, "{}", #""rs256""#,
    #""RS256 ""#,
    #"" RS256""#, #""RS256\u0000""#, #""HS256""#, #""HS384""#, #""HS512""#, #""RS1""#, #""RS384""#, #""RS512""#,
    #""PS256""#,
    #""ES256""#, #""EdDSA""#, #""ES256K""#, #""RSA-OAEP""#,
  ])
  func `an alg that is not the issuer's refuses as algorithm`(alg: String) {
    #expect(checking([:], header: #"{"alg":\#(alg),"kid":"k"}"#) == .algorithm)
  }

  @Test func `an alg is compared unescaped, and a missing one is not the issuer's`() {
    #expect(checking([:], header: #"{"alg":"\u0052S256","kid":"k"}"#) == nil)
    #expect(checking([:], header: #"{"alg":"HS\u003256","kid":"k"}"#) == .algorithm)
    #expect(checking([:], header: #"{"kid":"k"}"#) == .algorithm)
  }

  private static let others = "https://keys.example"
  private static let plain = Expectations(issuer: Array(others.utf8), require: .any)

  @Test func `a token of Cloudflare's must name its key, one of another issuer may leave that out`() {
    let header = #"{"alg":"RS256"}"#
    #expect(checking([:], header: header) == .malformed)
    // A slash behind Cloudflare's name is a slip in a setting and loosens nothing.
    let slash = Expectations(issuer: Array("\(Samples.issuer)/".utf8), require: .any)
    #expect(checking(["iss": "\"\(Samples.issuer)/\""], header: header, expecting: slash) == .malformed)
    #expect(checking(["iss": "\"\(Self.others)\""], header: header, expecting: Self.plain) == nil)
    // Before all that the claims say.
    #expect(checking(["iss": "1", "exp": "1"], header: header) == .malformed)
  }

  @Test(
    arguments: [
      (#""JWT""#, nil), (#""\u004aWT""#, nil), (#""jwt""#, nil), (#""Jwt""#, nil), (#""application/jwt""#, nil),
      (#""APPLICATION/JWT""#, nil), (#""application\/JWT""#, nil), (nil, nil), (#""JWT ""#, .tokenType),
      (#""""#, .tokenType), (#""at+jwt""#, .tokenType), (#""JOSE""#, .tokenType), ("null", .tokenType),
      ("1", .tokenType), (#"["JWT"]"#, .tokenType), (#""application/""#, .tokenType), (#""text/jwt""#, .tokenType),
      (#""application/application/jwt""#, .tokenType), (#""\u212aWT""#, .tokenType), (#""xjwt""#, .tokenType),
      (#""applicationxjwt""#, .tokenType), (#""jwt\u0000""#, .tokenType),
    ] as [(String?, Reason?)])
  func `typ is absent, or JWT in any case with or without application`(typ: String?, reason: Reason?) {
    let member = typ.map { ",\"typ\":" + $0 } ?? ""
    #expect(checking([:], header: "{\"alg\":\"RS256\",\"kid\":\"k\"\(member)}") == reason)
  }

  @Test func `an issuer's token types are its own, and escapes and long ones change nothing`() throws {
    let long = String(repeating: "x", count: 64)
    for wrong in [" at+jwt", "", "a b", "a/b", "application/", long + "x", "ä"] { #expect(TokenType(wrong) == nil) }
    let types = try ["Application/AT+JWT", long].map { try #require(TokenType($0)) }
    let expectations = Expectations(issuer: Array(Samples.issuer.utf8), tokenTypes: types, require: .any)
    let table: [(String, Reason?)] = [
      ("at+jwt", nil), ("AT+jwt", nil), ("application/at+JWT", nil), ("\\u0061t+jwt", nil), (long, nil),
      ("application\\/" + long, nil), ("application\\/" + long + "x", .tokenType), ("JWT", .tokenType),
      ("at-jwt", .tokenType),
    ]
    for (typ, reason) in table {
      let header = "{\"alg\":\"RS256\",\"kid\":\"k\",\"typ\":\"\(typ)\"}"
      #expect(checking([:], header: header, expecting: expectations) == reason)
    }
    let none = Expectations(issuer: Array(Samples.issuer.utf8), tokenTypes: [], require: .any)
    #expect(checking([:], expecting: none) == .tokenType)
  }

  @Test func `an issuer's algorithms are its own`() {
    for algorithm in Algorithm.allCases {
      let only = Expectations(
        issuer: Array(Samples.issuer.utf8), algorithms: AlgorithmSet(algorithm), require: .any)
      for other in Algorithm.allCases {
        let reason = checking([:], header: "{\"alg\":\"\(other.name)\",\"kid\":\"k\"}", expecting: only)
        #expect(reason == ("\(algorithm.name)" == "\(other.name)" ? nil : .algorithm))
      }
    }
    let none = Expectations(issuer: Array(Samples.issuer.utf8), algorithms: [], require: .any)
    #expect(checking([:], expecting: none) == .algorithm)
  }

  @Test(arguments: [
    nil, "\"\(Samples.issuer)/\"", #""https://ACME.cloudflareaccess.com""#, #""http://acme.cloudflareaccess.com""#,
    #""https://x.acme.cloudflareaccess.com""#, "[\"\(Samples.issuer)\"]", "null", "1", #""""#, "{}",
    "\"\(Samples.issuer) \"", "\"\(Samples.issuer.dropLast())\"",
  ])
  func `an iss that is not the issuer byte for byte refuses`(iss: String?) {
    #expect(checking(["iss": iss]) == .issuer)
  }

  @Test func `an iss with escapes is compared by its value`() {
    #expect(checking(["iss": #""https:\/\/acme.cloudflareaccess.com""#]) == nil)
  }

  static let aud = Samples.audience

  @Test(arguments: [
    "\"\(aud)\"", "[\"\(aud)\"]", "[\"x\",\"\(aud)\"]", "[\"\(aud)\",\"\",\"x\"]", "[\"\(aud)\",\"\(aud)\"]",
  ])
  func `an aud that is or holds the audience is accepted`(claim: String) {
    #expect(checking(["aud": claim]) == nil)
  }

  @Test(arguments: [
    nil, #""""#, "[]", "[[]]", "[[\"\(aud)\"]]", "[\"\(aud)\",1]", "[1,\"\(aud)\"]", "[\"\(aud)\",null]",
    "[\"\(aud)\",[]]",
    "[\"\(aud)\",{}]", "1", "null", "true", "{\"aud\":\"\(aud)\"}", "\"\(aud.dropLast())\"", "\"\(aud)0\"",
    "\"\(aud)/\"",
    "\"\(aud.uppercased())\"", "\"x,\(aud)\"", "\"\(aud),x\"", "[\"x\",\"y\"]", "\" \(aud)\"", #"[""]"#,
  ])
  func `any other aud refuses`(claim: String?) {
    #expect(checking(["aud": claim]) == .audience)
  }

  @Test func `an empty audience in the question meets nothing`() {
    for claim in [#""""#, #"[""]"#, "[]"] { #expect(checking(["aud": claim], audience: "") == .audience) }
  }

  static let unusable: [String?] = [
    nil, "0", "-0", "-1", "-1.7e9", "0.0", #""1700003600""#, "true", "null", "[1700003600]", "{}", "1e400", "-1e400",
    "9223372036854775807", "9223372036854775808", "18446744073709551616", "9007199254740992", "1e16", "1e-400",
    String(repeating: "9", count: 4000), "1" + String(repeating: "0", count: 4000), "1e999999999999999999999",
  ]

  @Test(arguments: unusable)
  func `an exp or iat that is missing or no number between 0 and 2^53 refuses`(claim: String?) {
    #expect(checking(["exp": claim]) == .expired)
    #expect(checking(["iat": claim]) == .issuedInFuture)
    #expect(checking(["nbf": claim]) == (claim == nil ? nil : .notYetValid))
  }

  @Test(arguments: ["1700003600.5", "1.7000036e9", "17000036E2", "1700003600.0", "9007199254740991", "1e15"])
  func `fractions and exponents are legal in times`(claim: String) {
    #expect(checking(["exp": claim]) == nil)
  }

  @Test func `other numbers are checked for syntax only`() {
    #expect(checking(["x": "1e400", "y": "[-1e99999999]", "z": String(repeating: "9", count: 3000)]) == nil)
  }

  @Test(
    arguments: [
      (-1, nil), (0, nil), (29, nil), (29.999, nil), (30, .expired), (30.001, .expired), (31, .expired),
      (1e9, .expired),
    ] as [(Double, Reason?)])
  func `a token past exp plus leeway is expired, from that second on`(past: Double, reason: Reason?) {
    #expect(checking(["exp": "1700003600"], now: 1_700_003_600 + past) == reason)
  }

  @Test func `with no leeway a token expires at exp`() {
    let strict = Expectations(issuer: Array(Samples.issuer.utf8), leeway: 0, require: .any)
    #expect(checking(["exp": "1700003600"], expecting: strict, now: 1_700_003_599) == nil)
    #expect(checking(["exp": "1700003600"], expecting: strict, now: 1_700_003_600) == .expired)
    #expect(checking(["exp": "1700003600.5"], expecting: strict, now: 1_700_003_600) == nil)
  }

  @Test(
    arguments: [
      (31, true), (30.5, true), (30, false), (29, false), (0, false), (-1000, false),
    ] as [(Double, Bool)])
  func `nbf and iat may lie ahead by the leeway and no more`(ahead: Double, isDenied: Bool) {
    let now = 1_700_001_000 - ahead
    #expect(checking(["nbf": "1700001000", "iat": "1"], now: now) == (isDenied ? .notYetValid : nil))
    #expect(checking(["nbf": nil, "iat": "1700001000"], now: now) == (isDenied ? .issuedInFuture : nil))
  }

  @Test func `leeway is brought into 0 to 300 seconds`() {
    #expect(Expectations(issuer: [], leeway: -5).leeway == 0)
    #expect(Expectations(issuer: [], leeway: 301).leeway == 300)
    #expect(Expectations(issuer: [], leeway: .max).leeway == 300)
    #expect(Expectations(issuer: []).leeway == 30)
    #expect(Expectations(issuer: []).algorithms == .rs256)
    #expect(Expectations(issuer: []).require == .identity)
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity, -1, 0, .greatestFiniteMagnitude])
  func `a clock that shows nonsense refuses`(now: Double) {
    #expect(checking([:], now: now) != nil)
  }

  @Test(
    arguments: [
      (#""app""#, nil), (nil, nil), (#""\u0061pp""#, nil), (#""org""#, .tokenType), (#""App""#, .tokenType),
      (#""""#, .tokenType), ("null", .tokenType), ("1", .tokenType), (#"["app"]"#, .tokenType),
      (#""app ""#, .tokenType),
    ] as [(String?, Reason?)])
  func `type is app or absent`(type: String?, reason: Reason?) {
    #expect(checking(["type": type]) == reason)
  }

  /// One broken thing a check, in the order of the checks.
  static let faults: [(check: Check, reason: Reason, changes: [String: String?])] = [
    (.keyIdentifier, .malformed, [:]), (.headerType, .tokenType, [:]), (.algorithm, .algorithm, [:]),
    (.issuer, .issuer, ["iss": "1"]), (.audience, .audience, ["aud": "1"]),
    (.expiry, .expired, ["exp": "1"]), (.notBefore, .notYetValid, ["nbf": "1800000000"]),
    (.issuedAt, .issuedInFuture, ["iat": "1800000000"]), (.type, .tokenType, ["type": "1"]),
    (.identity, .identity, ["email": "1"]),
  ]

  @Test func `the first check that fails in order decides, and each is told apart`() {
    #expect(Self.faults.map(\.check) == Check.allCases)
    let asked = Array(Samples.audience.utf8)
    for first in Self.faults.indices {
      var changes: [String: String?] = [:]
      for fault in Self.faults[first...] { changes.merge(fault.changes) { $1 } }
      let header =
        switch first {
        case 0: #"{"alg":"ES256","typ":"x"}"#
        case 1: #"{"alg":"ES256","kid":"k","typ":"x"}"#
        case 2: #"{"alg":"ES256","kid":"k"}"#
        default: Samples.header
        }
      #expect(checking(changes, header: header) == Self.faults[first].reason)
      var reader = TokenReader()
      let token = Array(Samples.token(header: header, payload: Samples.payload(changes)).utf8)
      let reason = reader.read(token.span)
      #expect(reason == nil)
      for (index, fault) in Self.faults.enumerated() {
        let outcome = reader.outcome(of: fault.check, Samples.expectations, audience: asked.span, now: Samples.now)
        #expect(outcome == (index < first ? nil : fault.reason), "\(fault.check.name)")
      }
    }
  }
}
