// Issuers that a file names, and that all mistakes are found in one run.

import Settings
import Testing

private func read(
  _ issuers: [(String, [String: String])], flags: [String: String] = [:], environment: [String: String] = [:],
  file: [String: String] = [:]
) -> SettingsReading {
  func given(_ texts: [String: String], _ place: String) -> [String: GivenText] {
    Dictionary(uniqueKeysWithValues: texts.map { ($0.key, GivenText($0.value, origin: "\(place): \($0.key)")) })
  }
  return SettingsTable.read(
    flags: flags, environment: environment, file: SettingsSource(given(file, "f:1:1")),
    issuers: issuers.map { NamedIssuer(name: $0.0, origin: "f:2:2: \($0.0)", texts: given($0.1, "f:\($0.0)")) },
    surroundings: Surroundings(cores: 2, stderrIsTerminal: false))
}

private func lines(_ reading: SettingsReading) -> [String] { reading.mistakes.map(\.description) }

@Test func `an issuer's own settings win over those for all, and the rest is as for all`() throws {
  let issuers = try #require(
    read(
      [
        ("staff", ["team_domain": "acme"]),
        (
          "lab", ["issuer": "https://id.example/x", "algorithms": "ES256+RS256", "leeway": "60", "ca_file": "/lab.pem"]
        ),
      ], flags: ["leeway": "7"], file: ["ca_file": "/all.pem", "require": "any"]
    ).resolved
  ).settings.issuers
  #expect(issuers.map(\.name) == ["staff", "lab"])
  #expect(issuers.map(\.leewaySeconds) == [7, 60])
  #expect(issuers.map(\.caFile) == ["/all.pem", "/lab.pem"])
  #expect(issuers.map(\.algorithms) == [[.rs256], [.es256, .rs256]])
  #expect(issuers.map(\.require) == [.any, .any])
  #expect(issuers[1].keysLocation.description == "https://id.example/x/cdn-cgi/access/certs")
}

@Test func `without named issuers the one there is has the name default and the CA file for all`() throws {
  let issuers = try #require(read([], flags: ["team_domain": "acme", "ca_file": "/all.pem"]).resolved).settings.issuers
  #expect(issuers.map(\.name) == ["default"])
  #expect(issuers.map(\.caFile) == ["/all.pem"])
}

@Test(arguments: [
  (["team_domain": "x"], [:]), (["issuer": "https://x.example"], [:]), ([:], ["CF_TEAMS_DOMAIN": "x"]),
  ([:], ["GATEWAY_ISSUER": "https://x.example"]),
])
func `a team or an issuer beside named ones is a mistake`(_ flags: [String: String], _ environment: [String: String]) {
  let found = lines(read([("staff", ["team_domain": "acme"])], flags: flags, environment: environment))
  #expect(found.count == 1)
  #expect(found.allSatisfy { $0.contains("under the names of issuers: alone") })
}

@Test func `each mistake of each issuer is told with its place`() {
  let found = lines(
    read([
      ("a", ["team_domain": "acme", "leeway": "301"]), ("b", ["team_domain": "x,y"]), ("c", ["leeway": "1"]),
      ("d", ["team_domain": "acme"]), ("e", ["issuer": "https://acme.cloudflareaccess.com"]),
      ("f", ["team_domain": "f", "algorithms": "ES256"]),
    ]))
  #expect(
    found == [
      "f:a: leeway: '301' is refused; allowed: 0s to 300s",
      "f:b: team_domain: 'x,y' is refused; allowed: one value, for this is one issuer",
      "f:2:2: c is not set: team_domain or issuer",
      "f:2:2: e: 'https://acme.cloudflareaccess.com' is refused; allowed: an issuer that d is not already",
      "f:f: algorithms: 'ES256' is refused; allowed: RS256 alone for https://f.cloudflareaccess.com",
    ])
}

@Test func `more than sixteen named issuers are a mistake`() {
  let issuers = (1...17).map { ("i\($0)", ["team_domain": "t\($0)"]) }
  #expect(lines(read(issuers)).contains { $0.contains("at most 16") })
  #expect(read(Array(issuers.dropLast())).resolved != nil)
}

@Test func `all mistakes are found in one run, and none that hangs on a value that was refused`() {
  let found = lines(
    read(
      [], flags: ["team_domain": "acme..", "leeway": "x"], environment: ["GATEWAY_ADMIN": "0.0.0.0:8000"],
      file: ["keys_refresh": "2h", "keys_max_age": "1h"]))
  #expect(found.count == 4)
  for start in ["--team-domain", "--leeway", "GATEWAY_ADMIN", "f:1:1: keys_refresh"] {
    #expect(found.contains { $0.hasPrefix(start) }, "\(start) in \(found)")
  }
}
