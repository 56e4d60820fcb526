// `keys`: which keys does a running gateway use, or has it kept?

import ArgumentParser
import POSIX
import Settings

struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Print the keys of a running gateway, or of a state folder.",
    discussion: """
      With --state-dir: the sets in that folder. Without: GET /keys at the admin address of the running gateway, which \
      also knows when each key has verified a signature for the last time (a remembered token needs none). Exit code 0: \
      printed; 1: the gateway can't be asked, or a file in the folder is not usable.
      """)

  @Option(
    name: settingFlag(SettingsTable.all.stateDirectory),
    help: ArgumentHelp("Read this folder, and ask nobody.", valueName: "folder"))
  var stateDir: String?

  @Option(name: settingFlag(SettingsTable.all.admin), help: settingHelp(SettingsTable.all.admin)) var admin: String?

  @Option(help: configHelp) var config: String?

  func validate() throws {
    if let stateDir, !stateDir.hasPrefix("/") { throw ValidationError("--state-dir: an absolute path") }
  }

  func run() throws {
    if let stateDir { return try finish(KeysPrint.stored(in: stateDir)) }
    let environment = processEnvironment()
    let address: NetworkAddress?
    do throws(SettingsError) {
      address = try SettingsTable.resolveAdmin(
        flag: admin, environment: environment, file: ConfigurationSource.adminSource(config, environment)
      ).address
    } catch {
      throw Failure.configuration(error)
    }
    guard let address else { throw Failure.failed("keys: admin is off, so there is nobody to ask") }
    try finish(KeysPrint.running(at: address))
  }
}
