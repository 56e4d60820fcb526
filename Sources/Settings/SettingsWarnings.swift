// What looks like a mistake in the environment: misspelt variables, a team that another setting overrules, keys that others
// on the way could replace, a memory too small to be one.

import Wording

extension SettingsTable {
  /// The least share of `token_cache_bytes` with which a loop remembers anything; Verification's `TokenCache` has it so.
  static let smallestCacheOfALoop = 65_536

  /// Unknown `GATEWAY_…` variables, a team that `issuer` overrules, a memory of tokens that is too small for the loops, and
  /// what bears on the keys.
  ///
  /// - Throws: for a proxy that can't be read.
  static func warnings(
    _ settings: GatewaySettings, _ environment: [String: String]
  ) throws(SettingsError) -> [SettingsWarning] {
    // GATEWAY_CONFIG names the file, so it is no setting of the table.
    let known = Set(rows.map(\.variable) + ["GATEWAY_CONFIG"])
    var warnings: [SettingsWarning] = []
    for (variable, value) in environment.sorted(by: { $0.key < $1.key })
    where variable.hasPrefix("GATEWAY_") && !known.contains(variable) && !isForeign(variable, value: value) {
      var line = "\(quotedForOneLine(variable)) is no setting and is ignored"
      if let near = nearestName(to: variable, among: rows.map(\.variable) + ["GATEWAY_CONFIG"]) {
        line += "; is \(near) meant?"
      }
      warnings.append(SettingsWarning(description: line))
    }
    let issuers = settings.issuers.map(\.issuer)
    for team in settings.teamDomains where !issuers.contains("https://" + team) {
      warnings.append(
        SettingsWarning(
          description: "issuer \(issuers.joined(separator: ",")) is used, and team_domain \(team) is ignored"))
    }
    let share = settings.tokenCacheBytes / settings.eventLoops
    if settings.tokenCacheBytes > 0, share < smallestCacheOfALoop {
      let size = settings.text(of: all.tokenCacheBytes)
      warnings.append(
        SettingsWarning(
          description:
            "token_cache_bytes \(size) over \(settings.eventLoops) event loops is \(share) bytes each, and below 64KiB a loop remembers nothing"
        ))
    }
    return warnings + (try keyWarnings(settings, environment))
  }

  /// Of each issuer: keys that anybody on the way could replace, a proxy that is not used, a name that no token has.
  private static func keyWarnings(
    _ settings: GatewaySettings, _ environment: [String: String]
  ) throws(SettingsError) -> [SettingsWarning] {
    var warnings: [SettingsWarning] = []
    for issuer in settings.issuers {
      if issuer.isCloudflare, issuer.issuer.hasSuffix("/") {
        warnings.append(
          SettingsWarning(
            description: "issuer \(issuer.issuer) ends in a slash, and the iss of Cloudflare's tokens does not"))
      }
      guard case .web(let url) = issuer.keysLocation else { continue }
      if url.isExposed {
        warnings.append(
          SettingsWarning(
            description:
              "keys are fetched over http:// from \(url): whoever is on the way there chooses the keys that are trusted"
          ))
      }
      if case .unusable(let variable, let scheme) = try ProxyAddress.choose(for: url, environment) {
        let line = "\(variable) names a proxy of the kind \(scheme)://, which is not used: keys are fetched directly"
        if !warnings.contains(where: { $0.description == line }) { warnings.append(SettingsWarning(description: line)) }
      }
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
      } else if let near = nearestName(to: variable.uppercased(), among: wanted),
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
}
