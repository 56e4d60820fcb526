// Where a configuration comes from, and how it is read: flags over environment over file over defaults, then the policies
// with their tests. Reads files; blocks on the disk. Every mistake is found in one run, as far as one does not hide another.

import HTTPFetch
import Policy
import Settings
import SettingsFile
import Telemetry

/// What the program was started with. Reading it again gives what the files say then.
struct ConfigurationSource: Sendable {
  /// Where a file is looked for when nobody names one; it need not be there.
  static let standardFile = "/etc/access-gateway/access-gateway.yaml"
  /// The variable that names the file.
  static let variable = "GATEWAY_CONFIG"

  /// By setting name, only those that were given.
  let flags: [String: String]
  let environment: [String: String]
  let surroundings: Surroundings
  /// What `--config` says; nil: nothing.
  let fileFlag: String?

  /// The file that was named, by flag or by variable; nil: nobody named one.
  private var namedFile: String? { fileFlag ?? environment[Self.variable].flatMap { $0.isEmpty ? nil : $0 } }

  // MARK: - The whole

  /// Reads everything: settings, the file, its policies; then runs its tests, which must pass.
  func load() -> Result<Configuration, ConfigurationMistakes> {
    switch readFile() {
    case .failure(let mistakes): .failure(ConfigurationMistakes(lines: mistakes.lines + otherMistakes(mistakes)))
    case .success(let file): settings(file)
    }
  }

  /// What else is wrong where the file is: in flags, in variables, and in what could be read of the file.
  private func otherMistakes(_ mistakes: FileMistakes) -> [String] {
    let reading = SettingsTable.read(
      flags: flags, environment: environment, file: mistakes.remainder?.settings ?? SettingsSource([:]),
      issuers: mistakes.remainder?.issuers ?? [], surroundings: surroundings)
    // What is missing may stand under the misspelt name; and no mistake is told twice.
    return reading.mistakes.filter { $0.value != nil }.map(Self.line).filter { line in
      !mistakes.lines.contains { $0.hasPrefix(line.prefix { $0 != "'" }) }
    }
  }

  private func settings(_ file: ReadFile?) -> Result<Configuration, ConfigurationMistakes> {
    let reading = SettingsTable.read(
      flags: flags, environment: environment, file: file?.settings ?? SettingsSource([:]),
      issuers: file?.issuers ?? [], surroundings: surroundings)
    guard let resolved = reading.resolved else {
      return .failure(ConfigurationMistakes(lines: reading.mistakes.map(Self.line)))
    }
    var lines = certificateMistakes(resolved.settings, file)
    var configuration = Configuration(settings: resolved.settings)
    configuration.warnings = resolved.warnings
    if let file {
      configuration.file = file.path
      configuration.revocationFile = file.contents.revocationFile?.value
      configuration.testFiles = file.testFiles.map(\.path)
      lines += policies(of: file, resolved.settings, &configuration)
    }
    return lines.isEmpty ? .success(configuration) : .failure(ConfigurationMistakes(lines: lines))
  }

  /// Compiles the policies and runs the file's tests; every mistake.
  private func policies(
    of file: ReadFile, _ settings: GatewaySettings, _ configuration: inout Configuration
  ) -> [String] {
    guard var definitions = file.contents.policies else {
      return file.testFiles.map { test in
        FileMistake(at: test.position, key: "tests", value: test.text, allowed: "no tests without applications")
          .line(file: file.path)
      }
    }
    if file.issuers.isEmpty, settings.issuers.count > 1 {
      let mistake = SettingsTable.mistake(
        in: settings.teamDomains.count > 1 ? SettingsTable.all.teamDomains : SettingsTable.all.issuerNames,
        allowed: "one issuer, or issuers: with a name each, for there are applications", flags: flags,
        environment: environment, file: file.settings)
      return [Self.line(mistake)]
    }
    definitions.metadata = settings.metadata
    definitions.trustedProxies = settings.trustedProxies
    switch PolicyFile.compile(definitions, file.path) {
    case .failure(let mistakes): return mistakes.lines
    case .success(let set):
      configuration.definitions = definitions
      configuration.policies = set
      return file.testFiles.flatMap { PolicyFile.failures(of: $0.path, set, definitions) }
    }
  }

