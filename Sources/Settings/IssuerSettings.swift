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
  /// The proxy on the way to the keys; nil: none.
  public internal(set) var proxy: ProxyAddress?

  /// Whether it is a team of Cloudflare Access, which signs with RS256 alone.
  public var isCloudflare: Bool { withoutSlash(issuer).hasSuffix(".cloudflareaccess.com") }
}

/// A URL without the one slash at its end, where it has one.
func withoutSlash(_ url: String) -> String { url.hasSuffix("/") ? String(url.dropLast()) : url }

/// The most issuers that one gateway takes.
let maximumIssuers = 16

/// A list separated by commas, each item by `parse`; none empty, none twice.
func list<Item: Equatable>(
  _ text: String, of parse: (String) throws(Refusal) -> Item
) throws(Refusal) -> [Item] {
  let items = try values(text, of: parse)
  for (place, item) in items.enumerated() where items[..<place].contains(item) {
    throw Refusal(instead: "no item twice")
  }
  return items
}

/// One value for all issuers, or one each: like a list, but values may be equal.
func values<Item>(_ text: String, of parse: (String) throws(Refusal) -> Item) throws(Refusal) -> [Item] {
  let parts = text.split(separator: ",", omittingEmptySubsequences: false)
  guard parts.count <= maximumIssuers else { throw Refusal(instead: "at most \(maximumIssuers) items") }
  var items: [Item] = []
  for part in parts { items.append(try parse(String(part))) }
  return items
}

/// The algorithms of one issuer: names joined by `+`, none twice.
func algorithmNames(_ text: String) throws(Refusal) -> [SignatureName] {
  var names: [SignatureName] = []
  for part in text.split(separator: "+", omittingEmptySubsequences: false) {
    let name = try word(String(part), as: SignatureName.self)
    guard !names.contains(name) else { throw Refusal() }
    names.append(name)
  }
  return names
}

/// A name for `typ`: 1 to 64 characters of a media type's (RFC 6838 section 4.2), in lower case, without the
/// `application/` that may stand before it (RFC 7515 section 4.1.9).
func tokenType(_ text: String) throws(Refusal) -> String {
  let lowered = text.lowercased()
  let name = lowered.hasPrefix("application/") ? String(lowered.dropFirst(12)) : lowered
  guard (1...64).contains(name.utf8.count),
    name.utf8.allSatisfy({ isLetter($0) || isDigit($0) || "!#$&-^_.+".utf8.contains($0) })
  else { throw Refusal() }
  return name
}

extension [IssuerSettings] {
  /// The values of a field as they are given: one where all are equal, else one an issuer.
  func joined(_ text: (IssuerSettings) -> String) -> String {
    let texts = map(text)
    return texts.allSatisfy { $0 == texts[0] } ? texts.first ?? "" : texts.joined(separator: ",")
  }
}
