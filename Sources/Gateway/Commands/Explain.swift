// Judges one token with all checks shown: the same reader, checks and verifier as on the path of a request.

import EventHTTP
import Glibc
import Settings
import Token
import Verification

struct Explain {
  private let token: [UInt8]
  private let audience: [UInt8]
  private let now: Double
  private let settings: GatewaySettings
  private let judge: Judge
  /// What the token is held against: the issuer that it names, or the only one.
  private var issuer: IssuerSettings
  private var denied: Reason?

  /// - Parameters:
  ///   - token: nil means standard input, to its end, one line.
  ///   - nowSeconds: nil means the real-time clock.
  /// - Returns: the exit code: 0 if it would be allowed, 1 if not.
  static func run(token: String?, audience: String, nowSeconds: Int?, settings: GatewaySettings) -> Int32 {
    guard let bytes = token.map({ Array($0.utf8) }) ?? standardInput() else {
      printError("access-gateway: standard input can't be read, or is longer than any token")
      return 1
    }
    var explain = Explain(
      token: PastedToken.find(in: bytes), audience: Array(audience.utf8),
      now: nowSeconds.map(Double.init) ?? Clock.wallSeconds,
      settings: settings, judge: Judge(settings.issuers.map { Expectations($0) }), issuer: settings.issuers[0])
    return explain.run()
  }

  private mutating func run() -> Int32 {
    var reader = TokenReader()
    printPart(0, "header")
    printPart(1, "claims")
    let form = reader.read(token.span)
    let place = judge.issuer(of: reader)
    if let place { issuer = settings.issuers[place] }
    print("checks at \(Int(now)) (seconds since 1970), leeway \(issuer.leewaySeconds) s")
    note("form", form, "compact JWS, strict base64url and JSON, at most 8 KiB")
    if reader.hasToken, let place {
      for check in Token.Check.allCases {
        let audience = audience
        let reason = reader.outcome(of: check, judge.issuers[place], audience: audience.span, now: now)
        note("\(check.name)", reason, wants(check))
      }
      checkKey(&reader)
    } else if reader.hasToken {
      note("iss", .issuer, "one of \(settings.issuers.map(\.issuer).joined(separator: ", ")), byte for byte")
    } else {
      print("  the other checks need a token whose form is right")
    }
    guard let denied else {
      print("verdict: allow")
      return 0
    }
    print("verdict: deny, reason \(denied.name): \(denied.explanation)")
    return 1
  }

  private mutating func checkKey(_ reader: inout TokenReader) {
    let keys: KeySet
    switch OneFetch.keys(by: KeySetReader(issuer, caFile: settings.caFile)) {
    case .failure(let failure):
      return note("keys", .keysUnavailable, "a key set from \(issuer.keysLocation): \(failure)")
    case .success(let fetched):
      keys = KeySet(fetched.set, generation: 1)
      note("keys", nil, "\(keys.count) usable from \(issuer.keysLocation)")
    }
    let names = keys.keys.map { Printable.text($0.kid) }.joined(separator: ", ")
    guard let key = reader.withKeyIdentifier({ keys.key($0) }) else {
      return note("kid", .keyUnknown, "one of \(names)")
    }
    note("kid", nil, "a key of the set")
    guard reader.algorithms.contains(key.algorithm) else {
      return note("key's algorithm", .algorithm, "\(key.algorithm.name), which the key is for")
    }
    note("key's algorithm", nil, "\(key.algorithm.name)")
    guard var verifier = SignatureVerifier() else { return note("signature", .signature, "OpenSSL with SHA-2") }
    let signingInput = reader.signingInput
    let isGood = reader.withSignature {
      verifier.verify(signingInput: token.span.extracting(signingInput), signature: $0, key: key)
    }
    note("signature", isGood ? nil : .signature, "made by that key over header and claims")
  }

  private mutating func note(_ name: String, _ reason: Reason?, _ wanted: String) {
    let padding = String(repeating: " ", count: max(1, 16 - name.utf8.count))
    if let reason {
      if denied == nil { denied = reason }
      print("  \(name)\(padding)DENY \(reason.name); wanted: \(wanted)")
    } else {
      print("  \(name)\(padding)ok")
    }
  }

  private func wants(_ check: Token.Check) -> String {
    switch check {
    case .algorithm: "alg one of the issuer's (\(issuer.algorithms.map(\.rawValue).joined(separator: ", ")))"
    case .issuer: "iss \"\(issuer.issuer)\", byte for byte"
    case .audience: "aud \"\(Printable.text(audience))\", or an array of strings that holds it"
    case .expiry: "exp, a number, with now < exp + leeway"
    case .notBefore: "nbf, where present, a number with nbf <= now + leeway"
    case .issuedAt: "iat, a number with iat <= now + leeway"
    case .type: "type, where present, \"app\""
    case .identity:
      switch issuer.require {
      case .identity: "a user: email with one @ (a service token needs --require service or any)"
      case .service: "a service token: common_name, no email, empty sub (a user needs --require identity or any)"
      case .any: "a user (email) or a service token (common_name)"
      }
    }
  }

  /// Shows header or claims as they decode, valid or not. The signature is never shown: with it this would be a token.
  private func printPart(_ index: Int, _ name: String) {
    let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard index < parts.count else { return print("\(name): none") }
    let part = Array(parts[index].prefix(TokenReader.maximumTokenLength))
    var decoded = [UInt8](repeating: 0, count: part.count)
    var space = decoded.mutableSpan
    guard let count = Base64URL.decode(part.span, in: 0..<part.count, to: &space) else {
      return print("\(name): no strict base64url")
    }
    print("\(name): \(Printable.text(decoded[..<count]))")
  }

  private static func standardInput() -> [UInt8]? {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while bytes.count <= 1 << 20 {
      // Safe: read(2) writes at most the array's own count.
      let count = unsafe part.withUnsafeMutableBytes { unsafe read(0, $0.baseAddress, $0.count) }
      if count == 0 { return bytes }
      guard count > 0 else { return nil }
      bytes += part[..<count]
    }
    return nil
  }
}
