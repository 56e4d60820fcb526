// How issuers come out of the settings: out of lists with an entry each, or out of a file that names them.

extension SettingsTable {
  /// The settings that say something about an issuer.
  static let issuerRows: [any SettingDefinition] = [
    all.teamDomains, all.issuerNames, all.keysLocations, all.algorithms, all.tokenTypes, all.leeways, all.requires,
    all.caFile, all.allowHTTPKeys,
  ]

  /// One entry an issuer, out of the lists.
  static func issuers(
    _ read: SettingValues, _ given: GivenSettings, _ environment: [String: String]
  ) throws(SettingsError) -> [IssuerSettings] {
    let names = read[all.issuerNames].isEmpty ? read[all.teamDomains].map { "https://" + $0 } : read[all.issuerNames]
    guard !names.isEmpty else { throw missingTeam(environment) }
    var issuers: [IssuerSettings] = []
    for (place, name) in names.enumerated() {
      issuers.append(
        try issuer(
          IssuerTexts(name, read, given, environment, place: place, count: names.count),
          keys: read[all.keysLocations].isEmpty
            ? nil : try entry(of: all.keysLocations, at: place, of: names.count, read, given)))
    }
    return issuers
  }

  /// The issuers that a file names, each with its own settings over those for all; every mistake in them.
  static func issuers(
    _ named: [NamedIssuer], _ read: SettingValues, _ given: GivenSettings, _ environment: [String: String],
    _ surroundings: Surroundings, _ mistakes: inout [SettingsError]
  ) -> [IssuerSettings] {
    for row in [all.teamDomains, all.issuerNames] as [any SettingDefinition] {
      if let other = given.text(of: row) {
        mistakes.append(
          SettingsError(
            source: other.origin, value: other.text,
            allowed: "\(row.name) under the names of issuers: alone, which the settings file has"))
      }
    }
    if named.count > maximumIssuers {
      mistakes.append(
        SettingsError(source: named[0].origin, value: "\(named.count) issuers", allowed: "at most \(maximumIssuers)"))
    }
    var issuers: [IssuerSettings] = []
    for (place, section) in named.enumerated() {
      let own = GivenSettings([SettingsSource(section.texts)])
      var values = read
      var isRead = true
      for row in issuerRows where own.text(of: row) != nil {
        do throws(SettingsError) {
          values.set(row, to: try own.anyValue(of: row, surroundings))
        } catch {
          mistakes.append(error)
          isRead = false
        }
      }
      guard isRead else { continue }
      do throws(SettingsError) {
        var issuer = try self.issuer(section, place, of: named.count, values, own, given, environment)
        issuer.name = section.name
        if let other = issuers.first(where: { $0.issuer == issuer.issuer }) {
          throw SettingsError(
            source: section.origin, value: issuer.issuer, allowed: "an issuer that \(other.name) is not already")
        }
        issuers.append(issuer)
      } catch {
        mistakes.append(error)
      }
    }
    return issuers
  }

  private static func issuer(
    _ section: NamedIssuer, _ place: Int, of count: Int, _ values: SettingValues, _ own: GivenSettings,
    _ given: GivenSettings, _ environment: [String: String]
  ) throws(SettingsError) -> IssuerSettings {
    /// One value, of what may be a list elsewhere.
    func single<Value>(_ setting: Setting<[Value]>) throws(SettingsError) -> Value? {
      guard own.text(of: setting) != nil else { return nil }
      guard values[setting].count == 1 else { throw own.refused(setting, "one value, for this is one issuer") }
      return values[setting][0]
    }
    let team = try single(all.teamDomains)
    guard let name = try single(all.issuerNames) ?? team.map({ "https://" + $0 }) else {
      throw SettingsError(source: section.origin, value: nil, allowed: "team_domain or issuer")
    }
    var texts = IssuerTexts(name, values, given, environment, place: place, count: count)
    texts.own = own
    texts.algorithms = try single(all.algorithms)
    texts.leeway = try single(all.leeways)
    let keys =
      if let own = try single(all.keysLocations) {
        own
      } else if given.text(of: all.keysLocations) != nil {
        try entry(of: all.keysLocations, at: place, of: count, values, given)
      } else {
        nil as KeysLocation?
      }
    return try issuer(texts, keys: keys)
  }

