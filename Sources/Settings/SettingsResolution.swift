// Puts the sources together: flags over environment over a file over defaults, then the checks between settings.
// Pure: the environment, the flags and the machine's figures come in as values.

/// Settings, and what the user should be told about them.
public struct ResolvedSettings: Equatable, Sendable {
  public let settings: GatewaySettings
  /// In the order of the variables' names.
  public let warnings: [SettingsWarning]
}

extension SettingsTable {
  /// Reads all settings: flags over the environment over `file` over the defaults.
  ///
  /// - Parameters:
  ///   - flags: by setting name (`team_domain`), only those that were given; an empty value is a mistake.
  ///   - environment: the process's; an empty variable counts as unset.
  ///   - file: the settings of a file, or of any other source that gives way to the others.
  ///   - surroundings: what the defaults of `event_loops`, `verify_workers` and `log_format` depend on.
  /// - Throws: the first mistake, in the order of the table; then those between settings.
  public static func resolve(
    flags: [String: String], environment: [String: String], file: SettingsSource = SettingsSource([:]),
    surroundings: Surroundings
  ) throws(SettingsError) -> ResolvedSettings {
    let given = GivenSettings([try .flags(flags), .environment(environment), file])
    var values = SettingValues()
    for row in rows { values.set(row, to: try given.anyValue(of: row, surroundings)) }
    let issuers = try issuers(values, given, environment)
    values[all.issuerNames] = issuers.map(\.issuer)
    values[all.keysLocations] = issuers.map(\.keysLocation)
    try checkTogether(values, given)
    let settings = GatewaySettings(issuers: issuers, values: values)
    return ResolvedSettings(settings: settings, warnings: try warnings(settings, environment))
  }

  /// Reads `admin` alone, for a health check that must not depend on the other settings.
  ///
  /// - Returns: the address, or nil for `off`; and where it was given, nil for the default.
  public static func resolveAdmin(
    flag: String?, environment: [String: String]
  ) throws(SettingsError) -> (address: NetworkAddress?, origin: String?) {
    let row = all.admin
    let given = GivenSettings([try .flags(flag.map { [row.name: $0] } ?? [:]), .environment(environment)])
    // The default of this one does not depend on the machine.
    let address = try given.value(of: row, Surroundings(cores: 1, stderrIsTerminal: false))
    return (address, given.text(of: row)?.origin)
  }

  /// The mistake in a setting that could be read, but not used, such as a file that is not there.
  ///
  /// The sources are those that `resolve` read, so that the mistake names the one that won.
  ///
  /// - Parameter allowed: what to write instead.
  public static func mistake(
    in setting: any SettingDefinition, allowed: String, flags: [String: String], environment: [String: String],
    file: SettingsSource = SettingsSource([:])
  ) -> SettingsError {
    do throws(SettingsError) {
      return GivenSettings([try .flags(flags), .environment(environment), file]).refused(setting, allowed)
    } catch {
      return error
    }
  }

