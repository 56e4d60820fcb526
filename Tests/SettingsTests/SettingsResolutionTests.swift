// Layers, checks between settings, warnings, and what is printed from the table.

import Foundation
import Settings
import Testing

private let server = Surroundings(cores: 6, stderrIsTerminal: false)

private func resolve(_ flags: [String: String], _ environment: [String: String] = [:]) throws -> ResolvedSettings {
  try SettingsTable.resolve(flags: flags, environment: environment, surroundings: server)
}

private func line(_ flags: [String: String], _ environment: [String: String] = [:]) -> String? {
  do {
    _ = try resolve(flags, environment)
    return nil
  } catch {
    return "\(error)"
  }
}

@Test func `with a team alone all others have the documented defaults`() throws {
  let resolved = try resolve([:], ["GATEWAY_TEAM_DOMAIN": "acme"])
  let settings = resolved.settings
  #expect(settings.issuers[0].issuer == "https://acme.cloudflareaccess.com")
  #expect(settings.issuers[0].keysLocation.description == "https://acme.cloudflareaccess.com/cdn-cgi/access/certs")
  #expect(settings.listen == [.tcp(host: "0.0.0.0", port: 8000)])
  #expect(settings.admin == .tcp(host: "127.0.0.1", port: 8001))
  #expect(settings.socketMode == 0o660)
  #expect(settings.socketOwner == nil)
  #expect(settings.stateDirectory == nil)
  #expect(settings.issuers[0].leewaySeconds == 30)
  #expect(settings.issuers[0].require == .identity)
  #expect(settings.unavailableStatus == 503)
  #expect(settings.issuers.count == 1)
  #expect(settings.issuers[0].algorithms == [.rs256])
  #expect(settings.issuers[0].proxy == nil)
  #expect(settings.caFile == nil)
  #expect(!settings.exposeReason)
  #expect(settings.keysRefreshSeconds == 3600)
  #expect(settings.keysMaxAgeSeconds == 7 * 86_400)
  #expect(settings.unknownKidWaitSeconds == 2)
  #expect(settings.eventLoops == 6)
  #expect(settings.verifyWorkers == 6)
  #expect(settings.maxConnections == 16_384)
  #expect(settings.maxPartialBytes == 64 << 20)
  #expect(settings.listenShared == .warn)
  #expect(settings.maxHeadBytes == 32_768)
  #expect(settings.headerTimeoutSeconds == 5)
  #expect(settings.idleTimeoutSeconds == 120)
  #expect(settings.drainTimeoutSeconds == 10)
  #expect(settings.tokenCacheBytes == 64 << 20)
  #expect(!settings.coreDumps)
  #expect(settings.logLevel == .info)
  #expect(settings.logFormat == .json)
  #expect(resolved.warnings.isEmpty)
}

@Test(arguments: [
  ("64KiB", "1", false), ("64KiB", "2", true), ("131071", "2", true), ("128KiB", "2", false), ("0", "64", false),
])
func `a memory of tokens that is too small for the loops is told`(_ size: String, _ loops: String, _ isTold: Bool)
  throws
{
  let warnings = try SettingsTable.resolve(
    flags: ["team_domain": "acme", "token_cache_bytes": size, "event_loops": loops], environment: [:],
    surroundings: Surroundings(cores: 1, stderrIsTerminal: true)
  ).warnings
  #expect(warnings.contains { $0.description.contains("remembers nothing") } == isTold)
}

@Test(arguments: [(0, 1), (1, 1), (64, 64), (200, 64)])
func `a loop a core stays within what is allowed`(_ cores: Int, _ loops: Int) throws {
  let settings = try SettingsTable.resolve(
    flags: ["team_domain": "acme"], environment: [:],
    surroundings: Surroundings(cores: cores, stderrIsTerminal: true)
  ).settings
  #expect(settings.eventLoops == loops)
  #expect(settings.verifyWorkers == loops)
  #expect(settings.logFormat == .text)
}

@Test func `a flag wins over a variable and a variable over the default`() throws {
  let environment = ["GATEWAY_TEAM_DOMAIN": "acme", "GATEWAY_LEEWAY": "10"]
  #expect(try resolve([:], environment).settings.issuers[0].leewaySeconds == 10)
  #expect(try resolve(["leeway": "20"], environment).settings.issuers[0].leewaySeconds == 20)
}

