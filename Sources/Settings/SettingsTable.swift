// The one table of settings. A property here is all that a new setting takes, beside its use: its name, how its value is
// written, what is allowed, its default and its help. The value is then `settings.<property>` (`GatewaySettings`), and
// flags, variables, files, `check`, --help, the README's table and the messages follow from it.

import Policy

/// All settings, in the order of help and README.
public struct SettingsTable: Sendable {
  /// The teams' hosts, such as `acme.cloudflareaccess.com`; empty where only `issuer` is given.
  public let teamDomains = Setting<[String]>(
    "team_domain", "team",
    .list(
      allowed: "acme, acme.cloudflareaccess.com or acme.fed.cloudflareaccess.com, with or without https://",
      of: teamHost, write: { $0 }),
    standard: .derived("required, unless issuer is given") { _ in [] },
    help:
      "The Cloudflare Access team whose tokens are accepted, or several separated by commas; issuer, where given, wins over it.",
    aliases: ["CF_TEAMS_DOMAIN"])

  /// What `iss` may be, in the order of `GatewaySettings.issuers`.
  public let issuerNames = Setting<[String]>(
    "issuer", "url",
    .list(
      allowed: "an https:// URL (http:// to a loopback host) with no query and no user", of: issuerText, write: { $0 }),
    standard: .derived("https://{team_domain}") { _ in [] },
    help:
      "What a token's iss must be, byte for byte, with a slash at its end only if iss has one; or several, separated by commas."
  )

  /// Where the keys are, one for all issuers or one each.
  public let keysLocations = Setting<[KeysLocation]>(
    "keys_url", "url", .each(.keysLocation),
    standard: .derived("{issuer}/cdn-cgi/access/certs") { _ in [] },
    help: "Where the issuer's keys are fetched; with several issuers, one each.")

  /// One for all issuers or one each, none twice.
  public let algorithms = Setting<[[SignatureName]]>(
    "algorithms", "names", .each(.algorithms), standard: .text("RS256"),
    help: "The algorithms that the issuer signs with; one entry for all issuers, or one each.")

  /// For all issuers: in lower case, without `application/`; one or more, none twice.
  public let tokenTypes = Setting<[String]>(
    "token_types", "names",
    .list(
      allowed: "names of media types such as JWT or at+jwt, separated by commas", of: tokenType, write: { $0 }),
    standard: .text("JWT"),
    help: "What a token's typ may be, in any case, with or without application/ before it; for all issuers.")

  /// Absolute path of PEM certificates to trust for key servers in place of the system's; nil: the system's.
  public let caFile = Setting<String?>(
    "ca_file", "file", .optional(.path, or: "system"), standard: .text("system"),
    help: "PEM certificates to trust for key servers in place of the system's.")

  /// Whether keys may come over http from a private network.
  public let allowHTTPKeys = Setting<Bool>(
    "allow_http_keys", "switch", .onOff, standard: .text("off"),
    help:
      "Fetch keys over http:// from a private network too: whoever is on the way there chooses the keys that are trusted."
  )

  /// One or more, none colliding with another or with `admin`.
  public let listen = Setting<[NetworkAddress]>(
    "listen", "addresses",
    SettingForm(
      allowed:
        "host:port, [v6]:port, tls://host:port or unix:/path, numeric hosts, several separated by commas; no host is all IPv4 addresses",
      isList: true, read: addresses, write: { $0.map(\.description).joined(separator: ",") }),
    standard: .text("0.0.0.0:8000"),
    help: "Where proxies ask; port 0 is any free one, [::] alone takes IPv4 too; sockets from systemd replace it.")

  /// Absolute path; nil: there is no TLS.
  public let tlsCertificate = Setting<String?>(
    "tls_cert", "file", .optional(.path), standard: .text("off"),
    help:
      "PEM certificate of the tls:// addresses of listen, with those of intermediate CAs behind it; read anew when it changes."
  )

  /// Absolute path; nil: there is no TLS.
  public let tlsKey = Setting<String?>(
    "tls_key", "file", .optional(.path), standard: .text("off"),
    help: "PEM private key of tls_cert, RSA or ECDSA, not encrypted; others must not be able to read it.")

  /// Absolute path; nil: clients need no certificate.
  public let tlsClientCA = Setting<String?>(
    "tls_client_ca", "file", .optional(.path), standard: .text("off"),
    help: "PEM certificates of CAs: only proxies that show a certificate of one of them may ask over TLS.")

  /// Each `dns:NAME` or `uri:URI`; nil: any name will do.
  public let tlsClientNames = Setting<[String]?>(
    "tls_client_names", "names",
    .optional(
      .list(
        allowed: "dns:name or uri:uri, several separated by commas", of: clientName, write: { $0 })),
    standard: .text("off"),
    help: "Subject alternative names of which a proxy's certificate must have one; needs tls_client_ca.")

  /// Whether HTTP/2 is offered over TLS, and understood in clear.
  public let http2 = Setting<Bool>(
    "http2", "switch", .onOff, standard: .text("on"),
    help: "Speak HTTP/2 beside HTTP/1.1: over TLS by ALPN, in clear with prior knowledge (h2c).")

