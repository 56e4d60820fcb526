// A stand-in for a Cloudflare Access team, for trying things out and for tests: keys, their public set, tokens.
// No sockets and no clock here: time is a parameter, the program serves the bytes.

import Telemetry
import COpenSSL
import POSIX

/// Signs tokens and publishes keys as a team does. Thread-safe: one lock around the list of keys.
public final class StandInIssuer: Sendable {
  /// The value of `iss`, such as `https://acme.cloudflareaccess.com`.
  public let issuer: String
  /// What new keys sign with.
  public let algorithm: SigningAlgorithm
  private let held: Locked<[SigningKey]>

  /// A team with one fresh key. Throws when OpenSSL can't make one.
  public init(issuer: String, algorithm: SigningAlgorithm = .rs256) throws(IssuerError) {
    self.issuer = issuer
    self.algorithm = algorithm
    held = Locked([try SigningKey.generate(algorithm)])
  }

  /// A team with keys that exist, the current one first; at least one.
  public init(issuer: String, keys: [SigningKey]) {
    precondition(!keys.isEmpty, "an issuer without a key")
    self.issuer = issuer
    algorithm = keys[0].algorithm
    held = Locked(keys)
  }

  /// The keys that are published: the current one first, then the previous one.
  public var keys: [SigningKey] { held.withLock { $0 } }

  /// The key that signs.
  public var current: SigningKey { held.withLock { $0[0] } }

  /// Makes a fresh key the current one; the one before it stays published, older ones leave.
  public func rotate() throws(IssuerError) {
    let fresh = try SigningKey.generate(algorithm)
    held.withLock { $0 = [fresh, $0[0]] }
  }

  /// The public key set in the shape of `<issuer>/cdn-cgi/access/certs`. The stand-in has no certificates, so
  /// `public_cert` and `public_certs` name the keys and leave `cert` empty; a reader uses `keys` alone.
  public func keySet() throws(IssuerError) -> [UInt8] {
    let keys = self.keys
    var jwks: [String] = []
    for key in keys { jwks.append(try key.jwk()) }
    let certs = keys.map { "{\"kid\":\"\($0.kid)\",\"cert\":\"\"}" }
    return Array(
      "{\"keys\":[\(jwks.joined(separator: ","))],\"public_cert\":\(certs[0]),\"public_certs\":[\(certs.joined(separator: ","))]}"
        .utf8)
  }

  /// A compact JWS (RFC 7515 section 7.1) over any header and payload bytes, right or wrong, by the current key.
  public func sign(header: [UInt8], payload: [UInt8]) throws(IssuerError) -> [UInt8] {
    try Self.sign(header: header, payload: payload, key: current)
  }

  /// The same by a key of the caller's choice.
  public static func sign(header: [UInt8], payload: [UInt8], key: SigningKey) throws(IssuerError) -> [UInt8] {
    let input = Base64URLEncoding.encode(header) + "." + Base64URLEncoding.encode(payload)
    let signature = try key.sign(Array(input.utf8))
    return Array((input + "." + Base64URLEncoding.encode(signature)).utf8)
  }

  /// A compact JWS over `claims`, with the header that Access writes: `alg` and `kid` of the current key, `typ`.
  public func sign(claims: String) throws(IssuerError) -> [UInt8] {
    let key = current
    let header = "{\"alg\":\"\(key.algorithm.name)\",\"kid\":\"\(key.kid)\",\"typ\":\"JWT\"}"
    return try Self.sign(header: Array(header.utf8), payload: Array(claims.utf8), key: key)
  }

  /// What a person's browser carries behind Access. `now` and `lifetime` in seconds.
  public func userToken(
    audience: [String], email: String, now: Int, lifetime: Int = 86400, country: String = "DE",
    subject: String? = nil
  ) throws(IssuerError) -> [UInt8] {
    let person = if let subject { subject } else { try Self.uuid() }
    var claims = "{\"aud\":\(JSONString.array(audience)),\"email\":\(JSONString.quoted(email)),"
    claims += "\"exp\":\(now + lifetime),\"iat\":\(now),\"nbf\":\(now),\"iss\":\(JSONString.quoted(issuer)),"
    claims += "\"type\":\"app\",\"identity_nonce\":\"\(try Self.nonce())\","
    claims += "\"sub\":\(JSONString.quoted(person)),\"country\":\(JSONString.quoted(country))}"
    return try sign(claims: claims)
  }

  /// What a program with a service token carries: the client ID as `common_name`, an empty `sub`, no `email`.
  public func serviceToken(
    audience: [String], commonName: String, now: Int, lifetime: Int = 86400
  ) throws(IssuerError) -> [UInt8] {
    var claims = "{\"type\":\"app\",\"aud\":\(JSONString.array(audience)),\"exp\":\(now + lifetime),"
    claims += "\"iss\":\(JSONString.quoted(issuer)),\"common_name\":\(JSONString.quoted(commonName)),"
    claims += "\"iat\":\(now),\"sub\":\"\"}"
    return try sign(claims: claims)
  }

  private static func nonce() throws(IssuerError) -> String {
    Base64URLEncoding.encode(try random(12))
  }

  /// A random UUID (RFC 9562 section 5.4).
  private static func uuid() throws(IssuerError) -> String {
    var bytes = try random(16)
    bytes[6] = bytes[6] & 0x0f | 0x40
    bytes[8] = bytes[8] & 0x3f | 0x80
    let groups = [bytes[0..<4], bytes[4..<6], bytes[6..<8], bytes[8..<10], bytes[10..<16]]
    return groups.map(Hex.encode).joined(separator: "-")
  }

  private static func random(_ count: Int) throws(IssuerError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    // RAND_bytes writes exactly `count` bytes into the array, which lends its storage for the call.
    guard unsafe RAND_bytes(&bytes, Int32(count)) == 1 else { throw .openssl("RAND_bytes") }
    return bytes
  }
}
