// Judges one token with all checks shown: the same reader, checks and verifier as on the path of a request.

import EventLoops
import Glibc
import HTTPFetch
import HTTPServing
import POSIX
import IssuerKeys
import Telemetry
import Settings
import Token
import Verification

struct Explain {
  private let token: [UInt8]
  private let audiences: [[UInt8]]
  private let now: Double
  private let issuers: [IssuerSettings]
  private let judge: Judge
  /// Who is let in; nil: what the issuer's setting says.
  private let require: RequiredIdentity?
  /// What the token is held against: the issuer that it names, or the only one.
  private var issuer: IssuerSettings
  /// The one of ``audiences`` that the token is held against.
  private var audience: [UInt8]
  /// Why the token is denied; nil where it is good, once it was judged.
  private(set) var denied: Reason?

  /// - Parameters:
  ///   - audiences: of which one suffices; one or more.
  ///   - issuers: of which the token may be; one or more.
  ///   - now: seconds since 1970.
  ///   - require: in place of the issuers' own.
  init(
    token: [UInt8], audiences: [[UInt8]], now: Double, issuers: [IssuerSettings], require: RequiredIdentity? = nil
  ) {
    self.token = token
    self.audiences = audiences
    self.now = now
    self.issuers = issuers
    self.require = require
    judge = Judge(issuers.map { Expectations($0, require: require) })
    issuer = issuers[0]
    audience = audiences[0]
  }

  /// Explains a token for one audience.
  ///
  /// - Parameter token: nil means standard input, to its end, one line.
  /// - Returns: the exit code: 0 if it would be allowed, 1 if not.
  static func run(token: String?, audience: String, now: Double, settings: GatewaySettings) -> Int32 {
    guard let token = bytes(of: token) else { return 1 }
    var explain = Explain(token: token, audiences: [Array(audience.utf8)], now: now, issuers: settings.issuers)
    var reader = TokenReader()
    explain.judgeToken(&reader)
    guard let denied = explain.denied else {
      print("verdict: allow")
      return 0
    }
    print("verdict: deny, reason \(denied.name): \(denied.explanation)")
    return 1
  }

  /// The token in an argument, or in standard input; nil, with a line on stderr, where that cannot be read.
  static func bytes(of token: String?) -> [UInt8]? {
    guard let bytes = token.map({ Array($0.utf8) }) ?? standardInput() else {
      printError("access-gateway: standard input can't be read, or is longer than any token")
      return nil
    }
    return PastedToken.token(in: bytes)
  }

  /// Prints the token and each check; `denied` says how it ended. `reader` holds the token afterwards.
  mutating func judgeToken(_ reader: inout TokenReader) {
    printPart(0, "header")
    printPart(1, "claims")
    let form = reader.read(token.span)
    let place = judge.issuer(of: reader)
    if let place { issuer = issuers[place] }
    print("checks at \(Int(now)) (seconds since 1970), leeway \(issuer.leewaySeconds) s")
    note("form", form, "compact JWS, strict base64url and JSON, at most 8 KiB")
    if reader.hasToken, let place {
      for other in audiences
      where reader.outcome(of: .audience, judge.issuers[place], audience: other.span, now: now) == nil {
        audience = other
        break
      }
      for check in Token.Check.allCases {
        let audience = audience
        let reason = reader.outcome(of: check, judge.issuers[place], audience: audience.span, now: now)
        note("\(check.name)", reason, wants(check))
      }
      checkKey(&reader)
    } else if reader.hasToken {
      note("iss", .issuer, "one of \(issuers.map(\.issuer).joined(separator: ", ")), byte for byte")
    } else {
      print("  the other checks need a token whose form is right")
    }
  }

  private mutating func checkKey(_ reader: inout TokenReader) {
    let keys: KeySet
    switch KeySetReader(issuer, caFile: issuer.caFile).fetchBlocking() {
    case .failure(let failure):
      return note("keys", .keysUnavailable, "a key set from \(issuer.keysLocation): \(failure)")
    case .success(let fetched):
      keys = KeySet(fetched.set, generation: 1)
      note("keys", nil, "\(keys.count) usable from \(issuer.keysLocation)")
    }
    let names = keys.keys.map { Printable.text($0.kid) }.joined(separator: ", ")
    guard reader.hasKeyIdentifier else {
      guard let place = keys.index(ofOnlyKeyFor: reader.algorithms) else {
        return note("key", .malformed, "a kid, one of \(names): the set has not exactly one key for this alg")
      }
      return checkSignature(&reader, by: keys.keys[place])
    }
    guard let key = reader.withKeyIdentifier({ keys.key($0) }) else {
      return note("key", .keyUnknown, "kid one of \(names)")
    }
    checkSignature(&reader, by: key)
  }

  private mutating func checkSignature(_ reader: inout TokenReader, by key: VerificationKey) {
    note("key", nil, "a key of the set")
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
    case .keyIdentifier: "kid, a string, which Cloudflare's tokens have"
    case .headerType:
      "typ, where present, one of \(issuer.tokenTypes.joined(separator: ", ")), application/ before it or not"
    case .algorithm: "alg one of the issuer's (\(issuer.algorithms.map(\.rawValue).joined(separator: ", ")))"
    case .issuer: "iss \"\(issuer.issuer)\", byte for byte"
    case .audience:
      "aud \"\(audiences.map { Printable.text($0) }.joined(separator: "\" or \""))\", or an array of strings that holds it"
    case .expiry: "exp, a number, with now < exp + leeway"
    case .notBefore: "nbf, where present, a number with nbf <= now + leeway"
    case .issuedAt: "iat, a number with iat <= now + leeway"
    case .type: "type, where present, \"app\""
    case .identity:
      switch require ?? issuer.require {
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
