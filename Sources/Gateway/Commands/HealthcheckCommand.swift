// `healthcheck`: is the gateway on this machine ready? For a container's health check, where there is no curl.

import ArgumentParser
import Settings

struct HealthcheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "healthcheck", abstract: "Ask the running gateway whether it is ready.",
    discussion: "GET /readyz at the admin address, for at most 2 s. Exit code 0: ready; 1: not.")

  @Option(name: settingFlag(SettingsTable.all.admin), help: settingHelp(SettingsTable.all.admin)) var admin: String?

  func run() throws {
    let given: (address: NetworkAddress?, origin: String?)
    do throws(SettingsError) {
      given = try SettingsTable.resolveAdmin(flag: admin, environment: processEnvironment())
    } catch {
      throw Failure.configuration(error)
    }
    guard let address = given.address else {
      throw Failure.failed("healthcheck: admin is off, so there is nothing to ask")
    }
    let answer = HealthProbe.ask(address, deadlineMilliseconds: 2000)
    if answer != .ready { throw Failure.failed("healthcheck: \(answer.words) (\(address))") }
  }
}
