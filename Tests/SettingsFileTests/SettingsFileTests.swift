// Files as people write them, good and bad: every mistake with its place.

import Policy
import Testing

@testable import SettingsFile

private let reader = SettingsFileReader(settings: [
  KnownSetting("team_domain"), KnownSetting("leeway"), KnownSetting("listen", isList: true),
])

private func lines(_ text: String) -> [String] { reader.read(Array(text.utf8)).lines(file: "f") }

private func application(_ rest: String) -> String {
  "version: 1\napplications:\n  wiki:\n    audience: x\n    \(rest)\n"
}

@Test(
  arguments: [
    ("", "f:1:1: '' is refused; allowed: a file that is not empty"),
    ("# nothing\n", "f:1:1: '' is refused; allowed: a file that is not empty"),
    ("\u{feff}leeway: 1", "f:1:1: 'a byte order mark' is refused; allowed: UTF-8 without one"),
    ("leeway: &a 1", "f:1:9: 'an anchor (&)' is refused; allowed: values written out where they stand"),
    ("leeway: *a", "f:1:9: 'an alias (*)' is refused; allowed: values written out where they stand"),
    ("leeway: !!str 1", "f:1:9: 'a tag (!)' is refused; allowed: values without a tag"),
    ("leeway: ! 1", "f:1:9: 'a tag (!)' is refused; allowed: values without a tag"),
    ("leeway: 1\nleeway: 2", "f:2:1: leeway: 'leeway' is refused; allowed: each key once"),
    ("%YAML 1.1\n---\nleeway: 1", "f:1:1: 'a directive (%)' is refused; allowed: YAML without directives"),
    ("leeway: 1\n---\nleeway: 1", "f:2:1: 'a second document (---)' is refused; allowed: one document"),
    ("? [a]\n: 1", "f:1:3: 'a key that is a list or a map' is refused; allowed: keys that are text"),
    (
      "leeway: 1\n\tx: 1",
      "f:2:1: '\\tx: 1' is refused; allowed: well-formed YAML (found a tab character that violates indentation)"
    ),
    ("leeway: a\u{7}", "f:1:10: '\\u{7}' is refused; allowed: text without control characters"),
    ("leway: 1", "f:1:1: leway: 'leway' is refused; allowed: leeway?"),
    ("leeway: [1]", "f:1:9: leeway: '[...]' is refused; allowed: a value"),
    ("leeway:", "f:1:8: leeway: '' is refused; allowed: a value"),
    ("listen: []", "f:1:9: listen: '[]' is refused; allowed: a list with at least one element, or no listen at all"),
    ("version: 2", "f:1:10: version: '2' is refused; allowed: 1"),
    (
      "applications: {wiki: {audience: x}}",
      "f:1:1: version: '' is refused; allowed: version: 1, which a file with applications needs"
    ),
    (
      "team_domain: a\nissuers: {b: {team_domain: b}}",
      "f:2:1: issuers: 'issuers' is refused; allowed: only one of issuers, team_domain"
    ),
    (
      application("audiences: [y]"),
      "f:5:5: audiences: 'audiences' is refused; allowed: only one of audience, audiences"
    ),
    (application("issuer: other"), "f:5:13: issuer: 'other' is refused; allowed: a name under issuers: default"),
    (application("headers: {Host: {claim: email}}"), "f:5:15: headers: 'Host' is refused; allowed: "),
    (
      application("headers: {X-A: {claim: a}, x-a: {claim: a}}"),
      "f:5:32: headers: 'x-a' is refused; allowed: each header once"
    ),
    (
      application("policies: [{name: a, action: bypass, require: {everyone: true}}]"),
      "f:5:42: require: 'require' is refused"
    ),
    (application("policies: [{name: a, action: allow}]"), "f:5:16: include: '' is refused; allowed: who is let in"),
    (
      application("policies: [{name: a, action: allow, mode: report, include: {everyone: true}}]"),
      "f:5:47: mode: 'report'"
    ),
    (
      application("policies: [{name: a, action: deny}, {name: a, action: deny}]"),
      "f:5:48: name: 'a' is refused; allowed: a name of its own"
    ),
    (
      application("policies: [{name: a, action: deny, include: {everyone: false}}]"),
      "f:5:60: everyone: 'false' is refused; allowed: true"
    ),
    (
      application("policies: [{name: a, action: deny, include: {groups: [x]}}]"),
      "f:5:59: groups: 'x' is refused; allowed: a name under groups, and there is none"
    ),
    (application("policies: [{name: a, action: deny, match: {paths: [/a*]}}]"), "f:5:56: paths: '/a*' is refused"),
    (application("wat: 1\n  x: {audience: x}"), "f:5:5: wat: 'wat' is refused; allowed: one of issuer"),
    (
      "version: 1\ngroups: {a: {include: {groups: [a]}}}\napplications: {w: {audience: x}}",
      "f:2:10: groups: 'a' is refused; allowed: groups that do not hold themselves"
    ),
    ("version: 1\nservice_tokens: {ci: host}\n", "f:2:22: ci: 'host' is refused; allowed: a Client ID"),
    (
      "version: 1\napplications: {a: {audience: x}, b: {audience: x}}",
      "f:2:34: audiences: 'x' is refused; allowed: an audience that a does not have"
    ),
    (
      "version: 1\napplications: {a: {audience: b}, b: {audience: x}}",
      "f:2:34: applications: 'b' is refused; allowed: a name that is no audience of a"
    ),
  ] as [(String, String)]) func `a mistake is told with its place`(_ text: String, _ line: String)
{
  let lines = lines(text)
  #expect(lines.contains { $0.hasPrefix(line) }, "\(lines)")
}

