// What looks like a mistake in the environment: misspelt variables, a team that another setting overrules.

extension SettingsTable {
  /// Unknown `GATEWAY_…` variables, and a team that `issuer` overrules.
  static func warnings(_ settings: GatewaySettings, _ environment: [String: String]) -> [SettingsWarning] {
    let known = Set(rows.map(\.variable))
    var warnings: [SettingsWarning] = []
    for (variable, value) in environment.sorted(by: { $0.key < $1.key })
    where variable.hasPrefix("GATEWAY_") && !known.contains(variable) && !isForeign(variable, value: value) {
      var line = "\(quotedForOneLine(variable)) is no setting and is ignored"
      if let near = nearest(to: variable, among: rows.map(\.variable)) { line += "; is \(near) meant?" }
      warnings.append(SettingsWarning(description: line))
    }
    let issuers = settings.issuers.map(\.issuer)
    for team in settings.teamDomains where !issuers.contains("https://" + team) {
      warnings.append(
        SettingsWarning(
          description: "issuer \(issuers.joined(separator: ",")) is used, and team_domain \(team) is ignored"))
    }
    return warnings
  }

  /// No team and no issuer: says so, and names what the user may have meant by it.
  static func missingTeam(_ environment: [String: String]) -> SettingsError {
    let row = all.teamDomains
    let wanted = row.variables + all.issuerNames.variables
    var allowed = row.allowed + "; or give \(all.issuerNames.flag)"
    for variable in environment.keys.sorted() {
      if wanted.contains(variable) {
        // It counts as unset, as a template with nothing to fill in leaves it.
        allowed += "; \(variable) is empty"
      } else if let near = nearest(to: variable.uppercased(), among: wanted),
        !rows.contains(where: { $0.variable == variable })
      {
        allowed += "; \(quotedForOneLine(variable)) is no setting: is \(near) meant?"
      }
    }
    return SettingsError(
      source: "\(row.flag) (\(row.variables.joined(separator: " or ")))", value: nil, allowed: allowed)
  }

  /// Variables that look like settings and are not: Kubernetes and Docker links make them for a service that is
  /// called `gateway`.
  private static func isForeign(_ variable: String, value: String) -> Bool {
    variable == "GATEWAY_PORT" && value.contains("://") || variable.hasPrefix("GATEWAY_PORT_")
      || variable.hasPrefix("GATEWAY_SERVICE_")
  }

  /// The name that is at most three edits away; nil if there is none.
  private static func nearest(to variable: String, among names: [String]) -> String? {
    names.map { (name: $0, distance: distance($0, variable)) }.filter { $0.distance <= 3 }
      .min { $0.distance < $1.distance }?.name
  }

  /// The edits (Levenshtein) between two names, both cut at 64 bytes.
  private static func distance(_ one: String, _ other: String) -> Int {
    let one = one.utf8.prefix(64)
    let other = Array(other.utf8.prefix(64))
    var previous = Array(0...other.count)
    for (row, byte) in one.enumerated() {
      var current = [row + 1]
      for (column, otherByte) in other.enumerated() {
        current.append(
          min(previous[column + 1] + 1, current[column] + 1, previous[column] + (byte == otherByte ? 0 : 1)))
      }
      previous = current
    }
    return previous[other.count]
  }
}