  /// CA files that hold no certificates: every fetch of keys would fail by them.
  private func certificateMistakes(_ settings: GatewaySettings, _ file: ReadFile?) -> [String] {
    var lines: [String] = []
    let row = SettingsTable.all.caFile
    for issuer in settings.issuers {
      guard let path = issuer.caFile, let fault = TrustedCertificates.fault(inFile: path) else { continue }
      let allowed = "a file of PEM certificates, and system; \(fault)"
      let own = file?.issuers.first { $0.name == issuer.name }?.texts[row.name]
      let mistake =
        own.map { SettingsError(source: $0.origin, value: $0.text, allowed: allowed) }
        ?? SettingsTable.mistake(
          in: row, allowed: allowed, flags: flags, environment: environment,
          file: file?.settings ?? SettingsSource([:]))
      let line = Self.line(mistake)
      if !lines.contains(line) { lines.append(line) }
    }
    return lines
  }

  // MARK: - The file alone

  /// A file of policy tests that the settings file names.
  struct TestFile: Sendable {
    /// As the settings file writes it, relative to its own folder.
    let text: String
    /// As it is opened.
    let path: String
    let position: SourcePosition
  }

  /// A settings file that was read, with its texts as the settings' table takes them.
  struct ReadFile: Sendable {
    let path: String
    let contents: FileContents
    let settings: SettingsSource
    let issuers: [NamedIssuer]
    let testFiles: [TestFile]

    init(_ path: String, _ contents: FileContents) {
      self.path = path
      self.contents = contents
      func given(_ settings: [String: FileSetting], joining: (String) -> String) -> [String: GivenText] {
        Dictionary(
          uniqueKeysWithValues: settings.filter { !$0.value.values.isEmpty }.map { name, setting in
            let text = setting.values.map(\.value).joined(separator: joining(name))
            return (name, GivenText(text, origin: "\(path):\(setting.position): \(name)"))
          })
      }
      // Beside `issuers:` the reader has refused a team.
      let isTeam = Set([SettingsTable.all.teamDomains.name, SettingsTable.all.issuerNames.name])
      settings = SettingsSource(
        given(contents.settings.filter { contents.issuers.isEmpty || !isTeam.contains($0.key) }) { _ in "," })
      // Of one issuer, several algorithms are one value.
      issuers = contents.issuers.map { section in
        NamedIssuer(
          name: section.name, origin: "\(path):\(section.position): \(section.name)",
          texts: given(section.settings) { $0 == SettingsTable.all.algorithms.name ? "+" : "," })
      }
      let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
      testFiles = contents.tests.map { TestFile(text: $0.value, path: folder + $0.value, position: $0.position) }
    }
  }

  /// Why there is no settings file, and what could be read of it.
  struct FileMistakes: Error {
    let lines: [String]
    let remainder: ReadFile?
  }

  /// Reads the settings file alone; nil where there is none and nobody named one.
  func readFile() -> Result<ReadFile?, FileMistakes> {
    let path = namedFile ?? Self.standardFile
    func failure(_ mistake: FileMistake) -> Result<ReadFile?, FileMistakes> {
      .failure(FileMistakes(lines: [mistake.line(file: path)], remainder: nil))
    }
    switch SafeFile.read(path, limit: DocumentLimits.settings.bytes) {
    case .missing:
      if namedFile == nil { return .success(nil) }
      return failure(FileMistake(at: .start, key: nil, value: "no such file", allowed: "a file that is there"))
    case .refused(let mistake): return failure(mistake)
    case .bytes(let bytes):
      let reading = SettingsFileReader(settings: Self.knownSettings).read(bytes)
      guard let contents = reading.value else {
        return .failure(
          FileMistakes(
            lines: reading.lines(file: path).map(TokenSearch.redact),
            remainder: reading.remainder.map { ReadFile(path, $0) }))
      }
      return .success(ReadFile(path, contents))
    }
  }

  /// What the settings file says of settings, for commands that need `admin` alone: whatever else is wrong with the file
  /// must not keep a health check from asking.
  static func adminSource(_ config: String?, _ environment: [String: String]) -> SettingsSource {
    let source = ConfigurationSource(
      flags: [:], environment: environment, surroundings: processSurroundings(), fileFlag: config)
    return switch source.readFile() {
    case .success(let file): file?.settings ?? SettingsSource([:])
    case .failure(let mistakes): mistakes.remainder?.settings ?? SettingsSource([:])
    }
  }

  /// The settings that a file may hold.
  static let knownSettings = SettingsTable.rows.map { KnownSetting($0.name, isList: $0.isList) }

  /// A mistake as its line. Whoever starts the program may keep what it says: a token that was pasted into the wrong
  /// setting is left out.
  private static func line(_ mistake: SettingsError) -> String {
    SettingsError(source: mistake.source, value: mistake.value.map(TokenSearch.redact), allowed: mistake.allowed)
      .description
  }
}
