// Settings and their table as text for people: `check`, `--help`, the README. Nothing is read or decided here.

extension GatewaySettings {
  /// The value of a setting, written so that it would be read as the same value. Empty only for a team that was not
  /// given.
  public func text(of name: SettingName) -> String {
    switch name {
    case .teamDomain: teamDomains.joined(separator: ",")
    case .issuer: issuers.map(\.issuer).joined(separator: ",")
    case .keysURL: issuers.joined { $0.keysLocation.description }
    case .algorithms: issuers.joined { $0.algorithms.map(\.rawValue).joined(separator: "+") }
    case .tokenTypes: issuers.joined { $0.tokenTypes.joined(separator: ",") }
    case .caFile: caFile ?? "system"
    case .allowHTTPKeys: allowHTTPKeys ? "on" : "off"
    case .listen: listen.map(\.description).joined(separator: ",")
    case .listenShared: listenShared.rawValue
    case .admin: admin?.description ?? "off"
    case .socketMode: octalText(socketMode)
    case .socketOwner: socketOwner?.description ?? "off"
    case .stateDir: stateDirectory ?? "off"
    case .leeway: issuers.joined { durationText($0.leewaySeconds) }
    case .require: issuers.joined(\.require.rawValue)
    case .unavailableStatus: String(unavailableStatus)
    case .exposeReason: exposeReason ? "on" : "off"
    case .keysRefresh: durationText(keysRefreshSeconds)
    case .keysMaxAge: durationText(keysMaxAgeSeconds)
    case .unknownKidWait: durationText(unknownKidWaitSeconds)
    case .eventLoops: String(eventLoops)
    case .verifyWorkers: String(verifyWorkers)
    case .maxPartialBytes: sizeText(maxPartialBytes)
    case .maxConnections: String(maxConnections)
    case .maxHeadBytes: sizeText(maxHeadBytes)
    case .headerTimeout: durationText(headerTimeoutSeconds)
    case .idleTimeout: durationText(idleTimeoutSeconds)
    case .drainTimeout: durationText(drainTimeoutSeconds)
    case .tokenCacheBytes: sizeText(tokenCacheBytes)
    case .coreDumps: coreDumps ? "on" : "off"
    case .logLevel: logLevel.rawValue
    case .logFormat: logFormat.rawValue
    }
  }
}

/// The largest unit that leaves a whole number.
private func durationText(_ seconds: Int) -> String {
  for (suffix, factor) in [("d", 86_400), ("h", 3600), ("m", 60)] where seconds > 0 && seconds % factor == 0 {
    return String(seconds / factor) + suffix
  }
  return String(seconds) + "s"
}

private func sizeText(_ bytes: Int) -> String {
  for (suffix, factor) in [("MiB", 1 << 20), ("KiB", 1024)] where bytes > 0 && bytes % factor == 0 {
    return String(bytes / factor) + suffix
  }
  return String(bytes)
}

/// Four digits.
private func octalText(_ mode: UInt32) -> String {
  let digits = String(mode, radix: 8)
  return String(repeating: "0", count: max(4 - digits.utf8.count, 0)) + digits
}

extension SettingsTable {
  /// All settings for a terminal: flag, variable and default, a line or two each, and no trailing newline.
  public static var helpText: String {
    rows.map { row in
      let variables = ([row.name.variable] + row.aliases).joined(separator: ", ")
      return "  \(row.name.flag) <\(row.placeholder)>\n      \(variables); default: \(row.defaultText)"
    }.joined(separator: "\n")
  }

  /// The README's table of settings: a line a setting, GitHub's Markdown, a newline behind each line.
  public static var markdown: String {
    var lines = "| setting | default | allowed | what it does |\n| --- | --- | --- | --- |\n"
    for row in rows {
      let names = ([row.name.variable] + row.aliases).map { "`\($0)`" }.joined(separator: " ")
      let standard =
        switch row.standard {
        case .text(let text): "`\(text)`"
        case .derived(let words): words
        }
      lines += "| `\(row.name.flag)` \(names) | \(standard) | \(row.allowed) | \(row.help) |\n"
    }
    return lines
  }
}
