// One issuer of several: what its tokens must say and where its keys are. How the lists of the settings become issuers is
// here too; single texts are read elsewhere (SettingURL.swift, SettingText.swift).

/// A name of an `alg` (RFC 7518 section 3.1, RFC 8037 section 3.1). HS* and none are no words here.
public enum SignatureName: String, Equatable, Sendable, CaseIterable {
  case rs256 = "RS256"
  case rs384 = "RS384"
  case rs512 = "RS512"
  case ps256 = "PS256"
  case ps384 = "PS384"
  case ps512 = "PS512"
  case es256 = "ES256"
  case es384 = "ES384"
  case es512 = "ES512"
  case edDSA = "EdDSA"
}

/// An issuer whose tokens are accepted.
public struct IssuerSettings: Equatable, Sendable {
  /// Its name under `issuers:` of the settings file; `default` where no file names it.
  public internal(set) var name = "default"
  /// `iss` must equal it byte for byte, a slash at its end too.
  public internal(set) var issuer: String
  public internal(set) var keysLocation: KeysLocation
  /// One or more, none twice; RS256 alone for Cloudflare.
  public internal(set) var algorithms: [SignatureName]
  /// What `typ` may say, where a token has one: in lower case, without `application/`. One or more, none twice.
  public internal(set) var tokenTypes: [String]
  /// 0...300.
  public internal(set) var leewaySeconds: Int
  public internal(set) var require: RequiredIdentity
  /// Absolute path of PEM certificates to trust for its key server in place of the system's; nil: the system's.
  public internal(set) var caFile: String?
  /// The proxy on the way to the keys; nil: none.
  public internal(set) var proxy: ProxyAddress?

  /// Whether it is a team of Cloudflare Access, which signs with RS256 alone; whatever stands behind the host.
  public var isCloudflare: Bool {
    WebURL(issuer, allowingHTTP: true).map { $0.host.lowercased().hasSuffix(".cloudflareaccess.com") } ?? false
  }
}

/// A URL without the one slash at its end, where it has one.
func withoutSlash(_ url: String) -> String { url.hasSuffix("/") ? String(url.dropLast()) : url }

/// The most issuers that one gateway takes.
let maximumIssuers = 16

/// The algorithms of one issuer: names joined by `+`, none twice.
func algorithmNames(_ text: String) throws(SettingRefusal) -> [SignatureName] {
  var names: [SignatureName] = []
  for part in text.split(separator: "+", omittingEmptySubsequences: false) {
    guard let name = SignatureName(rawValue: withoutSpace(String(part))), !names.contains(name) else {
      throw SettingRefusal()
    }
    names.append(name)
  }
  return names
}

/// A name for `typ`: 1 to 64 characters of a media type's (RFC 6838 section 4.2), in lower case, without the
/// `application/` that may stand before it (RFC 7515 section 4.1.9).
func tokenType(_ text: String) throws(SettingRefusal) -> String {
  // ASCII alone: the Kelvin sign is a `k` in lower case.
  guard text.utf8.allSatisfy({ $0 < 0x80 }) else { throw SettingRefusal() }
  let lowered = text.lowercased()
  let name = lowered.hasPrefix("application/") ? String(lowered.dropFirst(12)) : lowered
  guard (1...64).contains(name.utf8.count),
    name.utf8.allSatisfy({ isLetter($0) || isDigit($0) || "!#$&-^_.+".utf8.contains($0) })
  else { throw SettingRefusal() }
  return name
}
