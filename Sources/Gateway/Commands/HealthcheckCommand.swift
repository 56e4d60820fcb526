// `healthcheck`: is the gateway on this machine ready? For a container's health check, where there is no curl.

import ArgumentParser
import POSIX
import Settings

struct HealthcheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "healthcheck", abstract: "Ask the running gateway whether it is ready.",
    discussion: "GET /readyz at the admin address, for at most 2 s. Exit code 0: ready; 1: not.")

  @Option(name: settingFlag(SettingsTable.all.admin), help: settingHelp(SettingsTable.all.admin)) var admin: String?

  @Option(help: configHelp) var config: String?

  func run() throws {
    let environment = processEnvironment()
    let given: (address: NetworkAddress?, origin: String?)
    do throws(SettingsError) {
      given = try SettingsTable.resolveAdmin(
        flag: admin, environment: environment, file: ConfigurationSource.adminSource(config, environment))
    } catch {
      throw Failure.configuration(error)
    }
    guard let address = given.address else {
      throw Failure.failed("healthcheck: admin is off, so there is nothing to ask")
    }
    let answer = HealthProbe.ask(address, deadlineMilliseconds: 2000)
    guard answer != .ready else { return }
    var line = "healthcheck: \(answer.words) (\(address))"
    if case .failed = answer { line += "; \(Self.originHint(given.origin))" }
    throw Failure.failed(line)
  }

  /// Where the address comes from: a gateway that was told another one by flag is not found by this command's variables.
  static func originHint(_ origin: String?) -> String {
    let flag = SettingsTable.all.admin.flag
    switch origin {
    case flag: return "\(flag) must be what the gateway was started with"
    case let origin?:
      return "the address is that of \(origin); a gateway that was started with \(flag) needs \(flag) here too"
    case nil: return "the address is the default; a gateway that was started with \(flag) needs \(flag) here too"
    }
  }
}
