// Puts the sources together: flags over environment over a file over defaults, then the checks between settings.
// Pure: the environment, the flags and the machine's figures come in as values.

/// Settings, and what the user should be told about them.
public struct ResolvedSettings: Equatable, Sendable {
  public let settings: GatewaySettings
  /// In the order of the variables' names.
  public let warnings: [SettingsWarning]
}

/// What reading the settings gives: settings, or every mistake; never both.
public struct SettingsReading: Sendable {
  /// Nil where there is a mistake.
  public let resolved: ResolvedSettings?
  /// In the order of the table; then those of the issuers, and those between settings.
  public let mistakes: [SettingsError]
}

extension SettingsTable {
  /// Reads all settings as ``read(flags:environment:file:issuers:surroundings:)`` does.
  ///
  /// - Throws: the first mistake.
  public static func resolve(
    flags: [String: String], environment: [String: String], file: SettingsSource = SettingsSource([:]),
    surroundings: Surroundings
  ) throws(SettingsError) -> ResolvedSettings {
    let reading = read(flags: flags, environment: environment, file: file, surroundings: surroundings)
    guard let resolved = reading.resolved else {
      guard let mistake = reading.mistakes.first else { preconditionFailure("neither settings nor a mistake") }
      throw mistake
    }
    return resolved
  }

  /// Reads all settings: flags over the environment over `file` over the defaults.
  ///
  /// - Parameters:
  ///   - flags: by setting name (`team_domain`), only those that were given; an empty value is a mistake.
  ///   - environment: the process's; an empty variable counts as unset.
  ///   - file: the settings of a file, or of any other source that gives way to the others.
  ///   - issuers: those that the file names; with them `team_domain` and `issuer` from anywhere else are mistakes.
  ///   - surroundings: what the defaults of `event_loops`, `verify_workers` and `log_format` depend on.
  public static func read(
    flags: [String: String], environment: [String: String], file: SettingsSource = SettingsSource([:]),
    issuers named: [NamedIssuer] = [], surroundings: Surroundings
  ) -> SettingsReading {
    var mistakes: [SettingsError] = []
    func trying(_ body: () throws(SettingsError) -> Void) {
      do throws(SettingsError) { try body() } catch { mistakes.append(error) }
    }
    var flagSource = SettingsSource([:])
    trying { () throws(SettingsError) in flagSource = try .flags(flags) }
    let given = GivenSettings([flagSource, .environment(environment), file])
    var values = SettingValues()
    var refused: Set<String> = []
    for row in rows {
      trying { () throws(SettingsError) in
        do throws(SettingsError) {
          values.set(row, to: try given.anyValue(of: row, surroundings))
        } catch {
          refused.insert(row.name)
          throw error
        }
      }
    }
    // What hangs on a value that was refused says nothing of its own.
    func areRead(_ settings: [any SettingDefinition]) -> Bool { settings.allSatisfy { !refused.contains($0.name) } }
    var issuers: [IssuerSettings] = []
    if !named.isEmpty {
      if areRead(issuerRows) { issuers = self.issuers(named, values, given, environment, surroundings, &mistakes) }
    } else if areRead(issuerRows) {
      trying { () throws(SettingsError) in issuers = try self.issuers(values, given, environment) }
    }
    if areRead([all.listen, all.admin]) {
      trying { () throws(SettingsError) in try checkAddresses(values, given) }
    }
    if areRead([all.keysRefreshSeconds, all.keysMaxAgeSeconds]) {
      trying { () throws(SettingsError) in try checkKeyAges(values, given) }
    }
    if areRead([all.listen, all.tlsCertificate, all.tlsKey, all.tlsClientCA, all.tlsClientNames]) {
      trying { () throws(SettingsError) in try checkTLS(values, given) }
    }
    guard mistakes.isEmpty else { return SettingsReading(resolved: nil, mistakes: mistakes) }
    values[all.issuerNames] = issuers.map(\.issuer)
    values[all.keysLocations] = issuers.map(\.keysLocation)
    if !named.isEmpty {
      values[all.algorithms] = issuers.map(\.algorithms)
      values[all.leeways] = issuers.map(\.leewaySeconds)
    }
    let settings = GatewaySettings(issuers: issuers, values: values)
    var resolved: ResolvedSettings?
    trying { () throws(SettingsError) in
      resolved = ResolvedSettings(settings: settings, warnings: try warnings(settings, environment))
    }
    return SettingsReading(resolved: resolved, mistakes: mistakes)
  }

  /// Reads `admin` alone, for a health check that must not depend on the other settings.
  ///
  /// - Returns: the address, or nil for `off`; and where it was given, nil for the default.
  public static func resolveAdmin(
    flag: String?, environment: [String: String], file: SettingsSource = SettingsSource([:])
  ) throws(SettingsError) -> (address: NetworkAddress?, origin: String?) {
    let row = all.admin
    let given = GivenSettings([try .flags(flag.map { [row.name: $0] } ?? [:]), .environment(environment), file])
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

  /// That the admin pages have an address of their own.
  private static func checkAddresses(_ read: SettingValues, _ given: GivenSettings) throws(SettingsError) {
    if let admin = read[all.admin], read[all.listen].contains(where: admin.collides) {
      // Blame what the user gave; the other one may be a default that they never saw.
      if given.text(of: all.listen) != nil, given.text(of: all.admin) == nil {
        throw given.refused(all.listen, "addresses other than that of admin, \(admin)")
      }
      throw given.refused(all.admin, "an address that is none of listen")
    }
  }

  /// That keys are refreshed before they are too old.
  private static func checkKeyAges(_ read: SettingValues, _ given: GivenSettings) throws(SettingsError) {
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
struct GivenSettings {
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