@Test func `a file gives way to variables and flags, and is named by its place`() throws {
  func resolve(_ flags: [String: String], _ environment: [String: String], _ file: [String: String]) throws
    -> GatewaySettings
  {
    try SettingsTable.resolve(
      flags: flags, environment: environment,
      file: SettingsSource(file.mapValues { GivenText($0, origin: "gateway.yaml:3: leeway") }), surroundings: server
    ).settings
  }
  let file = ["team_domain": "acme", "leeway": "5"]
  #expect(try resolve([:], [:], file).issuers[0].leewaySeconds == 5)
  #expect(try resolve([:], ["GATEWAY_LEEWAY": "6"], file).issuers[0].leewaySeconds == 6)
  #expect(try resolve(["leeway": "7"], ["GATEWAY_LEEWAY": "6"], file).issuers[0].leewaySeconds == 7)
  #expect(try resolve([:], [:], file).teamDomains == ["acme.cloudflareaccess.com"])
  let error = #expect(throws: SettingsError.self) { try resolve([:], [:], ["leeway": "x"]) }
  #expect(error?.description == "gateway.yaml:3: leeway: 'x' is refused; allowed: 0s to 300s")
}

@Test(arguments: [
  (["GATEWAY_TEAM_DOMAN": "acme"], "'GATEWAY_TEAM_DOMAN' is no setting: is GATEWAY_TEAM_DOMAIN meant?"),
  (["CF_TEAM_DOMAIN": "acme"], "'CF_TEAM_DOMAIN' is no setting: is CF_TEAMS_DOMAIN meant?"),
  (["gateway_team_domain": "acme"], "'gateway_team_domain' is no setting: is GATEWAY_TEAM_DOMAIN meant?"),
  (["GATEWAY_ISUER": "https://a"], "'GATEWAY_ISUER' is no setting: is GATEWAY_ISSUER meant?"),
  (["GATEWAY_TEAM_DOMAIN": " ", "HOME": "/"], "GATEWAY_TEAM_DOMAIN is empty"),
  (["CF_TEAMS_DOMAIN": ""], "CF_TEAMS_DOMAIN is empty"),
  (["HOME": "/", "GATEWAY_LISTEN": ":1", "PATH": "/bin"], "or give --issuer"),
]) func `beside the missing team stands what was meant by it`(_ environment: [String: String], _ hint: String) throws {
  let text = try #require(line([:], environment))
  #expect(text.hasPrefix("--team-domain (GATEWAY_TEAM_DOMAIN or CF_TEAMS_DOMAIN) is not set: acme, "))
  #expect(text.hasSuffix("; " + hint))
}

@Test func `an empty variable counts as unset and an empty flag is a mistake`() throws {
  let environment = ["GATEWAY_TEAM_DOMAIN": "", "CF_TEAMS_DOMAIN": "acme", "GATEWAY_LEEWAY": " \r\n"]
  let settings = try resolve([:], environment).settings
  #expect(settings.issuers[0].leewaySeconds == 30)
  #expect(settings.teamDomains == ["acme.cloudflareaccess.com"])
  #expect(line(["leeway": ""], environment) == "--leeway: '' is refused; allowed: 0s to 300s")
}

@Test func `a flag hides a bad variable`() throws {
  #expect(
    try resolve(["team_domain": "acme", "leeway": "1"], ["GATEWAY_LEEWAY": "x"]).settings.issuers[0].leewaySeconds == 1)
}

@Test func `the setting's own variable wins over CF_TEAMS_DOMAIN`() throws {
  let both = ["GATEWAY_TEAM_DOMAIN": "acme", "CF_TEAMS_DOMAIN": "other"]
  #expect(try resolve([:], both).settings.teamDomains == ["acme.cloudflareaccess.com"])
  #expect(
    line([:], ["CF_TEAMS_DOMAIN": "a b"])
      == "CF_TEAMS_DOMAIN: 'a b' is refused; allowed: acme, acme.cloudflareaccess.com or acme.fed.cloudflareaccess.com, with or without https://"
  )
}

@Test func `a mistake is named as the user gave it, escaped and cut`() {
  let team = ["GATEWAY_TEAM_DOMAIN": "acme"]
  #expect(
    line([:], team.merging(["GATEWAY_LEEWAY": "9\n\u{1b}[31m\u{e9}'\\\r\t"]) { $1 })
      == #"GATEWAY_LEEWAY: '9\n\u{1b}[31m\u{e9}\'\\\r\t' is refused; allowed: 0s to 300s"#)
  #expect(
    line(["leeway": String(repeating: "9", count: 81)], team)
      == "--leeway: '" + String(repeating: "9", count: 80) + "...' is refused; allowed: 0s to 300s")
  #expect(line(["leeway": String(repeating: "9", count: 80)], team)?.contains("...") == false)
  #expect(line(["lee_way": "3"], team) == "lee_way: '3' is refused; allowed: the name of a setting")
}