  public let listenShared = Setting<SharedListening>(
    "listen_shared", "word", .word(), standard: .text("warn"),
    help:
      "What to do where another process of the same user listens at an address of listen: an upgrade wants it, a mistake does not."
  )

  /// Where `/livez`, `/readyz` and `/metrics` are; nil means off.
  public let admin = Setting<NetworkAddress?>(
    "admin", "address", .optional(.address), standard: .text("127.0.0.1:8001"),
    help: "Where /livez, /readyz and /metrics are.")

  /// Permission bits of `unix:` sockets, 0...0o777.
  public let socketMode = Setting<UInt32>(
    "socket_mode", "mode", .fileMode, standard: .text("0660"),
    help: "Permissions of unix: sockets; who may write one may connect.")

  /// Owner of `unix:` sockets; nil leaves the process's own.
  public let socketOwner = Setting<SocketOwner?>(
    "socket_owner", "user:group", .optional(.socketOwner), standard: .text("off"),
    allowed: "user, user:group or :group, by name or number, or off",
    help: "Owner of unix: sockets; another user than one's own needs root.")

  /// Absolute path of the folder for the last good key set; nil means that none is kept.
  public let stateDirectory = Setting<String?>(
    "state_dir", "folder", .optional(.path), standard: .text("off"),
    help: "The folder that keeps the last good keys, so that a start needs no network.")

  /// Seconds, one for all issuers or one each.
  public let leeways = Setting<[Int]>(
    "leeway", "duration", .each(.duration(0...300)), standard: .text("30s"), allowed: "0s to 300s",
    help: "Clock difference that is tolerated; one for all issuers, or one each.")

  /// One for all issuers or one each.
  public let requires = Setting<[RequiredIdentity]>(
    "require", "who", .each(.word()), standard: .text("identity"),
    allowed: "identity (users), service (service tokens) or any",
    help: "Whose tokens are accepted; one for all issuers, or one each.")

  /// The status of `keys_unavailable`, `overloaded` and a refusal for want of room.
  public let unavailableStatus = Setting<Int>(
    "unavailable_status", "status", .oneOf([401, 403, 503]), standard: .text("503"),
    help: "The answer when nothing can be decided (no keys, overload); with failure_mode_allow Envoy lets a 503 in.")

  public let exposeReason = Setting<Bool>(
    "expose_reason", "switch", .onOff, standard: .text("off"),
    help: "Tell the client the reason of a denial, in X-Auth-Reason.")

  /// Seconds, at most `keysMaxAgeSeconds`.
  public let keysRefreshSeconds = Setting<Int>(
    "keys_refresh", "duration", .duration(1...86_400), standard: .text("1h"),
    allowed: "1s to 24h, at most keys_max_age", help: "How often the keys are fetched.")

  /// Seconds.
  public let keysMaxAgeSeconds = Setting<Int>(
    "keys_max_age", "duration", .duration(1...2_592_000), standard: .text("7d"),
    help: "How long keys that cannot be refreshed are trusted.")

  /// Seconds; 0: nothing waits.
  public let unknownKidWaitSeconds = Setting<Int>(
    "unknown_kid_wait", "duration", .duration(0...10), standard: .text("2s"), allowed: "0s (never) to 10s",
    help: "How long a request with an unknown kid may wait for the fetch of keys that it causes or meets.")

  /// Where policies of applications that name no family of their own look for the original request.
  public let metadata = Setting<MetadataFamily>(
    "metadata", "family", .metadata, standard: .text("forwarded"),
    help:
      "What policies believe of the original request: forwarded is X-Forwarded-Method, -Host, -Uri and -For, request is the request's own method and host and the path behind /auth/<name>, with X-Forwarded-For."
  )

  /// CIDRs; one or more.
  public let trustedProxies = Setting<[String]>(
    "trusted_proxies", "networks",
    .list(allowed: "networks such as 10.0.0.0/8, or addresses, separated by commas", of: networkText, write: { $0 }),
    standard: .text(PolicyDefinitions.defaultTrustedProxies.joined(separator: ",")),
    help: "Proxies whose own entry in X-Forwarded-For is passed over when policies look for the client's address.")

  public let decisionLog = Setting<DecisionLog>(
    "decision_log", "word", .word(), standard: .text("denied"),
    help: "Which decisions get a JSON line in the log, where the file names applications.")

  public let eventLoops = Setting<Int>(
    "event_loops", "count", .count(1...64), standard: .derived("one a core") { $0.coresUsed },
    help: "Threads that serve connections.")

  public let verifyWorkers = Setting<Int>(
    "verify_workers", "count", .count(1...64), standard: .derived("one a core") { $0.coresUsed },
    help: "Threads that verify signatures.")

  /// Over all loops.
  public let maxPartialBytes = Setting<Int>(
    "max_partial_bytes", "size", .size((1 << 20)...(16 << 30)), standard: .text("64MiB"),
    help:
      "Memory for half-received request heads, over all loops; beyond it the one that has waited longest is refused.")

  /// Over all loops.
  public let maxConnections = Setting<Int>(
    "max_connections", "count", .count(1...1_048_576), standard: .text("16384"),
    help: "Connections open at once, over all loops.")

