// `serve`: reads the settings, opens the log, and hands over to `Serve`.

import ArgumentParser
import EventLoops
import HTTPFetch
import HTTPServing
import POSIX
import Settings
import Telemetry

struct ServeCommand: TakesSignals {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Answer proxies (the default).",
    discussion: "Runs until SIGTERM or SIGINT, then answers what is in flight. SIGHUP fetches the keys at once.")

  @OptionGroup(title: "Settings") var flags: SettingsFlags

  func run() throws {
    let source = flags.source()
    let configuration = try source.loaded()
    if case .failure(let mistakes) = configuration.revocations() { throw Failure.configuration(mistakes) }
    let options = try configuration.settings.listenOptions()
    let log = Log(configuration.settings)
    for warning in configuration.warnings {
      log.warning("settings", ("note", .string(warning.description)))
    }
    let code = Serve.run(configuration, options, log, reload: source.load)
    log.flush(milliseconds: 500)
    try finish(code)
  }
}

extension GatewaySettings {
  /// How sockets are made; a mistake (an owner who is nobody) ends the command with its one line and 78.
  func listenOptions() throws -> ListenOptions {
    do throws(SettingsError) {
      return try ListenOptions(self)
    } catch {
      throw Failure.configuration(error)
    }
  }
}

extension Log {
  /// A log on stderr with the level and format of the settings.
  convenience init(_ settings: GatewaySettings) {
    let format: LogFormat =
      switch settings.logFormat {
      case .text: .text
      case .json: .json
      }
    self.init(level: LogLevel(settings.logLevel), format: format)
  }
}

extension LogLevel {
  /// The least important lines of the setting `log_level`.
  init(_ threshold: LogThreshold) {
    self =
      switch threshold {
      case .debug: .debug
      case .info: .info
      case .warning: .warning
      case .error: .error
      }
  }
}
