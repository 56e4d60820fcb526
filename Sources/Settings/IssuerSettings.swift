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
  /// `iss` must equal it byte for byte.
  public internal(set) var issuer: String
  public internal(set) var keysLocation: KeysLocation
  /// One or more, none twice; RS256 alone for Cloudflare.
  public internal(set) var algorithms: [SignatureName]
  /// 0...300.
  public internal(set) var leewaySeconds: Int
  public internal(set) var require: RequiredIdentity
  /// The proxy on the way to the keys; nil: none.
  public internal(set) var proxy: ProxyAddress?

  /// Whether it is a team of Cloudflare Access, which signs with RS256 alone; whatever stands behind the host.
  public var isCloudflare: Bool {
    WebURL(issuer).map { $0.host.lowercased().hasSuffix(".cloudflareaccess.com") } ?? false
  }
}

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