@Test func `all mistakes come in one run, in the file's order`() {
  let found = lines("version: 3\nleway: 1\n" + "applications:\n  W:\n    audience: a b\n    hosts: [x:1]\n")
  #expect(
    found.map { $0.prefix { $0 != "'" } } == [
      "f:1:10: version: ", "f:2:1: leway: ", "f:4:3: applications: ", "f:5:15: audience: ", "f:6:13: hosts: ",
    ])
}

@Test func `a value cannot end its line or drive a terminal, and a long one is cut`() {
  let found = lines("leeway: [\"\\e[31m\\n\"]\n\"x\\ny\": 1\nversion: '" + String(repeating: "z", count: 200) + "'\n")
  #expect(found.count == 3)
  #expect(found.allSatisfy { $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } })
  #expect(found[2].contains("'" + String(repeating: "z", count: 80) + "...'"))
}

@Test(arguments: [
  ("bytes", DocumentLimits(bytes: 5, levels: 16, nodes: 100)),
  ("levels", DocumentLimits(bytes: 100, levels: 1, nodes: 100)),
  ("nodes", DocumentLimits(bytes: 100, levels: 16, nodes: 3)),
]) func `a file over a limit is not read on`(_ name: String, _ limits: DocumentLimits) {
  let reading = DocumentReading.read(Array("a: [1]\n".utf8), limits: limits)
  #expect(reading.root == nil && reading.mistakes.count == 1 && reading.mistakes[0].allowed.contains(name))
}

@Test func `scalars stay text`() throws {
  let file = "leeway: 0x1F\nlisten: [NO, 1_0]\nteam_domain: |\n  acme\n"
  let settings = try #require(reader.read(Array(file.utf8)).value).settings
  #expect(settings["leeway"]?.text == "0x1F" && settings["listen"]?.values.map(\.value) == ["NO", "1_0"])
  #expect(settings["listen"]?.text == "NO,1_0" && settings["listen"]?.isList == true)
  #expect(settings["listen"]?.position == SourcePosition(line: 2, column: 10))
}

@Test func `issuers come with what is theirs, and a file without applications has no policies`() throws {
  let file =
    "issuers:\n  staff: {team_domain: acme}\n  partners: {team_domain: other, leeway: 60s, algorithms: [RS256]}\n"
  let contents = try #require(reader.read(Array(file.utf8)).value)
  #expect(contents.policies == nil && contents.issuers.map(\.name) == ["staff", "partners"])
  #expect(contents.issuers[1].settings["leeway"]?.text == "60s")
}

// MARK: - Revocations and policy tests

private let definitions = PolicyDefinitions(
  issuers: ["staff"],
  serviceTokens: [ServiceTokenDefinition(name: "ci", clientID: "0123456789abcdef0123456789abcdef.access")],
  applications: [ApplicationDefinition(name: "wiki", audiences: ["x"], policies: [])])