  /// One entry an issuer, out of the lists.
  private static func issuers(
    _ read: SettingValues, _ given: GivenSettings, _ environment: [String: String]
  ) throws(SettingsError) -> [IssuerSettings] {
    let names = read[all.issuerNames].isEmpty ? read[all.teamDomains].map { "https://" + $0 } : read[all.issuerNames]
    guard !names.isEmpty else { throw missingTeam(environment) }
    /// The value for one issuer, where there is one value or one each.
    func value<Value>(_ setting: Setting<[Value]>, at place: Int) throws(SettingsError) -> Value {
      let values = read[setting]
      guard values.count == 1 || values.count == names.count else {
        throw given.refused(setting, "one entry, or as many as there are issuers, \(names.count)")
      }
      return values[values.count == 1 ? 0 : place]
    }
    var issuers: [IssuerSettings] = []
    for (place, name) in names.enumerated() {
      let derivedKeys = withoutSlash(name) + "/cdn-cgi/access/certs"
      let keysGiven = read[all.keysLocations].isEmpty ? nil : try value(all.keysLocations, at: place)
      let allowingHTTP = read[all.allowHTTPKeys]
      // Whatever the keys come by: an issuer over http is one whose keys everybody would fetch over http.
      if !allowingHTTP, WebURL(name) == nil {
        throw given.refused(all.issuerNames, all.issuerNames.allowed + httpHint(name))
      }
      if !allowingHTTP, case .web(let url)? = keysGiven, url.isExposed {
        throw given.refused(all.keysLocations, all.keysLocations.allowed + httpHint(url.description))
      }
      guard let keysLocation = keysGiven ?? KeysLocation(derivedKeys, allowingHTTP: allowingHTTP) else {
        // An issuer that leaves no room for the path behind it.
        throw SettingsError(
          source: given.text(of: all.issuerNames)?.origin ?? all.issuerNames.flag, value: name,
          allowed: all.issuerNames.allowed)
      }
      var issuer = IssuerSettings(
        issuer: name, keysLocation: keysLocation, algorithms: try value(all.algorithms, at: place),
        tokenTypes: read[all.tokenTypes], leewaySeconds: try value(all.leeways, at: place),
        require: try value(all.requires, at: place))
      // Another algorithm there would be somebody's mistake, or somebody's key.
      guard !issuer.isCloudflare || issuer.algorithms == [.rs256] else {
        throw given.refused(all.algorithms, "RS256 alone for \(name)")
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
    url.hasPrefix("http://") ? "; \(all.allowHTTPKeys.flag) on allows http:// in a private network" : ""
  }

  /// The checks between settings.
  private static func checkTogether(_ read: SettingValues, _ given: GivenSettings) throws(SettingsError) {
    if let admin = read[all.admin], read[all.listen].contains(where: admin.collides) {
      // Blame what the user gave; the other one may be a default that they never saw.
      if given.text(of: all.listen) != nil, given.text(of: all.admin) == nil {
        throw given.refused(all.listen, "addresses other than that of admin, \(admin)")
      }
      throw given.refused(all.admin, "an address that is none of listen")
    }
    try checkTLS(read, given)
    let (refresh, age) = (read[all.keysRefreshSeconds], read[all.keysMaxAgeSeconds])
    if refresh > age {
      // Keys would be distrusted between two regular fetches.
      if given.text(of: all.keysRefreshSeconds) != nil {
        throw given.refused(all.keysRefreshSeconds, "at most keys_max_age, \(age)s")
      }
      throw given.refused(all.keysMaxAgeSeconds, "at least keys_refresh, \(refresh)s")
    }
  }

  /// What TLS needs is there together, or not at all: half of it would be less than somebody meant.
  private static func checkTLS(_ read: SettingValues, _ given: GivenSettings) throws(SettingsError) {
    let listensSecurely = read[all.listen].contains { if case .tls = $0 { true } else { false } }
    if read[all.tlsCertificate] == nil {
      if read[all.tlsKey] != nil { throw given.refused(all.tlsKey, "off, unless tls_cert is given") }
      if read[all.tlsClientCA] != nil { throw given.refused(all.tlsClientCA, "off, unless tls_cert is given") }
      if listensSecurely { throw given.refused(all.tlsCertificate, "a file, because listen has a tls:// address") }
    } else if read[all.tlsKey] == nil {
      throw given.refused(all.tlsKey, "a file, because tls_cert is given")
    }
    if read[all.tlsClientNames] != nil, read[all.tlsClientCA] == nil {
      throw given.refused(all.tlsClientNames, "off, unless tls_client_ca is given")
    }
  }
}

/// Sources of settings, the winning one first.
private struct GivenSettings {
  private let sources: [SettingsSource]

  init(_ sources: [SettingsSource]) { self.sources = sources }

  /// The winning text of a setting; nil if nobody gave it.
  func text(of row: any SettingDefinition) -> GivenText? {
    for source in sources {
      if let text = source.texts[row.name] { return text }
    }
    return nil
  }

  func anyValue(of row: any SettingDefinition, _ surroundings: Surroundings) throws(SettingsError) -> any Sendable {
    do throws(SettingRefusal) {
      return try row.anyValue(of: text(of: row).map { withoutSpace($0.text) }, surroundings)
    } catch {
      let instead = text(of: row).flatMap { overlooked(in: withoutSpace($0.text)) } ?? error.instead
      throw refused(row, instead ?? row.allowed + (error.likely.map { ", written \($0)" } ?? ""))
    }
  }

  func value<Value>(of row: Setting<Value>, _ surroundings: Surroundings) throws(SettingsError) -> Value {
    var values = SettingValues()
    values.set(row, to: try anyValue(of: row, surroundings))
    return values[row]
  }

  /// What is easily overlooked in a text that was refused: quotes that a shell would have taken, and that an `env_file` or a
  /// unit file keeps; a byte order mark.
  private func overlooked(in text: String) -> String? {
    let quotes: Set<Unicode.Scalar> = ["\"", "'", "\u{201C}", "\u{201D}", "\u{2018}", "\u{2019}"]
    guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { return nil }
    if first == "\u{FEFF}" { return "the same without the byte order mark before it" }
    return quotes.contains(first) || quotes.contains(last)
      ? "the same without quotes: they are part of the value here" : nil
  }

  /// The mistake in a setting: what was given and where, or the default.
  func refused(_ row: any SettingDefinition, _ allowed: String) -> SettingsError {
    let given = text(of: row)
    return SettingsError(
      source: given?.origin ?? row.flag, value: given?.text ?? row.defaultInWords, allowed: allowed)
  }
}
