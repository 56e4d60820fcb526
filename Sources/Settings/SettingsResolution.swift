// Puts the layers together: flags over environment over defaults, then the checks between settings.
// Pure: the environment, the flags and the machine's figures come in as values.

/// Settings, and what the user should be told about them.
public struct ResolvedSettings: Equatable, Sendable {
  public let settings: GatewaySettings
  /// In the order of the variables' names.
  public let warnings: [SettingsWarning]
}

extension SettingsTable {
  /// Reads all settings.
  ///
  /// - Parameters:
  ///   - flags: by setting name (`team_domain`), only those that were given; an empty value is a mistake.
  ///   - environment: the process's; an empty variable counts as unset.
  ///   - surroundings: what the defaults of `event_loops`, `verify_workers` and `log_format` depend on.
  /// - Throws: the first mistake, in the order of the table; then those between settings.
  public static func resolve(
    flags: [String: String], environment: [String: String], surroundings: Surroundings
  ) throws(SettingsError) -> ResolvedSettings {
    for name in flags.keys.sorted() where SettingName(rawValue: name) == nil {
      throw SettingsError(source: name, value: flags[name], allowed: "the name of a setting")
    }
    var read = UnfinishedSettings()
    for row in rows {
      try apply(row, flags, environment, to: &read)
    }
    let issuers = try issuers(read, flags, environment)
    try checkTogether(read, flags, environment)
    let cores = min(max(surroundings.cores, 1), 64)
    let settings = GatewaySettings(
      teamDomains: read.teamDomains, issuers: issuers, caFile: read.caFile, allowHTTPKeys: read.allowHTTPKeys,
      listen: read.listen,
      listenShared: read.listenShared, admin: read.admin, socketMode: read.socketMode, socketOwner: read.socketOwner,
      stateDirectory: read.stateDirectory,
      unavailableStatus: read.unavailableStatus, exposeReason: read.exposeReason,
      keysRefreshSeconds: read.keysRefreshSeconds, keysMaxAgeSeconds: read.keysMaxAgeSeconds,
      unknownKidWaitSeconds: read.unknownKidWaitSeconds,
      eventLoops: read.eventLoops ?? cores, verifyWorkers: read.verifyWorkers ?? cores,
      maxPartialBytes: read.maxPartialBytes, maxConnections: read.maxConnections, maxHeadBytes: read.maxHeadBytes,
      headerTimeoutSeconds: read.headerTimeoutSeconds, idleTimeoutSeconds: read.idleTimeoutSeconds,
      drainTimeoutSeconds: read.drainTimeoutSeconds, tokenCacheBytes: read.tokenCacheBytes, coreDumps: read.coreDumps,
      logLevel: read.logLevel,
      logFormat: read.logFormat ?? (surroundings.stderrIsTerminal ? .text : .json))
    return ResolvedSettings(settings: settings, warnings: try warnings(settings, environment))
  }

  /// Reads `admin` alone, for a health check that must not depend on the other settings.
  ///
  /// - Returns: the address, or nil for `off`.
  public static func resolveAdmin(
    flag: String?, environment: [String: String]
  ) throws(SettingsError) -> NetworkAddress? {
    var read = UnfinishedSettings()
    let flags = flag.map { [SettingName.admin.rawValue: $0] } ?? [:]
    try apply(setting(.admin), flags, environment, to: &read)
    return read.admin
  }

  /// The topmost text of a setting with the name under which it was given; nil if nobody gave it.
  private static func given(
    _ row: Setting, _ flags: [String: String], _ environment: [String: String]
  ) -> (source: String, text: String)? {
    if let text = flags[row.name.rawValue] { return (row.name.flag, text) }
    for variable in [row.name.variable] + row.aliases {
      if let text = environment[variable], !text.isEmpty { return (variable, text) }
    }
    return nil
  }

  /// The name under which a setting was given; its flag where nobody gave it.
  private static func source(
    of name: SettingName, _ flags: [String: String], _ environment: [String: String]
  ) -> String {
    given(setting(name), flags, environment)?.source ?? name.flag
  }

  private static func apply(
    _ row: Setting, _ flags: [String: String], _ environment: [String: String], to read: inout UnfinishedSettings
  ) throws(SettingsError) {
    let given: (source: String, text: String)
    if let found = self.given(row, flags, environment) {
      given = found
    } else if case .text(let text) = row.standard {
      given = (row.name.flag, text)
    } else {
      return
    }
    do {
      try row.read(&read, given.text)
    } catch {
      throw SettingsError(source: given.source, value: given.text, allowed: error.instead ?? row.allowed)
    }
  }

