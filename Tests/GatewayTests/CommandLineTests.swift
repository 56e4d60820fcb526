// The command line: flags and the table agree, exit codes, help.

import ArgumentParser
import Foundation
import HTTPSyntax
import POSIX
import Settings
import Testing

@testable import Gateway

/// The exit code of a command line that ends before or by running its command.
private func exitCode(_ arguments: [String]) -> Int32 {
  do {
    var command = try AccessGateway.parseAsRoot(arguments)
    try command.run()
    return 0
  } catch {
    return AccessGateway.exitCode(for: error).rawValue
  }
}

@Test(arguments: SettingsTable.rows.map(\.name)) func `each setting is a flag of its name, taken as text`(
  _ name: String
)
  throws
{
  let flag = "--" + name.replacing("_", with: "-")
  #expect(try SettingsFlags.parse([flag, "any text"]).given == [name: "any text"])
  #expect(try SettingsFlags.parse([flag, ""]).given == [name: ""])
}

@Test func `no flag means nothing given, and there is no flag beyond the table`() throws {
  #expect(try SettingsFlags.parse([]).given.isEmpty)
  let flags = SettingsFlags.helpMessage(columns: 2000).split(separator: "\n")
    .compactMap { $0.split(separator: " ").first }.filter { $0.hasPrefix("--") }.map(String.init)
  #expect(flags == ["--config"] + SettingsTable.rows.map(\.flag))
}

@Test(arguments: SettingsTable.rows.map(\.name)) func `help tells flag, variable and default of each setting`(
  _ name: String
) throws {
  let row = try #require(SettingsTable.rows.first { $0.name == name })
  let texts = [
    AccessGateway.helpMessage(for: ServeCommand.self, columns: 2000),
    AccessGateway.helpMessage(for: CheckCommand.self, columns: 2000),
    AccessGateway.helpMessage(for: ExplainCommand.self, columns: 2000),
    AccessGateway.helpMessage(columns: 2000),
  ]
  for text in texts {
    #expect(text.contains("\(row.flag) <\(row.placeholder)>"))
    #expect(text.contains(row.variable))
    #expect(text.contains("default: \(row.defaultInWords)"))
  }
  #expect(texts[0].contains(row.help))
  #expect(texts[0].contains("Allowed: \(row.allowed)."))
}

@Test func `each command is in the help`() {
  let text = AccessGateway.helpMessage(columns: 200)
  for command in [
    "serve (default)", "check", "test", "explain", "schema", "healthcheck", "keys", "token", "issuer", "demo",
  ] {
    #expect(text.contains("\n  \(command) "))
  }
  #expect(AccessGateway.configuration.version == programVersion)
}

@Test(arguments: [
  ["--no-such-flag"], ["nonsense"], ["explain", "a.b.c"], ["explain", "a.b.c", "--audience", "a b"],
  ["explain", "a.b.c", "--audience", ""], ["explain", "a.b.c", "--audience", "a", "--now=-1"],
  ["explain", "a.b.c", "--audience", "a", "--now", "1e9"], ["issuer", "--listen", "0.0.0.0:9000"],
  ["issuer", "--listen", "unix:/a"], ["demo", "--listen", "0.0.0.0:1"],
  ["demo", "--listen", "127.0.0.1:1", "--admin", "127.0.0.1:1"], ["token"],
  ["token", "--audience", "a", "--email", "a@b", "--service", "c"],
  ["token", "--audience", "a", "--issuer", "https://127.0.0.1"],
  ["token", "--audience", "a", "--issuer", "http://a.example"],
]) func `usage mistakes end with 64`(_ arguments: [String]) {
  #expect(exitCode(arguments) == 64)
}

@Test(arguments: [
  ["--team-domain", "https://acme.example"], ["serve", "--team-domain", "acme", "--leeway", "1h"],
  ["check", "--offline", "--team-domain", "acme", "--admin", "0.0.0.0:8000"],
  ["explain", "a.b.c", "--audience", "a", "--team-domain", "acme", "--keys", "http://a.example"],
  ["healthcheck", "--admin", "nowhere"],
]) func `mistakes in settings end with 78`(_ arguments: [String]) {
  #expect(exitCode(arguments) == 78)
}

@Test func `a check of right settings ends with 0, a health check of an admin that is off with 1`() {
  #expect(exitCode(["check", "--offline", "--team-domain", "acme"]) == 0)
  #expect(exitCode(["healthcheck", "--admin", "off"]) == 1)
}

@Test func `explain takes its token from the command line or, with none or a dash, from standard input`() throws {
  let rest = ["--audience", "a", "--keys", "keys.json", "--now", "1700000000"]
  let given = try #require(try AccessGateway.parseAsRoot(["explain", "a.b.c"] + rest) as? ExplainCommand)
  #expect(given.token == "a.b.c")
  #expect(given.now == 1_700_000_000)
  #expect(try #require(try AccessGateway.parseAsRoot(["explain"] + rest) as? ExplainCommand).token == nil)
  #expect(try #require(try AccessGateway.parseAsRoot(["explain", "-"] + rest) as? ExplainCommand).token == "-")
}

@Test func `keys are a URL or a file by path`() {
  #expect(keysText("https://a.example/k") == "https://a.example/k")
  #expect(keysText("file:/a") == "file:/a")
  #expect(keysText("/a/k.json") == "file:/a/k.json")
  #expect(keysText("k.json") == "file:" + FileManager.default.currentDirectoryPath + "/k.json")
}

@Test(arguments: [
  ("a", true), (String(repeating: "f", count: 64), true), ("Az0._~-", true), (String(repeating: "a", count: 128), true),
  ("", false), (String(repeating: "a", count: 129), false), ("a/b", false), ("é", false), ("a%20", false),
]) func `an audience is what SPEC says`(_ text: String, _ isGood: Bool) {
  #expect(isAudience(text) == isGood)
}

@Test func `the environment is the process's`() {
  #expect(processEnvironment() == ProcessInfo.processInfo.environment)
  #expect((1...ProcessInfo.processInfo.processorCount).contains(processSurroundings().cores))
}