@Test func `without team and issuer the missing team is named`() {
  #expect(line([:])?.hasPrefix("--team-domain (GATEWAY_TEAM_DOMAIN or CF_TEAMS_DOMAIN) is not set: acme, ") == true)
  #expect(
    line(["keys_url": "file:/k"])?.hasPrefix("--team-domain (GATEWAY_TEAM_DOMAIN or CF_TEAMS_DOMAIN) is not set: ")
      == true)
  #expect(line(["issuer": "https://id.example"]) == nil)
}

@Test func `an issuer wins over a team, with a warning where they differ`() throws {
  let other = try resolve(["team_domain": "acme", "issuer": "https://id.example"])
  #expect(other.settings.issuers[0].issuer == "https://id.example")
  #expect(other.settings.issuers[0].keysLocation.description == "https://id.example/cdn-cgi/access/certs")
  #expect(
    other.warnings.map(\.description)
      == ["issuer https://id.example is used, and team_domain acme.cloudflareaccess.com is ignored"])
  let same = try resolve(["team_domain": "acme", "issuer": "https://acme.cloudflareaccess.com"])
  #expect(same.warnings.isEmpty)
}

@Test(arguments: [
  (["admin": "0.0.0.0:8000"], [:], "--admin: '0.0.0.0:8000' is refused; allowed: an address that is none of listen"),
  (
    ["admin": "127.0.0.1:8000"], [:], "--admin: '127.0.0.1:8000' is refused; allowed: an address that is none of listen"
  ),
  (
    [:], ["GATEWAY_LISTEN": "[::1]:1,0.0.0.0:8001"],
    "GATEWAY_LISTEN: '[::1]:1,0.0.0.0:8001' is refused; allowed: addresses other than that of admin, 127.0.0.1:8001"
  ),
  (
    ["listen": "unix:/a"], ["GATEWAY_ADMIN": "unix:/a"],
    "GATEWAY_ADMIN: 'unix:/a' is refused; allowed: an address that is none of listen"
  ),
  (
    ["tls_key": "/k"], [:], "--tls-key: '/k' is refused; allowed: off, unless tls_cert is given"
  ),
  (
    ["tls_client_names": "dns:a"], [:],
    "--tls-client-names: 'dns:a' is refused; allowed: off, unless tls_client_ca is given"
  ),
  (
    ["keys_max_age": "30m"], [:], "--keys-max-age: '30m' is refused; allowed: at least keys_refresh, 3600s"
  ),
  (
    ["keys_max_age": "30m", "keys_refresh": "31m"], [:],
    "--keys-refresh: '31m' is refused; allowed: at most keys_max_age, 1800s"
  ),
]) func `settings that cannot hold together are refused`(
  _ flags: [String: String], _ environment: [String: String], _ expected: String
) {
  #expect(line(flags.merging(["team_domain": "acme"]) { $1 }, environment) == expected)
}

@Test(arguments: [
  ["listen": "0.0.0.0:0", "admin": "0.0.0.0:0"], ["listen": "[::]:1", "admin": "127.0.0.1:1"],
  ["listen": "127.0.0.2:1", "admin": "127.0.0.1:1"], ["listen": "127.0.0.1:8001", "admin": "off"],
]) func `addresses that differ hold together`(_ flags: [String: String]) {
  #expect(line(flags.merging(["team_domain": "acme"]) { $1 }) == nil)
}

@Test func `an unknown variable warns and names the nearest setting`() throws {
  let environment = [
    "GATEWAY_TEAM_DOMAIN": "acme", "GATEWAY_LEEWAI": "1", "GATEWAY_\u{1b}": "x", "GATEWAY_PORT": "tcp://10.0.0.1:80",
    "GATEWAY_PORT_80_TCP": "tcp://10.0.0.1:80", "GATEWAY_SERVICE_HOST": "10.0.0.1", "GATEWAYS": "x", "HOME": "/",
  ]
  #expect(
    try resolve([:], environment).warnings.map(\.description) == [
      #"'GATEWAY_\u{1b}' is no setting and is ignored"#,
      "'GATEWAY_LEEWAI' is no setting and is ignored; is GATEWAY_LEEWAY meant?",
    ])
  #expect(try resolve(["team_domain": "acme"], ["GATEWAY_PORT": "80"]).warnings.count == 1)
}

@Test func `a value that is of no use is told by the source that won`() {
  let caFile = SettingsTable.all.caFile
  func mistake(_ flags: [String: String], _ environment: [String: String]) -> String {
    SettingsTable.mistake(in: caFile, allowed: "a file", flags: flags, environment: environment).description
  }
  let both = ["GATEWAY_CA_FILE": "/b"]
  #expect(mistake(["ca_file": "/a"], both) == "--ca-file: '/a' is refused; allowed: a file")
  #expect(mistake([:], both) == "GATEWAY_CA_FILE: '/b' is refused; allowed: a file")
}