  /// One entry an issuer, out of the lists.
  private static func issuers(
    _ read: UnfinishedSettings, _ flags: [String: String], _ environment: [String: String]
  ) throws(SettingsError) -> [IssuerSettings] {
    let names = read.issuers.isEmpty ? read.teamDomains.map { "https://" + $0 } : read.issuers
    guard !names.isEmpty else {
      let row = setting(.teamDomain)
      throw SettingsError(
        source: "\(row.name.flag) (\(row.name.variable))", value: nil, allowed: row.allowed + "; or give --issuer")
    }
    /// The value for one issuer, where there is one value or one each.
    func value<Value>(_ values: [Value], of name: SettingName, at place: Int) throws(SettingsError) -> Value {
      guard values.count == 1 || values.count == names.count else {
        throw refused(name, "one entry, or as many as there are issuers, \(names.count)", flags, environment)
      }
      return values[values.count == 1 ? 0 : place]
    }
    var issuers: [IssuerSettings] = []
    for (place, name) in names.enumerated() {
      let derivedKeys = withoutSlash(name) + "/cdn-cgi/access/certs"
      let given = read.keysLocations.isEmpty ? nil : try value(read.keysLocations, of: .keysURL, at: place)
      // Whatever the keys come by: an issuer over http is one whose keys everybody would fetch over http.
      if !read.allowHTTPKeys, WebURL(name) == nil {
        throw refused(.issuer, setting(.issuer).allowed + httpHint(name), flags, environment)
      }
      if !read.allowHTTPKeys, case .web(let url)? = given, url.isExposed {
        throw refused(.keysURL, setting(.keysURL).allowed + httpHint(url.description), flags, environment)
      }
      guard let keysLocation = given ?? KeysLocation(derivedKeys, allowingHTTP: read.allowHTTPKeys) else {
        // An issuer that leaves no room for the path behind it.
        throw SettingsError(
          source: source(of: .issuer, flags, environment), value: name, allowed: setting(.issuer).allowed)
      }
      var issuer = IssuerSettings(
        issuer: name, keysLocation: keysLocation, algorithms: try value(read.algorithms, of: .algorithms, at: place),
        tokenTypes: read.tokenTypes, leewaySeconds: try value(read.leeways, of: .leeway, at: place),
        require: try value(read.requires, of: .require, at: place))
      // Another algorithm there would be somebody's mistake, or somebody's key.
      guard !issuer.isCloudflare || issuer.algorithms == [.rs256] else {
        throw refused(.algorithms, "RS256 alone for \(name)", flags, environment)
      }
      if case .web(let url) = keysLocation, case .through(let proxy) = try ProxyAddress.choose(for: url, environment) {
        issuer.proxy = proxy
      }
      issuers.append(issuer)
    }
    return issuers
  }

  /// What opens the way for keys over http, where the URL needs that.
  private static func httpHint(_ url: String) -> String {
    url.hasPrefix("http://") ? "; \(setting(.allowHTTPKeys).name.flag) on allows http:// in a private network" : ""
  }

  /// The mistake in a setting that could be read, but not used: a file that is not there.
  public static func mistake(
    in name: SettingName, allowed: String, flags: [String: String], environment: [String: String]
  ) -> SettingsError {
    refused(name, allowed, flags, environment)
  }

  /// The mistake in a setting that was read, but does not fit the others.
  private static func refused(
    _ name: SettingName, _ allowed: String, _ flags: [String: String], _ environment: [String: String]
  ) -> SettingsError {
    let row = setting(name)
    let given = given(row, flags, environment)
    return SettingsError(
      source: given?.source ?? name.flag, value: given?.text ?? row.defaultText, allowed: allowed)
  }

  /// The checks between settings.
  private static func checkTogether(
    _ read: UnfinishedSettings, _ flags: [String: String], _ environment: [String: String]
  ) throws(SettingsError) {
    if let admin = read.admin, read.listen.contains(where: admin.collides) {
      // Blame what the user gave; the other one may be a default that they never saw.
      let adminGiven = given(setting(.admin), flags, environment)
      let listenGiven = given(setting(.listen), flags, environment)
      if let listenGiven, adminGiven == nil {
        throw SettingsError(
          source: listenGiven.source, value: listenGiven.text, allowed: "addresses other than that of admin, \(admin)")
      }
      throw SettingsError(
        source: adminGiven?.source ?? SettingName.admin.flag, value: adminGiven?.text ?? admin.description,
        allowed: "an address that is none of listen")
    }
    if read.keysRefreshSeconds > read.keysMaxAgeSeconds {
      // Keys would be distrusted between two regular fetches.
      let refreshGiven = given(setting(.keysRefresh), flags, environment)
      let ageGiven = given(setting(.keysMaxAge), flags, environment)
      if let refreshGiven {
        throw SettingsError(
          source: refreshGiven.source, value: refreshGiven.text,
          allowed: "at most keys_max_age, \(read.keysMaxAgeSeconds)s")
      }
      throw SettingsError(
        source: ageGiven?.source ?? SettingName.keysMaxAge.flag, value: ageGiven?.text,
        allowed: "at least keys_refresh, \(read.keysRefreshSeconds)s")
    }
  }

  /// Unknown `GATEWAY_…` variables, a team that `issuer` overrules, and what bears on the keys.
  private static func warnings(
    _ settings: GatewaySettings, _ environment: [String: String]
  ) throws(SettingsError) -> [SettingsWarning] {
    let known = Set(SettingName.allCases.map(\.variable))
    var warnings: [SettingsWarning] = []
    for (variable, value) in environment.sorted(by: { $0.key < $1.key })
    where variable.hasPrefix("GATEWAY_") && !known.contains(variable) && !isForeign(variable, value: value) {
      var line = "\(quotedForOneLine(variable)) is no setting and is ignored"
      let near = SettingName.allCases.map { (name: $0.variable, distance: distance($0.variable, variable)) }
        .min { $0.distance < $1.distance }
      if let near, near.distance <= 3 {
        line += "; is \(near.name) meant?"
      }
      warnings.append(SettingsWarning(description: line))
    }
    let issuers = settings.issuers.map(\.issuer)
    for team in settings.teamDomains where !issuers.contains("https://" + team) {
      warnings.append(
        SettingsWarning(
          description: "issuer \(issuers.joined(separator: ",")) is used, and team_domain \(team) is ignored"))
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