  /// The value for one issuer, where there is one value or one each.
  private static func entry<Value>(
    of setting: Setting<[Value]>, at place: Int, of count: Int, _ read: SettingValues, _ given: GivenSettings
  ) throws(SettingsError) -> Value {
    let values = read[setting]
    guard values.count == 1 || values.count == count else {
      throw given.refused(setting, "one entry, or as many as there are issuers, \(count)")
    }
    return values[values.count == 1 ? 0 : place]
  }

  /// One issuer, its values checked against each other.
  private static func issuer(_ texts: IssuerTexts, keys: KeysLocation?) throws(SettingsError) -> IssuerSettings {
    let (name, read) = (texts.name, texts.read)
    let allowingHTTP = read[all.allowHTTPKeys]
    // Whatever the keys come by: an issuer over http is one whose keys everybody would fetch over http.
    if !allowingHTTP, WebURL(name) == nil {
      throw texts.refused(all.issuerNames, all.issuerNames.allowed + httpHint(name))
    }
    if !allowingHTTP, case .web(let url)? = keys, url.isExposed {
      throw texts.refused(all.keysLocations, all.keysLocations.allowed + httpHint(url.description))
    }
    let derived = withoutSlash(name) + "/cdn-cgi/access/certs"
    guard let location = keys ?? KeysLocation(derived, allowingHTTP: allowingHTTP) else {
      // An issuer that leaves no room for the path behind it.
      throw SettingsError(
        source: texts.given(all.issuerNames)?.origin ?? all.issuerNames.flag, value: name,
        allowed: all.issuerNames.allowed)
    }
    let algorithms: [SignatureName] =
      if let own = texts.algorithms { own } else { try texts.entry(of: all.algorithms) }
    let leeway: Int = if let own = texts.leeway { own } else { try texts.entry(of: all.leeways) }
    var issuer = IssuerSettings(
      issuer: name, keysLocation: location, algorithms: algorithms, tokenTypes: read[all.tokenTypes],
      leewaySeconds: leeway, require: try texts.entry(of: all.requires), caFile: read[all.caFile])
    // Another algorithm there would be somebody's mistake, or somebody's key.
    guard !issuer.isCloudflare || issuer.algorithms == [.rs256] else {
      throw texts.refused(all.algorithms, "RS256 alone for \(name)")
    }
    if case .web(let url) = location, case .through(let proxy) = try ProxyAddress.choose(for: url, texts.environment) {
      issuer.proxy = proxy
    }
    return issuer
  }

  /// What opens the way for keys over http, where the URL needs that.
  private static func httpHint(_ url: String) -> String {
    url.hasPrefix("http://") ? "; \(all.allowHTTPKeys.flag) on allows http:// in a private network" : ""
  }

  /// What one issuer is made of.
  private struct IssuerTexts {
    let name: String
    let read: SettingValues
    let forAll: GivenSettings
    let environment: [String: String]
    let place: Int
    let count: Int
    /// What the file says under its name; nil where no file names it.
    var own: GivenSettings?
    var algorithms: [SignatureName]?
    var leeway: Int?

    init(
      _ name: String, _ read: SettingValues, _ given: GivenSettings, _ environment: [String: String], place: Int,
      count: Int
    ) {
      self.name = name
      self.read = read
      forAll = given
      self.environment = environment
      self.place = place
      self.count = count
    }

    func given(_ row: any SettingDefinition) -> GivenText? { own?.text(of: row) ?? forAll.text(of: row) }

    func entry<Value>(of setting: Setting<[Value]>) throws(SettingsError) -> Value {
      try SettingsTable.entry(of: setting, at: place, of: count, read, forAll)
    }

    func refused(_ row: any SettingDefinition, _ allowed: String) -> SettingsError {
      if let own, own.text(of: row) != nil { return own.refused(row, allowed) }
      return forAll.refused(row, allowed)
    }
  }
}