@Test func `a revocation file becomes entries, and an empty one is good`() {
  let reader = RevocationFileReader(definitions)
  let file = """
    revoked:
      - {email: A@b.c, issued_before: 2026-01-01T00:00:00Z, note: left}
      - {service_token: ci, issuer: staff, until: "2026-01-01T00:00:00Z"}
      - {token_sha256: \(String(repeating: "aB", count: 32))}
    """
  let list = reader.read(Array(file.utf8)).value
  #expect(
    list == [
      Revocation(.email, Array("A@b.c".utf8), issuedBefore: 1_767_225_600),
      Revocation(.serviceToken, Array("0123456789abcdef0123456789abcdef.access".utf8), issuer: 0, until: 1_767_225_600),
      Revocation(.tokenDigest, [UInt8](repeating: 0xAB, count: 32)),
    ])
  for empty in ["", "# none\n", "revoked: []\n"] { #expect(reader.read(Array(empty.utf8)).value == []) }
}

@Test(arguments: [
  "revoked: [{email: a@b.c, subject: x}]", "revoked: [{note: x}]", "revoked: [{service_token: who}]",
  "revoked: [{email: a@b.c, issuer: x}]", "revoked: [{token_sha256: ab}]", "revoked: [{email: a@b.c, until: tomorrow}]",
  "revoked: {}", "revokd: []", "[]", "revoked: [", "revoked: []\nx: 1",
]) func `a bad revocation file is refused`(_ text: String) {
  let reading = RevocationFileReader(definitions).read(Array(text.utf8))
  #expect(reading.value == nil && !reading.mistakes.isEmpty)
}

@Test(arguments: [
  ("as: nobody", "as: 'nobody'"), ("as: {service_token: no}", "service_token: 'no'"),
  ("as: {email: a@b.c, common_name: x}", "only one of"), ("expect: maybe", "expect: 'maybe'"),
]) func `a policy test with an unknown name is a mistake`(_ part: String, _ words: String) {
  let expectation = part.hasPrefix("expect") ? "" : ", expect: deny"
  let file = "version: 1\ntests: [{name: a, application: wiki, \(part)\(expectation)}]\n"
  let lines = PolicyTestsReader(definitions).read(Array(file.utf8)).lines(file: "t")
  #expect(lines.count == 1 && lines[0].contains(words), "\(lines)")
}

@Test func `an unknown application or policy in a policy test is a mistake`() {
  for test in ["application: wik, expect: deny", "application: wiki, expect: {verdict: deny, policy: no}"] {
    let file = "version: 1\ntests: [{name: a, \(test)}]\n"
    #expect(PolicyTestsReader(definitions).read(Array(file.utf8)).mistakes.count == 1)
  }
}

// MARK: - Whom a file may be believed

private let mine = FileStatus(owner: 1000, mode: 0o600)
private let folder = FileStatus(owner: 1000, mode: 0o755)

@Test(arguments: [
  (mine, folder, true), (FileStatus(owner: 0, mode: 0o644), folder, true),
  (FileStatus(owner: 5, mode: 0o600), folder, false),
  (FileStatus(owner: 1000, mode: 0o620), folder, false), (FileStatus(owner: 1000, mode: 0o602), folder, false),
  (mine, FileStatus(owner: 1000, mode: 0o777), false), (mine, FileStatus(owner: 1000, mode: 0o1777), true),
  (mine, FileStatus(owner: 1000, mode: 0o775), false), (mine, FileStatus(owner: 5, mode: 0o755), false),
  (mine, FileStatus(owner: 0, mode: 0o777, isOnReadOnlyMount: true), true),
  (FileStatus(owner: 1000, mode: 0o600, isRegularFile: false), folder, false),
]) func `a file that others can exchange or write is not believed`(
  _ file: FileStatus, _ folder: FileStatus, _ isGood: Bool
) {
  #expect((FileSafety.complaint(file: file, folders: [folder], user: 1000) == nil) == isGood)
}

@Test(arguments: [0, 14, 15, 16, 17, 39]) func `a key twice is found in a map of any length`(_ again: Int) {
  let keys = (0..<40).map { "k\($0): 1\n" }
  let reading = DocumentReading.read(Array((keys.joined() + keys[again]).utf8), limits: .settings)
  #expect(reading.mistakes.map(\.value) == ["k\(again)"])
  let short = DocumentReading.read(Array((keys.prefix(again + 1).joined() + keys[again]).utf8), limits: .settings)
  #expect(short.mistakes.map(\.value) == ["k\(again)"])
}
