// Several issuers out of lists, and the proxy on the way to their keys.

import Testing

@testable import Settings

private func resolve(_ flags: [String: String], _ environment: [String: String] = [:]) throws(SettingsError)
  -> GatewaySettings
{
  try SettingsTable.resolve(
    flags: flags, environment: environment, surroundings: Surroundings(cores: 1, stderrIsTerminal: false)
  ).settings
}

private func line(_ flags: [String: String], _ environment: [String: String] = [:]) -> String? {
  do throws(SettingsError) {
    _ = try resolve(flags, environment)
    return nil
  } catch {
    return "\(error)"
  }
}

@Test func `each issuer has its own of what is given one each, and the one of what is given once`() throws {
  let issuers = try resolve([
    "issuer": "https://a.example,https://b.example", "algorithms": "RS256,ES256+EdDSA", "leeway": "5",
    "require": "any,service",
  ]).issuers
  #expect(issuers.map(\.issuer) == ["https://a.example", "https://b.example"])
  #expect(issuers.map(\.algorithms) == [[.rs256], [.es256, .edDSA]])
  #expect(issuers.map(\.leewaySeconds) == [5, 5])
  #expect(issuers.map(\.require) == [.any, .service])
  #expect(
    issuers.map(\.keysLocation.description)
      == ["https://a.example/cdn-cgi/access/certs", "https://b.example/cdn-cgi/access/certs"])
}

@Test func `several teams are several issuers`() throws {
  let settings = try resolve([:], ["CF_TEAMS_DOMAIN": "acme,other.cloudflareaccess.com"])
  #expect(
    settings.issuers.map(\.issuer) == ["https://acme.cloudflareaccess.com", "https://other.cloudflareaccess.com"])
}

@Test(arguments: [
  (
    ["issuer": "https://a.example,https://b.example,https://c.example", "leeway": "1,2"],
    "--leeway: '1,2' is refused; allowed: one entry, or as many as there are issuers, 3"
  ),
  (
    ["team_domain": "a,b", "keys_url": "file:/1,file:/2,file:/3"],
    "--keys-url: 'file:/1,file:/2,file:/3' is refused; allowed: one entry, or as many as there are issuers, 2"
  ),
  (
    ["issuer": "https://a.example,https://acme.cloudflareaccess.com", "algorithms": "ES256"],
    "--algorithms: 'ES256' is refused; allowed: RS256 alone for https://acme.cloudflareaccess.com"
  ),
  (
    ["issuer": "https://a.example,https://acme.cloudflareaccess.com", "algorithms": "ES256,RS256+ES256"],
    "--algorithms: 'ES256,RS256+ES256' is refused; allowed: RS256 alone for https://acme.cloudflareaccess.com"
  ),
  (
    ["issuer": (0..<17).map { "https://a\($0).example" }.joined(separator: ",")],
    "--issuer: 'https://a0.example,https://a1.example,https://a2.example,https://a3.example,http...' is refused; "
      + "allowed: at most 16 items"
  ),
])
func `lists that do not fit the issuers are refused`(_ flags: [String: String], _ expected: String) {
  #expect(line(flags) == expected)
}

@Test func `beside a team another issuer may sign otherwise`() {
  #expect(
    line([
      "issuer": "https://a.example,https://acme.cloudflareaccess.com", "algorithms": "ES256,RS256",
    ]) == nil)
}

private func proxy(_ url: String, _ environment: [String: String]) throws -> String? {
  let settings = try resolve(["issuer": "https://a.example", "keys_url": url], environment)
  return settings.issuers[0].proxy?.description
}

@Test(
  arguments: [
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p.example:3128"], "http://p.example:3128"),
    ("https://keys.example/k", ["https_proxy": "http://q", "HTTPS_PROXY": "http://p"], "http://q:80"),
    ("https://keys.example/k", ["https_proxy": "", "HTTPS_PROXY": "http://[::1]:1/"], "http://[::1]:1"),
    ("https://keys.example/k", ["HTTP_PROXY": "http://p", "ALL_PROXY": "http://p"], nil),
    ("https://localhost/k", ["HTTPS_PROXY": "http://p"], nil),
    ("https://127.0.0.2:8443/k", ["HTTPS_PROXY": "http://p"], nil),
    ("https://[::1]/k", ["HTTPS_PROXY": "http://p"], nil),
    ("http://127.0.0.1/k", ["HTTPS_PROXY": "http://p"], nil),
    ("file:/k", ["HTTPS_PROXY": "socks5://p"], nil),
    ("https://keys.example/k", ["HTTPS_PROXY": "proxy:3128"], "http://proxy:3128"),
    ("https://keys.example/k", ["HTTPS_PROXY": " proxy.example/\r\n"], "http://proxy.example:80"),
    ("https://keys.example/k", ["HTTPS_PROXY": "HTTP://p"], "http://p:80"),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://u:secret@p"], "http://p:80"),
    ("https://keys.example/k", ["HTTPS_PROXY": "u:se@cret@p:1"], "http://p:1"),
    ("https://keys.example/k", ["HTTPS_PROXY": "https://u:secret@p"], nil),
    ("https://keys.example/k", ["HTTPS_PROXY": "socks5h://p:1080"], nil),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "*"], nil),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "a, EXAMPLE "], nil),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": ".example"], nil),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "*.example"], nil),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "keys.example:443"], nil),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "keys.example:444"], "http://p:80"),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "eys.example"], "http://p:80"),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "x.keys.example,,"], "http://p:80"),
    ("https://keys.example/k", ["HTTPS_PROXY": "http://p", "no_proxy": "b", "NO_PROXY": "*"], "http://p:80"),
    ("https://10.0.0.1/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.1"], nil),
    ("https://10.0.0.1/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "0.0.1"], "http://p:80"),
    ("https://[2001:db8::1]/k", ["HTTPS_PROXY": "http://p", "NO_PROXY": "2001:DB8:0::1"], nil),
  ] as [(String, [String: String], String?)])
