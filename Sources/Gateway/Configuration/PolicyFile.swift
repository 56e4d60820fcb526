// The files that policies lead to: their tests and the revocations. Reads files; blocks on the disk.

import Policy
import SettingsFile
import Wording

enum PolicyFile {
  /// Compiles what a settings file says about applications.
  static func compile(_ definitions: PolicyDefinitions, _ file: String) -> Result<PolicySet, ConfigurationMistakes> {
    do throws(CompileError) {
      return .success(try definitions.compile())
    } catch {
      let mistake = FileMistake(at: error.position, key: error.key, value: error.value, allowed: error.allowed)
      return .failure(ConfigurationMistakes(lines: [mistake.line(file: file)]))
    }
  }

  /// Reads the cases of a policy test file.
  ///
  /// - Parameter isTrusted: whether the file decides whether a gateway starts, so that nobody else may write it.
  static func cases(
    in path: String, _ definitions: PolicyDefinitions, isTrusted: Bool
  ) -> Result<[PolicyCase], ConfigurationMistakes> {
    switch bytes(of: path, limit: DocumentLimits.settings.bytes, isTrusted: isTrusted) {
    case .failure(let mistakes): return .failure(mistakes)
    case .success(let bytes):
      let reading = PolicyTestsReader(definitions).read(bytes)
      guard let cases = reading.value else {
        return .failure(ConfigurationMistakes(lines: reading.lines(file: path)))
      }
      return .success(cases)
    }
  }

  /// Runs a policy test file: its mistakes, or a line for each case that failed.
  static func failures(of path: String, _ set: PolicySet, _ definitions: PolicyDefinitions) -> [String] {
    switch cases(in: path, definitions, isTrusted: true) {
    case .failure(let mistakes): return mistakes.lines
    case .success(let cases):
      var runner = CaseRunner(set, definitions)
      return cases.compactMap { test in
        let result = runner.run(test)
        if result.isPassed { return nil }
        let why = escapedForOneLine(result.failures.joined(separator: "; "), limit: 1024, escapingQuotes: false)
        return
          "\(escapedForOneLine(path, limit: 4096)):\(test.position): \(quotedForOneLine(test.title)) failed: \(why)"
      }
    }
  }

  /// Reads a revocation file.
  static func revocations(
    in path: String, _ definitions: PolicyDefinitions
  ) -> Result<[Revocation], ConfigurationMistakes> {
    switch bytes(of: path, limit: DocumentLimits.revocation.bytes, isTrusted: true) {
    case .failure(let mistakes): return .failure(mistakes)
    case .success(let bytes):
      let reading = RevocationFileReader(definitions).read(bytes)
      guard let list = reading.value else {
        return .failure(ConfigurationMistakes(lines: reading.lines(file: path)))
      }
      return .success(list)
    }
  }

  private static func bytes(
    of path: String, limit: Int, isTrusted: Bool
  ) -> Result<[UInt8], ConfigurationMistakes> {
    func failure(_ mistake: FileMistake) -> Result<[UInt8], ConfigurationMistakes> {
      .failure(ConfigurationMistakes(lines: [mistake.line(file: path)]))
    }
    switch SafeFile.read(path, limit: limit, isTrusted: isTrusted) {
    case .bytes(let bytes): return .success(bytes)
    case .refused(let mistake): return failure(mistake)
    case .missing:
      return failure(FileMistake(at: .start, key: nil, value: "no such file", allowed: "a file that is there"))
    }
  }
}

extension Configuration {
  /// Reads the revocation file, as it is now; an empty list where the settings name none.
  func revocations() -> Result<[Revocation], ConfigurationMistakes> {
    guard let revocationFile else { return .success([]) }
    let named = definitions ?? PolicyDefinitions(issuers: settings.issuers.map(\.name))
    return PolicyFile.revocations(in: revocationFile, named)
  }
}
