// The one table of settings: name, placeholder, default, allowed values, help, and how a text becomes the value.
// Flags, variables, --help, the README's table and the checks all come from it. How the layers are put together is in
// SettingsResolution.swift.

/// The names of all settings, in the order of help and README.
public enum SettingName: String, CaseIterable, Sendable {
  case teamDomain = "team_domain"
  case issuer
  case keysURL = "keys_url"
  case algorithms
  case tokenTypes = "token_types"
  case caFile = "ca_file"
  case allowHTTPKeys = "allow_http_keys"
  case listen
  case listenShared = "listen_shared"
  case admin
  case socketMode = "socket_mode"
  case socketOwner = "socket_owner"
  case stateDir = "state_dir"
  case leeway
  case require
  case unavailableStatus = "unavailable_status"
  case exposeReason = "expose_reason"
  case keysRefresh = "keys_refresh"
  case keysMaxAge = "keys_max_age"
  case unknownKidWait = "unknown_kid_wait"
  case eventLoops = "event_loops"
  case verifyWorkers = "verify_workers"
  case maxPartialBytes = "max_partial_bytes"
  case maxConnections = "max_connections"
  case maxHeadBytes = "max_head_bytes"
  case headerTimeout = "header_timeout"
  case idleTimeout = "idle_timeout"
  case drainTimeout = "drain_timeout"
  case tokenCacheBytes = "token_cache_bytes"
  case coreDumps = "core_dumps"
  case logLevel = "log_level"
  case logFormat = "log_format"

  /// `GATEWAY_TEAM_DOMAIN`
  public var variable: String { "GATEWAY_" + rawValue.uppercased() }

  /// `--team-domain`
  public var flag: String { "--" + flagName }

  /// `team-domain`
  public var flagName: String { rawValue.split(separator: "_").joined(separator: "-") }
}

/// One row of the table.
public struct Setting: Sendable {
  /// Where the value comes from when nobody gives one.
  public enum Default: Equatable, Sendable {
    /// This text, read like a user's.
    case text(String)
    /// Worked out from other settings or the machine; the words say how.
    case derived(String)
  }

  public let name: SettingName
  /// A word for the value in usage lines.
  public let placeholder: String
  public let standard: Default
  /// What is allowed, without a full stop.
  public let allowed: String
  /// What it does, one sentence.
  public let help: String
  /// Variables that mean the same; the setting's own variable wins.
  public let aliases: [String]
  let read: @Sendable (inout UnfinishedSettings, String) throws(Refusal) -> Void

  /// The default in words: the text itself, or how it is worked out.
  public var defaultText: String {
    switch standard {
    case .text(let text): text
    case .derived(let words): words
    }
  }

  /// All that `--help` says about the setting.
  public var fullHelp: String {
    let variables = ([name.variable] + aliases).joined(separator: " or ")
    return "\(help) Allowed: \(allowed). (variable: \(variables); default: \(defaultText))"
  }
}

/// A row whose value goes to `field`.
private func entry<Value>(
  _ name: SettingName, _ placeholder: String, _ standard: Setting.Default, allowed: String, help: String,
  aliases: [String] = [], into field: any WritableKeyPath<UnfinishedSettings, Value> & Sendable,
  by parse: @escaping @Sendable (String) throws(Refusal) -> Value
) -> Setting {
  Setting(
    name: name, placeholder: placeholder, standard: standard, allowed: allowed, help: help, aliases: aliases
  ) { (settings, text) throws(Refusal) in
    settings[keyPath: field] = try parse(text)
  }
}

/// The table, and what is made from it.
public enum SettingsTable {
  /// The row of a setting.
  public static func setting(_ name: SettingName) -> Setting {
    // A test holds that the rows are the names in their order.
    rows[SettingName.allCases.firstIndex(of: name) ?? 0]
  }

  /// Variables that look like settings and are not: Kubernetes and Docker links make them for a service that is
  /// called `gateway`.
  static func isForeign(_ variable: String, value: String) -> Bool {
    variable == "GATEWAY_PORT" && value.contains("://") || variable.hasPrefix("GATEWAY_PORT_")
      || variable.hasPrefix("GATEWAY_SERVICE_")
  }