func `the proxy of a keys URL follows HTTPS_PROXY and NO_PROXY`(
  _ url: String, _ environment: [String: String], _ expected: String?
) throws {
  #expect(try proxy(url, environment) == expected)
}

@Test(arguments: [
  "http://p.example/x", "http://", "http://p.example:0", "http://u:secret@", "http://:secret@p", "http://u:%zz@p",
  "http://u%3a:secret@p", "http://u:secret%0d%0a@p", "http://u:se\u{7f}cret@p", "u:secret@p:port", "://p",
])
func `a proxy that can't be read is refused, and its password not repeated`(_ text: String) throws {
  let expected = "HTTPS_PROXY: '...' is refused; allowed: http://host:port or http://user:password@host:port"
  #expect(line(["issuer": "https://a.example"], ["HTTPS_PROXY": text]) == expected)
  #expect(line(["issuer": "http://127.0.0.1:1"], ["HTTPS_PROXY": text]) == nil)
}

@Test(
  arguments: [
    ("http://u:secret@p", "u:secret"), ("http://u@p", "u:"), ("u%40x:%73ecret%3a@p:3128", "u@x:secret:"),
    ("http://u:p:q@p", "u:p:q"), ("http://p", nil),
  ] as [(String, String?)])
func `user and password of a proxy are unescaped`(_ text: String, _ credentials: String?) throws {
  let proxy = try resolve(["issuer": "https://a.example"], ["HTTPS_PROXY": text]).issuers[0].proxy
  #expect(proxy?.credentials.map { String(decoding: $0, as: UTF8.self) } == credentials)
  #expect(proxy?.description.contains("secret") == false)
}

private func warnings(_ flags: [String: String], _ environment: [String: String] = [:]) throws -> [String] {
  try SettingsTable.resolve(
    flags: flags, environment: environment, surroundings: Surroundings(cores: 1, stderrIsTerminal: false)
  ).warnings.map(\.description)
}

@Test func `a proxy that we don't speak is said once, without its password, and not used`() throws {
  let issuers = ["issuer": "https://a.example,https://b.example"]
  #expect(
    try warnings(issuers, ["https_proxy": "SOCKS5://u:secret@p:1080"])
      == ["https_proxy names a proxy of the kind socks5://, which is not used: keys are fetched directly"])
  #expect(try warnings(issuers, ["HTTPS_PROXY": "https://p", "NO_PROXY": "example"]).isEmpty)
  #expect(try warnings(["issuer": "http://127.0.0.1:1"], ["HTTPS_PROXY": "https://p"]).isEmpty)
}

@Test func `keys over http are for a private network, by a setting, and said`() throws {
  let plain = ["issuer": "https://a.example", "keys_url": "http://keycloak.auth.svc:8080/certs"]
  let refused = try #require(line(plain))
  #expect(refused.hasPrefix("--keys-url: 'http://keycloak.auth.svc:8080/certs' is refused; allowed: "))
  #expect(refused.hasSuffix("; --allow-http-keys on allows http:// in a private network"))
  let allowed = plain.merging(["allow_http_keys": "on"]) { $1 }
  #expect(try resolve(allowed).issuers[0].keysLocation.description == "http://keycloak.auth.svc:8080/certs")
  #expect(
    try warnings(allowed) == [
      "keys are fetched over http:// from http://keycloak.auth.svc:8080/certs: whoever is on the way there chooses the "
        + "keys that are trusted"
    ])
  let issuer = ["issuer": "http://10.0.0.1:8080/realms/a"]
  #expect(try #require(line(issuer)).hasSuffix("; --allow-http-keys on allows http:// in a private network"))
  let both = try resolve(issuer.merging(["allow_http_keys": "on"]) { $1 }).issuers[0]
  #expect(both.issuer == "http://10.0.0.1:8080/realms/a")
  #expect(both.keysLocation.description == "http://10.0.0.1:8080/realms/a/cdn-cgi/access/certs")
  #expect(try warnings(["issuer": "http://127.0.0.1:1", "allow_http_keys": "on"]).isEmpty)
}

@Test func `an issuer with a slash at its end keeps it, and its keys are behind one slash`() throws {
  let issuer = try resolve(["issuer": "https://id.example/realms/a/"]).issuers[0]
  #expect(issuer.issuer == "https://id.example/realms/a/")
  #expect(issuer.keysLocation.description == "https://id.example/realms/a/cdn-cgi/access/certs")
  #expect(try warnings(["issuer": "https://id.example/"]).isEmpty)
  #expect(
    try warnings(["issuer": "https://acme.cloudflareaccess.com/"])
      == ["issuer https://acme.cloudflareaccess.com/ ends in a slash, and the iss of Cloudflare's tokens does not"])
  #expect(line(["issuer": "https://acme.cloudflareaccess.com/", "algorithms": "ES256"]) != nil)
}

@Test func `token types are names in any case, with or without application before them`() throws {
  #expect(try resolve(["issuer": "https://a.example"]).issuers[0].tokenTypes == ["jwt"])
  let several = try resolve(["issuer": "https://a.example,https://b.example", "token_types": "application/AT+JWT,JWT"])
  #expect(several.issuers.map(\.tokenTypes) == [["at+jwt", "jwt"], ["at+jwt", "jwt"]])
  #expect(several.text(of: SettingsTable.all.tokenTypes) == "at+jwt,jwt")
}
