// What `check` says about a configuration: its notes as lines, and all of it as JSON. Nothing is checked here.

import Policy
import Settings
import Telemetry
import Wording

enum CheckReport {
  /// `FILE:LINE:COLUMN: note: …`, a line each, and what the file holds.
  static func notes(_ configuration: Configuration) -> [String] {
    guard let file = configuration.file else { return [] }
    let name = escapedForOneLine(file, limit: 4096, escapingQuotes: false)
    guard let definitions = configuration.definitions else { return ["\(name): no applications"] }
    let policies = definitions.applications.map { $0.policies?.count ?? 0 }.reduce(0, +)
    return definitions.notes.map { "\(name):\($0.position): note: \(line($0.text))" } + [
      "\(name): applications: \(definitions.applications.count), policies: \(policies)"
    ]
  }

  /// One object: `file`, `settings` by name, `notes`, `warnings`, `mistakes`; the first two null where there is a mistake.
  static func json(_ outcome: Result<Configuration, ConfigurationMistakes>) -> String {
    switch outcome {
    case .failure(let mistakes):
      return
        "{\"file\":null,\"settings\":null,\"notes\":[],\"warnings\":[],\"mistakes\":\(JSONString.array(mistakes.lines))}"
    case .success(let configuration):
      let settings = SettingsTable.rows.map {
        "\(JSONString.quoted($0.name)):\(JSONString.quoted(configuration.settings.text(of: $0)))"
      }
      let notes = (configuration.definitions?.notes ?? []).map {
        "{\"line\":\($0.position.line),\"column\":\($0.position.column),\"text\":\(JSONString.quoted($0.text))}"
      }
      return
        "{\"file\":\(configuration.file.map(JSONString.quoted) ?? "null"),\"settings\":{\(settings.joined(separator: ","))},"
        + "\"notes\":[\(notes.joined(separator: ","))],"
        + "\"warnings\":\(JSONString.array(configuration.warnings.map(\.description))),\"mistakes\":[]}"
    }
  }

  private static func line(_ text: String) -> String { escapedForOneLine(text, limit: 1024, escapingQuotes: false) }
}