  /// All settings, in the order of `SettingName`.
  public static let rows: [Setting] = [
    entry(
      .teamDomain, "team", .derived("required, unless issuer is given"),
      allowed:
        "acme, acme.cloudflareaccess.com or acme.fed.cloudflareaccess.com, in lower case, no https:// and no slash",
      help:
        "The Cloudflare Access team whose tokens are accepted, or several separated by commas; issuer, where given, wins over it.",
      aliases: ["CF_TEAMS_DOMAIN"], into: \.teamDomains,
      by: { text throws(Refusal) in try list(text, of: teamHost) }),
    entry(
      .issuer, "url", .derived("https://{team_domain}"),
      allowed: "an https:// URL (http:// to a loopback host) with no query, no user",
      help: "What a token's iss must be, byte for byte, a slash at its end too; or several, separated by commas.",
      into: \.issuers,
      by: { text throws(Refusal) in try list(text, of: issuerText) }),
    entry(
      .keysURL, "url", .derived("{issuer}/cdn-cgi/access/certs"),
      allowed: "an https:// URL, an http:// URL to a loopback host, or file:/path",
      help: "Where the issuer's keys are fetched; with several issuers, one each.", into: \.keysLocations,
      by: { text throws(Refusal) in
        try values(text) { (text: String) throws(Refusal) in try found(KeysLocation(text, allowingHTTP: true)) }
      }),
    entry(
      .algorithms, "names", .text("RS256"),
      allowed:
        "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA, several joined by +; RS256 alone for Cloudflare",
      help: "The algorithms that the issuer signs with; one entry for all issuers, or one each.", into: \.algorithms,
      by: { text throws(Refusal) in try values(text, of: algorithmNames) }),
    entry(
      .tokenTypes, "names", .text("JWT"), allowed: "names of media types such as JWT or at+jwt, separated by commas",
      help: "What a token's typ may be, in any case, with or without application/ before it; for all issuers.",
      into: \.tokenTypes, by: { text throws(Refusal) in try list(text, of: tokenType) }),
    entry(
      .caFile, "file", .text("system"), allowed: "an absolute path or system",
      help: "PEM certificates to trust for key servers in place of the system's.", into: \.caFile,
      by: { text throws(Refusal) in text == "system" ? nil : try absolutePath(text, limit: 1024) }),
    entry(
      .allowHTTPKeys, "switch", .text("off"), allowed: "on or off",
      help:
        "Fetch keys over http:// from a private network too: whoever is on the way there chooses the keys that are trusted.",
      into: \.allowHTTPKeys, by: onOff),
    entry(
      .listen, "addresses", .text("0.0.0.0:8000"),
      allowed: "host:port, [v6]:port or unix:/path, numeric hosts, several separated by commas",
      help: "Where proxies ask; port 0 is any free one, [::] alone takes IPv4 too; sockets from systemd replace it.",
      into: \.listen,
      by: addresses),
    entry(
      .listenShared, "word", .text("warn"), allowed: "warn or refuse",
      help:
        "What to do where another process of the same user listens at an address of listen: an upgrade wants it, a mistake does not.",
      into: \.listenShared, by: { text throws(Refusal) in try word(text) }),
    entry(
      .admin, "address", .text("127.0.0.1:8001"), allowed: "host:port, [v6]:port, unix:/path or off",
      help: "Where /livez, /readyz and /metrics are.", into: \.admin,
      by: { text throws(Refusal) in text == "off" ? nil : try address(text) }),
    entry(
      .socketMode, "mode", .text("0660"), allowed: "four octal digits, 0000 to 0777",
      help: "Permissions of unix: sockets; who may write one may connect.", into: \.socketMode,
      by: { text throws(Refusal) in
        guard text.utf8.count == 4, text.hasPrefix("0"), text.utf8.allSatisfy(isDigit),
          let mode = UInt32(text, radix: 8)
        else { throw Refusal() }
        return mode
      }),
    entry(
      .socketOwner, "user:group", .text("off"), allowed: "user, user:group or :group, by name or number, or off",
      help: "Owner of unix: sockets; another user than one's own needs root.", into: \.socketOwner,
      by: { text throws(Refusal) in text == "off" ? nil : try found(SocketOwner(text)) }),
    entry(
      .stateDir, "folder", .text("off"), allowed: "an absolute path or off",
      help: "The folder that keeps the last good keys, so that a start needs no network.", into: \.stateDirectory,
      by: { text throws(Refusal) in text == "off" ? nil : try absolutePath(text, limit: 1024) }),
    entry(
      .leeway, "duration", .text("30s"), allowed: "0s to 300s",
      help: "Clock difference that is tolerated; one for all issuers, or one each.", into: \.leeways,
      by: { text throws(Refusal) in
        try values(text) { (text: String) throws(Refusal) in try seconds(text, in: 0...300) }
      }),
    entry(
      .require, "who", .text("identity"), allowed: "identity (users), service (service tokens) or any",
      help: "Whose tokens are accepted; one for all issuers, or one each.", into: \.requires,
      by: { text throws(Refusal) in
        try values(text) { (text: String) throws(Refusal) -> RequiredIdentity in try word(text) }
      }),
    entry(
      .unavailableStatus, "status", .text("503"), allowed: "401, 403 or 503",
      help: "The answer when nothing can be decided (no keys, overload); with failure_mode_allow Envoy lets a 503 in.",
      into: \.unavailableStatus,
      by: { text throws(Refusal) in
        guard ["401", "403", "503"].contains(text), let status = Int(text) else { throw Refusal() }
        return status
      }),
    entry(
      .exposeReason, "switch", .text("off"), allowed: "on or off",
      help: "Tell the client the reason of a denial, in X-Auth-Reason.", into: \.exposeReason,
      by: onOff),
    entry(
      .keysRefresh, "duration", .text("1h"), allowed: "1s to 24h, at most keys_max_age",
      help: "How often the keys are fetched.", into: \.keysRefreshSeconds,
      by: { text throws(Refusal) in try seconds(text, in: 1...86_400) }),
    entry(
      .keysMaxAge, "duration", .text("7d"), allowed: "1s to 30d",
      help: "How long keys that cannot be refreshed are trusted.", into: \.keysMaxAgeSeconds,
      by: { text throws(Refusal) in try seconds(text, in: 1...2_592_000) }),
    entry(
      .unknownKidWait, "duration", .text("2s"), allowed: "0s (never) to 10s",
      help: "How long a request with an unknown kid may wait for the fetch of keys that it causes or meets.",
      into: \.unknownKidWaitSeconds, by: { text throws(Refusal) in try seconds(text, in: 0...10) }),
    entry(
      .eventLoops, "count", .derived("one a core"), allowed: "1 to 64", help: "Threads that serve connections.",
      into: \.eventLoops, by: { text throws(Refusal) in try wholeNumber(text, in: 1...64) }),
    entry(
      .verifyWorkers, "count", .derived("one a core"), allowed: "1 to 64", help: "Threads that verify signatures.",
      into: \.verifyWorkers, by: { text throws(Refusal) in try wholeNumber(text, in: 1...64) }),
    entry(
      .maxPartialBytes, "size", .text("64MiB"), allowed: "1MiB to 16384MiB",
      help:
        "Memory for half-received request heads, over all loops; beyond it the one that has waited longest is refused.",
      into: \.maxPartialBytes, by: { text throws(Refusal) in try bytes(text, in: (1 << 20)...(16 << 30)) }),
    entry(
      .maxConnections, "count", .text("16384"), allowed: "1 to 1048576",
      help: "Connections open at once, over all loops.", into: \.maxConnections,
      by: { text throws(Refusal) in try wholeNumber(text, in: 1...1_048_576) }),
    entry(
      .maxHeadBytes, "size", .text("32KiB"), allowed: "8KiB to 128KiB", help: "The longest request head.",
      into: \.maxHeadBytes, by: { text throws(Refusal) in try bytes(text, in: 8192...131_072) }),
    entry(
      .headerTimeout, "duration", .text("5s"), allowed: "1s to 60s",
      help: "How long a request head may take from its first byte.", into: \.headerTimeoutSeconds,
      by: { text throws(Refusal) in try seconds(text, in: 1...60) }),
    entry(
      .idleTimeout, "duration", .text("120s"), allowed: "1s to 1h",
      help: "How long a connection may wait for a request; longer than the proxy's own.", into: \.idleTimeoutSeconds,
      by: { text throws(Refusal) in try seconds(text, in: 1...3600) }),
    entry(
      .drainTimeout, "duration", .text("10s"), allowed: "0s to 10m",
      help: "How long requests in flight may take after SIGTERM.", into: \.drainTimeoutSeconds,
      by: { text throws(Refusal) in try seconds(text, in: 0...600) }),
    entry(
      .tokenCacheBytes, "size", .text("64MiB"), allowed: "0 (off), or 64KiB to 16384MiB",
      help: "Memory for verified tokens and their bytes, over all loops; a loop needs 64KiB of it.",
      into: \.tokenCacheBytes,
      by: { text throws(Refusal) in
        let size = try bytes(text, in: 0...(16 << 30))
        guard size == 0 || size >= 65_536 else { throw Refusal() }
        return size
      }),
    entry(
      .coreDumps, "switch", .text("off"), allowed: "on or off",
      help: "Let the system write the process's memory to a file when it crashes; tokens may be in there.",
      into: \.coreDumps, by: onOff),
    entry(
      .logLevel, "level", .text("info"), allowed: "debug, info, warning or error",
      help: "The least important lines that are logged.", into: \.logLevel,
      by: { text throws(Refusal) in try word(text) }),
    entry(
      .logFormat, "format", .derived("text on a terminal, else json"), allowed: "text or json",
      help: "How log lines are written.", into: \.logFormat, by: { text throws(Refusal) in try word(text) }),
  ]
}

private func found<Value>(_ value: Value?) throws(Refusal) -> Value {
  guard let value else { throw Refusal() }
  return value
}

/// One address to listen at.
private func address(_ text: String) throws(Refusal) -> NetworkAddress {
  if let address = NetworkAddress(text) { return address }
  guard text.hasPrefix("unix:"), text.utf8.count - 5 > NetworkAddress.longestPath else { throw Refusal() }
  throw Refusal(instead: "unix: and a path of at most \(NetworkAddress.longestPath) bytes")
}

private func addresses(_ text: String) throws(Refusal) -> [NetworkAddress] {
  var addresses: [NetworkAddress] = []
  for part in text.split(separator: ",", omittingEmptySubsequences: false) {
    let address = try address(String(part))
    guard !addresses.contains(where: address.collides) else {
      throw Refusal(instead: "addresses that do not collide; \(address) does with one before it")
    }
    addresses.append(address)
  }
  return addresses
}