  public let maxHeadBytes = Setting<Int>(
    "max_head_bytes", "size", .size(8192...131_072), standard: .text("32KiB"), help: "The longest request head.")

  public let headerTimeoutSeconds = Setting<Int>(
    "header_timeout", "duration", .duration(1...60), standard: .text("5s"), allowed: "1s to 60s",
    help: "How long a request head may take from its first byte.")

  public let idleTimeoutSeconds = Setting<Int>(
    "idle_timeout", "duration", .duration(1...3600), standard: .text("120s"),
    help: "How long a connection may wait for a request; longer than the proxy's own.")

  public let drainTimeoutSeconds = Setting<Int>(
    "drain_timeout", "duration", .duration(0...600), standard: .text("10s"),
    help: "How long requests in flight may take after SIGTERM.")

  /// Over all loops; 0: nothing is remembered.
  public let tokenCacheBytes = Setting<Int>(
    "token_cache_bytes", "size", .size(65_536...(16 << 30), orZero: true), standard: .text("64MiB"),
    help: "Memory for verified tokens and their bytes, over all loops; a loop needs 64KiB of it.")

  /// Whether the process may be dumped, and traced by other processes of its user.
  public let coreDumps = Setting<Bool>(
    "core_dumps", "switch", .onOff, standard: .text("off"),
    help: "Let the system write the process's memory to a file when it crashes; tokens may be in there.")

  public let logLevel = Setting<LogThreshold>(
    "log_level", "level", .word(synonyms: ["warn": .warning, "err": .error]), standard: .text("info"),
    help: "The least important lines that are logged.")

  public let logFormat = Setting<LogStyle>(
    "log_format", "format", .word(),
    standard: .derived("text on a terminal, else json") { $0.stderrIsTerminal ? .text : .json },
    help: "How log lines are written.")
}

extension SettingsTable {
  /// The table.
  public static let all = SettingsTable()

  /// The settings without their types, in the order of the table.
  public static let rows: [any SettingDefinition] = Mirror(reflecting: all).children.map { child in
    guard let row = child.value as? any SettingDefinition else {
      preconditionFailure("\(child.label ?? "") of the settings table is no setting")
    }
    return row
  }
}

extension SettingForm<KeysLocation> {
  fileprivate static var keysLocation: SettingForm {
    SettingForm(
      allowed: "an https:// URL, an http:// URL to a loopback host, or file:/path",
      read: { text throws(SettingRefusal) in try found(KeysLocation(text, allowingHTTP: true)) }, write: \.description)
  }
}

extension SettingForm<[SignatureName]> {
  fileprivate static var algorithms: SettingForm {
    SettingForm(
      allowed: "\(listed(SignatureName.allCases.map(\.rawValue))), several joined by +; RS256 alone for Cloudflare",
      read: algorithmNames, write: { $0.map(\.rawValue).joined(separator: "+") })
  }
}

extension SettingForm<MetadataFamily> {
  fileprivate static var metadata: SettingForm {
    SettingForm(
      allowed: listed(MetadataFamily.allCases.map(\.name)),
      read: { text throws(SettingRefusal) in try found(MetadataFamily.allCases.first { $0.name == text.lowercased() })
      },
      write: \.name)
  }
}

extension SettingForm<UInt32> {
  fileprivate static var fileMode: SettingForm {
    SettingForm(
      allowed: "four octal digits, 0000 to 0777",
      read: { text throws(SettingRefusal) in
        guard text.utf8.count == 4, text.hasPrefix("0"), text.utf8.allSatisfy(isDigit),
          let mode = UInt32(text, radix: 8)
        else { throw SettingRefusal() }
        return mode
      },
      write: { mode in
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(4 - digits.utf8.count, 0)) + digits
      })
  }
}

extension SettingForm<SocketOwner> {
  fileprivate static var socketOwner: SettingForm {
    SettingForm(
      allowed: "user, user:group or :group, by name or number",
      read: { text throws(SettingRefusal) in try found(SocketOwner(text)) }, write: \.description)
  }
}

private func found<Value>(_ value: Value?) throws(SettingRefusal) -> Value {
  guard let value else { throw SettingRefusal() }
  return value
}

private func networkText(_ text: String) throws(SettingRefusal) -> String {
  guard Network(text) != nil else { throw SettingRefusal() }
  return text
}

private func clientName(_ text: String) throws(SettingRefusal) -> String {
  guard text.utf8.count > 4, text.hasPrefix("dns:") || text.hasPrefix("uri:"),
    text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
  else { throw SettingRefusal() }
  return text
}

private func addresses(_ text: String) throws(SettingRefusal) -> [NetworkAddress] {
  var addresses: [NetworkAddress] = []
  for part in text.split(separator: ",", omittingEmptySubsequences: false) {
    let address = try NetworkAddress(reading: withoutSpace(String(part)))
    guard !addresses.contains(where: address.collides) else {
      throw SettingRefusal(instead: "addresses that do not collide; \(address) does with one before it")
    }
    addresses.append(address)
  }
  return addresses
}