@Test func `keys may be refreshed as often as they grow too old`() throws {
  let equal = ["team_domain": "acme", "keys_refresh": "10m", "keys_max_age": "600"]
  #expect(try resolve(equal).settings.keysMaxAgeSeconds == 600)
}

@Test func `the admin address alone needs no team`() throws {
  #expect(try SettingsTable.resolveAdmin(flag: nil, environment: [:]).address == .tcp(host: "127.0.0.1", port: 8001))
  #expect(try SettingsTable.resolveAdmin(flag: nil, environment: ["GATEWAY_ADMIN": "off"]).address == nil)
  #expect(throws: SettingsError.self) { try SettingsTable.resolveAdmin(flag: "x", environment: [:]) }
}

@Test func `the table has each setting once, in order, with its names`() {
  #expect(Set(SettingsTable.rows.map(\.name)).count == SettingsTable.rows.count)
  #expect(SettingsTable.rows.first?.name == "team_domain" && SettingsTable.rows.last?.name == "log_format")
  for row in SettingsTable.rows {
    #expect(row.fullHelp.contains(row.variable))
    #expect(row.fullHelp.contains(row.defaultInWords))
    #expect(!row.fullHelp.contains("\n") && !row.fullHelp.contains("|"))
    #expect(row.help.hasSuffix(".") && !row.allowed.hasSuffix("."))
  }
  #expect(SettingsTable.all.keysMaxAgeSeconds.flag == "--keys-max-age")
  #expect(SettingsTable.all.keysLocations.variable == "GATEWAY_KEYS_URL")
}

@Test func `values are written as they would be read`() throws {
  let odd = [
    "team_domain": "acme", "listen": "[::1]:0,unix:/a", "admin": "off", "leeway": "61", "keys_refresh": "90m",
    "max_head_bytes": "8193", "token_cache_bytes": "0", "drain_timeout": "0",
  ]
  let several = [
    "issuer": "https://a.example,https://b.example,https://c.example", "algorithms": "RS256+ES256,EdDSA,PS256",
    "leeway": "1,2,3", "require": "any", "keys_url": "file:/a,file:/b,http://c.example/k", "ca_file": "/ca",
    "token_types": "at+jwt,JWT", "allow_http_keys": "on", "listen_shared": "refuse", "unknown_kid_wait": "0",
    "max_partial_bytes": "1025KiB", "core_dumps": "on",
  ]
  for flags in [["team_domain": "acme"], ["team_domain": "a,b"], odd, several] {
    let settings = try resolve(flags).settings
    let again = SettingsTable.rows.map { ($0.name, settings.text(of: $0)) }.filter { !$0.1.isEmpty }
    #expect(try resolve(Dictionary(uniqueKeysWithValues: again)).settings == settings)
  }
  #expect(try resolve(odd).settings.text(of: SettingsTable.all.leeways) == "61s")
  #expect(try resolve(odd).settings.text(of: SettingsTable.all.keysRefreshSeconds) == "90m")
  #expect(try resolve(["team_domain": "acme"]).settings.text(of: SettingsTable.all.tokenCacheBytes) == "64MiB")
}

@Test(arguments: [
  ("127.0.0.1:1", true), ("127.9.0.1:1", true), ("[::1]:1", true), ("unix:/a", true), ("0.0.0.0:1", false),
  ("[::]:1", false), ("[::ffff:127.0.0.1]:1", false), ("10.0.0.1:1", false),
]) func `an address is loopback or not`(_ text: String, _ isLoopback: Bool) throws {
  #expect(try #require(NetworkAddress(text)).isLoopback == isLoopback)
}

@Test func `the README's table of settings is the table`() throws {
  let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  let readme = (try? String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)) ?? ""
  guard let start = readme.range(of: "<!-- settings -->\n"), let end = readme.range(of: "<!-- /settings -->") else {
    print("skipped: README.md has no <!-- settings --> … <!-- /settings --> markers")
    return
  }
  // UPDATE_README=1 writes the table instead of comparing it.
  if ProcessInfo.processInfo.environment["UPDATE_README"] == "1" {
    let updated = readme[..<start.upperBound] + SettingsTable.markdown + readme[end.lowerBound...]
    try updated.write(to: root.appending(path: "README.md"), atomically: true, encoding: .utf8)
    return
  }
  #expect(String(readme[start.upperBound..<end.lowerBound]) == SettingsTable.markdown)
}
