// `schema`: the settings file's shape, for editors.

import ArgumentParser
import SettingsFile

struct SchemaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema", abstract: "Print the JSON Schema of the settings file (draft 2020-12), for editors.",
    discussion: """
      Save it, and name it in the file's first line: # yaml-language-server: $schema=access-gateway.schema.json. What \
      names lead to, such as a policy's groups, only check can tell.
      """)

  func run() {
    print(SettingsFileReader(settings: ConfigurationSource.knownSettings).jsonSchema, terminator: "")
  }
}
