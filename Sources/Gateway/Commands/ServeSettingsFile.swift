// `serve` with a settings file: reads it, and tells the supervisor how to read it again.

import Authorization
import POSIX
import Policy
import Settings
import SettingsFile
import Telemetry

extension ServeCommand {
  /// Serves by a settings file under the flags and the environment. A mistake ends the command with a line each and 78.
  func serve(_ file: String) throws {
    let source = SettingsFileSource(
      file: file, flags: flags.given, environment: processEnvironment(), surroundings: processSurroundings())
    switch source.load() {
    case .failure(let mistakes):
      for line in mistakes.lines { printError(line) }
      try finish(78)
    case .success(let served):
      let log = Log(served.settings)
      let code = Serve.run(served, try served.settings.listenOptions(), log, load: { source.load() })
      log.flush(milliseconds: 500)
      try finish(code)
    }
  }
}

/// What the program was started with; reading it again gives what the file says then.
private struct SettingsFileSource: Sendable {
  let file: String
  let flags: [String: String]
  let environment: [String: String]
  let surroundings: Surroundings

  func load() -> Result<ServedConfiguration, LoadMistakes> {
    let bytes: [UInt8]
    switch SafeFile.read(file, limit: DocumentLimits.settings.bytes) {
    case .bytes(let read): bytes = read
    case .refused(let mistake): return .failure(LoadMistakes([mistake.line(file: file)]))
    case .missing:
      let mistake = FileMistake(at: .start, key: nil, value: "no such file", allowed: "a file that is there")
      return .failure(LoadMistakes([mistake.line(file: file)]))
    }
    let reading = SettingsFileReader(settings: SettingsTable.rows.map { KnownSetting($0.name, isList: true) })
      .read(bytes)
    guard let contents = reading.value else { return .failure(LoadMistakes(reading.lines(file: file))) }
    guard contents.issuers.isEmpty, contents.tests.isEmpty else {
      return .failure(LoadMistakes(["\(file):1:1: issuers and tests cannot be used yet"]))
    }
    var texts: [String: GivenText] = [:]
    for (name, setting) in contents.settings where SettingsTable.rows.contains(where: { $0.name == name }) {
      texts[name] = GivenText(setting.text, origin: "\(file):\(setting.position): \(name)")
    }
    do throws(SettingsError) {
      let resolved = try SettingsTable.resolve(
        flags: flags, environment: environment, file: SettingsSource(texts), surroundings: surroundings)
      var served = ServedConfiguration(settings: resolved.settings)
      served.file = file
      served.revocationFile = contents.revocationFile?.value
      if let definitions = contents.policies {
        served.definitions = definitions
        do throws(CompileError) {
          served.policies = try definitions.compile()
        } catch {
          return .failure(LoadMistakes(["\(file):\(error)"]))
        }
      }
      switch contents.settings["decision_log"]?.text {
      case "all": served.decisionLog = .all
      case "off": served.decisionLog = .off
      default: served.decisionLog = .denied
      }
      return .success(served)
    } catch {
      return .failure(LoadMistakes([error.description]))
    }
  }
}
