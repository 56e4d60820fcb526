// Each setting's good and bad texts, by tables.

import Settings
import Testing

/// What the settings of TLS need beside them.
private let tlsFiles = ["tls_cert": "/cert.pem", "tls_key": "/key.pem", "tls_client_ca": "/clients.pem"]

/// Settings from flags over a team, as a user would give them; what is about TLS, over its files too.
func settings(_ flags: [String: String], _ environment: [String: String] = [:]) throws(SettingsError)
  -> GatewaySettings
{
  let needsTLS = flags.contains { $0.hasPrefix("tls_") || $1.contains("tls://") }
  return try SettingsTable.resolve(
    flags: ["team_domain": "acme"].merging(needsTLS ? tlsFiles : [:]) { $1 }.merging(flags) { $1 },
    environment: environment,
    surroundings: Surroundings(cores: 6, stderrIsTerminal: false)
  ).settings
}

/// The mistake in one setting's text; nil if it is taken.
func mistake(_ name: String, _ text: String) -> SettingsError? {
  do throws(SettingsError) {
    _ = try settings([name: text])
    return nil
  } catch {
    return error
  }
}

struct Good: CustomTestStringConvertible, Sendable {
  let name: String
  let text: String
  let check: @Sendable (GatewaySettings) -> Bool
  var testDescription: String { "\(name) = \(text)" }

  init<Value: Equatable & Sendable>(
    _ name: String, _ text: String, _ field: any KeyPath<GatewaySettings, Value> & Sendable, _ value: Value
  ) {
    self.name = name
    self.text = text
    check = { $0[keyPath: field] == value }
  }
}

let goodTexts: [Good] = [
  Good("team_domain", "acme", \.issuers[0].issuer, "https://acme.cloudflareaccess.com"),
  Good("team_domain", "acme.cloudflareaccess.com", \.issuers[0].issuer, "https://acme.cloudflareaccess.com"),
  Good("team_domain", "a-1.fed.cloudflareaccess.com", \.issuers[0].issuer, "https://a-1.fed.cloudflareaccess.com"),
  Good("team_domain", "acme", \.teamDomains, ["acme.cloudflareaccess.com"]),
  Good(
    "team_domain", "acme", \.issuers[0].keysLocation.description,
    "https://acme.cloudflareaccess.com/cdn-cgi/access/certs"),
  Good("issuer", "https://id.example:8443/realms/a", \.issuers[0].issuer, "https://id.example:8443/realms/a"),
  Good("issuer", "http://127.0.0.1:9000", \.issuers[0].issuer, "http://127.0.0.1:9000"),
  Good("issuer", "http://127.8.9.1", \.issuers[0].issuer, "http://127.8.9.1"),
  Good("issuer", "http://[::1]:9000", \.issuers[0].keysLocation.description, "http://[::1]:9000/cdn-cgi/access/certs"),
  Good("issuer", "http://localhost:9000", \.issuers[0].issuer, "http://localhost:9000"),
  Good(
    "keys_url", "https://keys.example/a?b=%2F", \.issuers[0].keysLocation.description, "https://keys.example/a?b=%2F"),
  Good("keys_url", "file:/etc/keys.json", \.issuers[0].keysLocation, .file(path: "/etc/keys.json")),
  Good("keys_url", "file:///etc/keys.json", \.issuers[0].keysLocation, .file(path: "/etc/keys.json")),
  Good("team_domain", "a,b.cloudflareaccess.com", \.issuers.count, 2),
  Good("issuer", "https://a.example,https://b.example", \.issuers.count, 2),
  Good("algorithms", "RS256", \.issuers[0].algorithms, [.rs256]),
  Good("ca_file", "system", \.caFile, nil),
  Good("ca_file", "/etc/ca.pem", \.caFile, "/etc/ca.pem"),
  Good("listen", "0.0.0.0:0", \.listen, [.tcp(host: "0.0.0.0", port: 0)]),
  Good("listen", "127.0.0.1:65535", \.listen, [.tcp(host: "127.0.0.1", port: 65535)]),
  Good("listen", "localhost:80", \.listen, [.tcp(host: "127.0.0.1", port: 80)]),
  Good("listen", "[::]:8000", \.listen, [.tcp(host: "::", port: 8000)]),
  Good("listen", "[0:0::0001]:1", \.listen, [.tcp(host: "::1", port: 1)]),
  Good("listen", "[2001:DB8:0:0:1:0:0:1]:1", \.listen, [.tcp(host: "2001:db8::1:0:0:1", port: 1)]),
  Good("listen", "[::ffff:192.0.2.1]:1", \.listen, [.tcp(host: "::ffff:192.0.2.1", port: 1)]),
  Good("listen", "[1:2:3:4:5:6:7:8]:1", \.listen, [.tcp(host: "1:2:3:4:5:6:7:8", port: 1)]),
  Good("listen", "unix:/run/gw.sock", \.listen, [.unix(path: "/run/gw.sock")]),
  Good("listen", "unix:/" + String(repeating: "a", count: 106), \.listen.count, 1),
  Good(
    "listen", "0.0.0.0:8000,[::]:8000,unix:/a", \.listen,
    [.tcp(host: "0.0.0.0", port: 8000), .tcp(host: "::", port: 8000), .unix(path: "/a")]),
  Good("listen", "127.0.0.1:0,127.0.0.1:0", \.listen.count, 2),
  Good("listen", "tls://0.0.0.0:8443", \.listen, [.tls(host: "0.0.0.0", port: 8443)]),
  Good("listen", "tls://[::1]:8443,:8000", \.listen.first, .tls(host: "::1", port: 8443)),
  Good("tls_cert", "/c.pem", \.tlsCertificate, "/c.pem"),
  Good("tls_key", "/k.pem", \.tlsKey, "/k.pem"),
  Good("tls_client_ca", "off", \.tlsClientCA, nil),
  Good("tls_client_ca", "/a.pem", \.tlsClientCA, "/a.pem"),
  Good("tls_client_names", "off", \.tlsClientNames, nil),
  Good("tls_client_names", "dns:a.example, uri:spiffe://a/b", \.tlsClientNames, ["dns:a.example", "uri:spiffe://a/b"]),
  Good("http2", "off", \.http2, false),
  Good("socket_mode", "0600", \.socketMode, 0o600),
  Good("socket_mode", "0777", \.socketMode, 0o777),
  Good("socket_owner", "off", \.socketOwner, nil),
  Good("socket_owner", "www-data", \.socketOwner?.user, "www-data"),
  Good("socket_owner", "33:www-data", \.socketOwner?.group, "www-data"),
  Good("socket_owner", ":33", \.socketOwner?.user, nil),
  Good("socket_owner", ":33", \.socketOwner?.group, "33"),
  Good("admin", "off", \.admin, nil),
  Good("admin", "unix:/run/admin", \.admin, .unix(path: "/run/admin")),
  Good("state_dir", "/var/lib/x", \.stateDirectory, "/var/lib/x"),
  Good("state_dir", "off", \.stateDirectory, nil),
  Good("leeway", "0", \.issuers[0].leewaySeconds, 0),
  Good("leeway", "5m", \.issuers[0].leewaySeconds, 300),
  Good("leeway", "300s", \.issuers[0].leewaySeconds, 300),
  Good("require", "identity", \.issuers[0].require, .identity),
  Good("require", "service", \.issuers[0].require, .service),
  Good("require", "any", \.issuers[0].require, .any),
  Good("unavailable_status", "401", \.unavailableStatus, 401),
  Good("token_types", "at+jwt", \.tokenTypes, ["at+jwt"]),
  Good("token_types", "application/AT+JWT, JWT", \.issuers[0].tokenTypes, ["at+jwt", "jwt"]),
  Good("allow_http_keys", "on", \.allowHTTPKeys, true),
  Good("unavailable_status", "403", \.unavailableStatus, 403),
  Good("expose_reason", "on", \.exposeReason, true),
  Good("expose_reason", "off", \.exposeReason, false),
  Good("keys_refresh", "1s", \.keysRefreshSeconds, 1),
  Good("keys_refresh", "24h", \.keysRefreshSeconds, 86_400),
  Good("keys_max_age", "30d", \.keysMaxAgeSeconds, 2_592_000),
  Good("keys_max_age", "60m", \.keysMaxAgeSeconds, 3600),
  Good("unknown_kid_wait", "0", \.unknownKidWaitSeconds, 0),
  Good("unknown_kid_wait", "10s", \.unknownKidWaitSeconds, 10),
  Good("event_loops", "1", \.eventLoops, 1),
  Good("event_loops", "64", \.eventLoops, 64),
  Good("verify_workers", "64", \.verifyWorkers, 64),
  Good("max_partial_bytes", "1MiB", \.maxPartialBytes, 1 << 20),
  Good("max_partial_bytes", "16384MiB", \.maxPartialBytes, 16 << 30),
  Good("listen_shared", "warn", \.listenShared, .warn),
  Good("listen_shared", "refuse", \.listenShared, .refuse),
  Good("listen_shared", "Warn", \.listenShared, .warn),
  Good("max_connections", "1", \.maxConnections, 1),
  Good("max_connections", "1048576", \.maxConnections, 1_048_576),
  Good("max_head_bytes", "8KiB", \.maxHeadBytes, 8192),
  Good("max_head_bytes", "131072", \.maxHeadBytes, 131_072),
  Good("header_timeout", "1", \.headerTimeoutSeconds, 1),
  Good("header_timeout", "1m", \.headerTimeoutSeconds, 60),
  Good("idle_timeout", "1h", \.idleTimeoutSeconds, 3600),
  Good("drain_timeout", "0", \.drainTimeoutSeconds, 0),
  Good("drain_timeout", "10m", \.drainTimeoutSeconds, 600),
  Good("core_dumps", "on", \.coreDumps, true),
  Good("core_dumps", "off", \.coreDumps, false),
  Good("core_dumps", "True", \.coreDumps, true),
  Good("token_cache_bytes", "0", \.tokenCacheBytes, 0),
  Good("token_cache_bytes", "64KiB", \.tokenCacheBytes, 65_536),
  Good("token_cache_bytes", "16384MiB", \.tokenCacheBytes, 17_179_869_184),
  Good("metadata", "forwarded", \.metadata, .forwarded),
  Good("metadata", "Request", \.metadata, .request),
  Good("trusted_proxies", "10.0.0.0/8, ::1", \.trustedProxies, ["10.0.0.0/8", "::1"]),
  Good("decision_log", "all", \.decisionLog, .all),
  Good("decision_log", "off", \.decisionLog, .off),
  Good("log_level", "debug", \.logLevel, .debug),
  Good("log_level", "error", \.logLevel, .error),
  Good("log_format", "text", \.logFormat, .text),
  Good("log_format", "json", \.logFormat, .json),
  // As people write them, or copy them out of a browser, a dashboard or a file from Windows.
  Good("team_domain", "ACME", \.teamDomains, ["acme.cloudflareaccess.com"]),
  Good("team_domain", "https://Acme.CloudflareAccess.com/", \.teamDomains, ["acme.cloudflareaccess.com"]),
  Good("team_domain", "acme/", \.teamDomains, ["acme.cloudflareaccess.com"]),
  Good("team_domain", "acme.cloudflareaccess.com\r\n", \.teamDomains, ["acme.cloudflareaccess.com"]),
  Good("team_domain", "\tacme \n", \.teamDomains, ["acme.cloudflareaccess.com"]),
  Good("team_domain", "a, https://b/", \.teamDomains, ["a.cloudflareaccess.com", "b.cloudflareaccess.com"]),
  Good("issuer", "https://a.example/", \.issuers[0].issuer, "https://a.example/"),
  Good(
    "issuer", "https://a.example/", \.issuers[0].keysLocation.description, "https://a.example/cdn-cgi/access/certs"),
  Good(
    "issuer", "https://a.example/, https://a.example", \.issuerNames, ["https://a.example/", "https://a.example"]),
  Good("issuer", "https://acme.cloudflareaccess.com/", \.issuers[0].isCloudflare, true),
  Good("issuer", "https://acme.CloudflareAccess.com:443/x", \.issuers[0].isCloudflare, true),
  Good("issuer", "https://id.example/acme.cloudflareaccess.com", \.issuers[0].isCloudflare, false),
  Good("issuer", "https://a.example\r\n", \.issuers[0].issuer, "https://a.example"),
  Good("algorithms", " RS256 ", \.issuers[0].algorithms, [.rs256]),
  Good("listen", ":8000", \.listen, [.tcp(host: "0.0.0.0", port: 8000)]),
  Good("listen", "*:8000", \.listen, [.tcp(host: "0.0.0.0", port: 8000)]),
  Good(
    "listen", "127.0.0.1:80, unix:/a ", \.listen, [.tcp(host: "127.0.0.1", port: 80), .unix(path: "/a")]),
  Good("admin", "Off", \.admin, nil),
  Good("admin", ":9000", \.admin, .tcp(host: "0.0.0.0", port: 9000)),
  Good("state_dir", "/var/lib/x\n", \.stateDirectory, "/var/lib/x"),
  Good("leeway", " 3\r\n", \.issuers[0].leewaySeconds, 3),
  Good("require", "Any", \.issuers[0].require, .any),
  Good("unavailable_status", "503 ", \.unavailableStatus, 503),
  Good("expose_reason", "true", \.exposeReason, true),
  Good("expose_reason", "Yes", \.exposeReason, true),
  Good("expose_reason", "False", \.exposeReason, false),
  Good("expose_reason", "no", \.exposeReason, false),
  Good("log_level", "warn", \.logLevel, .warning),
  Good("log_level", "INFO", \.logLevel, .info),
  Good("log_format", "JSON", \.logFormat, .json),
]

@Test(arguments: goodTexts) func `a good text becomes its value`(_ good: Good) throws {
  #expect(good.check(try settings([good.name: good.text])))
}

let badTexts: [(name: String, texts: [String])] = [
  (
    "team_domain",
    [
      "", "a_b", "-a", "a-", "acme.example", "a.b.cloudflareaccess.com", ".cloudflareaccess.com", "acme.fed",
      "https://acme.example", "https://acme.cloudflareaccess.com/cdn-cgi", "acme//", "acm\u{e9}", "ac\nme", "acme:443",
      "\"acme\"", "'acme'", "\u{201C}acme\u{201D}", "\u{FEFF}acme", "http://acme.cloudflareaccess.com", "https://", "/",
      "\u{212A}elvin",
      String(repeating: "a", count: 64),
    ]
  ),
  (
    "issuer",
    [
      "", "acme", "https://", "https:///", "\"https://a.example\"", "https://a.example?x", "https://a.example/x?",
      "https://a.example#f", "https://u@a.example", "https://u:p@a.example", "http://a.example", "http://10.0.0.1",
      "http://localhost.example", "http://127.0.0.1.example", "http://128.0.0.1", "http://[::2]", "http://127.1",
      "http://0x7f.1", "http://127.0.0.01", "https://a.example:", "https://a.example:0", "https://a.example:65536",
      "https://a..b", "https://a b", "https://a.example/%2", "https://a.example/\u{e9}", "HTTPS://a.example",
      "ftp://a.example", "file:/a", "https://[::1", "https://[1::2::3]", "https://[fe80::1%25eth0]",
      "https://1.2.3.4.5", "https://a\\b", "https://-a.example",
    ]
  ),
  (
    "keys_url",
    [
      "", "/etc/keys", "file:", "file:etc/keys", "file://host/etc/keys", "file:////etc/keys", "file:/a%20b",
      "file:/a?b",
      "file:/a#b", "file:/a/", "http://a.example/keys", "https://a.example/k#f", "https://u@a.example/k",
    ]
  ),
  (
    "listen",
    [
      "", ",", "0.0.0.0:8000,", "tls://", "tls://unix:/a", "tls://tls://:1", "tls://:1,:1", "https://:1", "8000", ":",
      "*:", "**:8000", "*.example:8000", "0.0.0.0", "0.0.0.0:", "0.0.0.0:65536",
      "0.0.0.0:-1",
      "0.0.0.0:+1", "0.0.0.0:08", "0.0.0.0: 80", "256.0.0.1:80", "1.2.3:80", "01.2.3.4:80", "::1:80", "[::1]",
      "[::1]80", "[::g]:80", "[1:2:3]:80", "[1:2:3:4:5:6:7::8]:80", "[1:2:3:4:5:6:7:8:9]:80", "[:::]:80", "[]:80",
      "[12345::]:80", "[::1.2.3.4:5]:80", "[fe80::1%eth0]:80", "example.com:80", "unix:", "unix:a", "unix:/",
      "unix:/a/",
      "unix:/a\u{0}b", "unix:/" + String(repeating: "a", count: 107), "127.0.0.1:80,127.0.0.1:80",
      "0.0.0.0:80,127.0.0.1:80", "[::1]:80,[::]:80", "unix:/a,unix:/a", ":80,*:80", "[::1\u{0}]:80",
      "127.0.0.1\u{0}:80",
    ]
  ),
  ("team_domain", ["a,", ",a", "a,a", "a,a.cloudflareaccess.com", "a, ,b", "a,,b", "a,A"]),
  ("issuer", ["https://a.example,", "https://a.example,https://a.example", "https://a.example, https://a.example"]),
  ("keys_url", ["file:/a,", "file:/a,file:/b"]),
  (
    "algorithms",
    [
      "", "none", "HS256", "rs256", "RS256+", "RS256+RS256", "RS256,", "RS256,RS256", "RS256 ES256", "ES256",
      "RS256+ES256",
      "EdDSA,RS256",
    ]
  ),
  ("ca_file", ["", "ca.pem", "off", "/a\nb"]),
  (
    "token_types",
    ["", "JWT,", "JWT,jwt", "a b", "a/b", "application/", "to\u{212A}en", String(repeating: "x", count: 65)]
  ),
  ("allow_http_keys", ["", "maybe", "2"]),
  ("admin", ["", "on", "none", "127.0.0.1", "127.0.0.1:1,127.0.0.1:2", "false"]),
  ("socket_mode", ["", "660", "1660", "0888", "0o66", "00660", "rw-"]),
  ("socket_owner", ["", ":", "a:", "a:b:c", "-a", "a b", "ä"]),
  ("state_dir", ["", "relative", "./x", "/a\nb", "/" + String(repeating: "a", count: 1024)]),
  ("leeway", ["", "-1", "301", "6m", "1h", "1.5", "0x1", "+3", "3 3", "3 s", "3S", "s", "1e1", "03", "3ss", "٣"]),
  ("leeway", ["99999999999999999999999999", "9223372036854775807d", "999999999999999999d", "3ms", "\u{0}"]),
  ("require", ["", "user", "any,service", "any,"]),
  ("leeway", ["1s,", "1s,2s", ",1s"]),
  ("unavailable_status", ["", "200", "500", "502", "0503", "5 03", "+503"]),
  ("expose_reason", ["", "1", "0", "enabled", "o n"]),
  ("keys_refresh", ["", "0", "86401", "25h", "2d"]),
  ("tls_cert", ["", "c.pem"]),
  ("tls_key", ["", "k.pem", "off"]),
  ("tls_client_ca", ["", "a.pem"]),
  ("tls_client_names", ["", "a.example", "dns:", "cn:a", "dns:a,", "dns:a b", "DNS:a"]),
  ("http2", ["", "2", "h2c"]),
  ("keys_max_age", ["", "0", "31d", "10s"]),
  ("unknown_kid_wait", ["", "-1", "11", "1m", "off"]),
  ("event_loops", ["", "0", "65", "auto", "1s"]),
  ("verify_workers", ["", "0", "65", "1.0"]),
  ("max_partial_bytes", ["", "0", "1023KiB", "16385MiB", "64MB"]), ("listen_shared", ["", "on", "allow"]),
  ("max_connections", ["", "0", "1048577", "16k"]),
  ("max_head_bytes", ["", "8191", "131073", "7KiB", "1MiB", "8KB", "8kib", "32K"]),
  ("header_timeout", ["", "0", "61", "2m"]),
  ("idle_timeout", ["", "0", "3601", "1d"]),
  ("drain_timeout", ["", "601", "11m"]),
  ("token_cache_bytes", ["", "1", "65535", "16385MiB", "64MB", "17179869185", "999999999999999999MiB"]),
  ("core_dumps", ["", "0", "1", "enabled"]),
  ("metadata", ["", "both", "x-forwarded"]),
  ("trusted_proxies", ["", "10.0.0.0/33", "10.0.0.1/8", "host", "10.0.0.0/8,", "10.0.0.1,10.0.0.1"]),
  ("decision_log", ["", "on", "denials"]),
  ("log_level", ["", "trace", "fatal"]),
  ("log_format", ["", "logfmt"]),
]

@Test(arguments: badTexts.flatMap { row in row.texts.map { (row.name, $0) } })
func `a bad text is refused in one printable line that names the flag`(_ name: String, _ text: String) throws {
  let error = try #require(mistake(name, text))
  let flag = try #require(SettingsTable.rows.first { $0.name == name }).flag
  #expect(error.source == flag)
  #expect(error.value == text)
  #expect(error.description.hasPrefix(flag + ": '"))
  #expect(error.description.unicodeScalars.allSatisfy { (" "..."~").contains($0) })
  #expect(error.description.utf8.count < 1200)
}

@Test func `each setting has good and bad texts here`() {
  #expect(Set(goodTexts.map(\.name)) == Set(SettingsTable.rows.map(\.name)))
  #expect(Set(badTexts.map(\.name)) == Set(SettingsTable.rows.map(\.name)))
}

@Test(arguments: [
  (
    "team_domain", "https://acme.cloudflareaccess.com/cdn-cgi/access/certs", "the host alone: acme.cloudflareaccess.com"
  ),
  ("team_domain", "\"acme\"", "the same without quotes: they are part of the value here"),
  ("issuer", "'https://a.example'", "the same without quotes: they are part of the value here"),
  ("listen", "\"0.0.0.0:8000\"", "the same without quotes: they are part of the value here"),
  ("leeway", "'30s'", "the same without quotes: they are part of the value here"),
  ("state_dir", "\u{201C}/var/lib/x\u{201D}", "the same without quotes: they are part of the value here"),
  ("team_domain", "\u{FEFF}acme", "the same without the byte order mark before it"),
  ("listen", "8000", "host:port, such as 0.0.0.0:8000 or 127.0.0.1:8000"),
  (
    "admin", "unix:/" + String(repeating: "a", count: 107),
    "unix: and a path of at most 107 bytes; this one has 108"
  ),
  (
    "listen", "0.0.0.0:1,unix:/" + String(repeating: "a", count: 108),
    "unix: and a path of at most 107 bytes; this one has 109"
  ),
  ("leeway", "30sec", "0s to 300s, written 30s"), ("leeway", "5 Minutes", "0s to 300s, written 5m"),
  ("leeway", "30S", "0s to 300s, written 30s"), ("leeway", "301sec", "0s to 300s"), ("leeway", "500ms", "0s to 300s"),
  ("keys_max_age", "1day", "1s to 30d, written 1d"), ("idle_timeout", "90 s", "1s to 1h, written 90s"),
  ("token_cache_bytes", "64MB", "0 (off), or 64KiB to 16384MiB, written 64MiB"),
  ("token_cache_bytes", "1g", "0 (off), or 64KiB to 16384MiB, written 1024MiB"),
  ("max_head_bytes", "32 kb", "8KiB to 128KiB, written 32KiB"), ("max_head_bytes", "64M", "8KiB to 128KiB"),
  ("log_level", "verbose", "debug, info, warning or error"), ("expose_reason", "1", "on or off"),
]) func `what is nearly right is answered with the right form`(_ name: String, _ text: String, _ allowed: String) throws
{
  #expect(try #require(mistake(name, text)).allowed == allowed)
}

@Test func `a URL is taken apart as the fetch needs it`() throws {
  let table: [(text: String, host: String, port: UInt16, target: String, isSecure: Bool)] = [
    ("https://a.example", "a.example", 443, "/", true),
    ("https://a.example:444/k?x=1", "a.example", 444, "/k?x=1", true),
    ("https://a.example?x=1", "a.example", 443, "/?x=1", true),
    ("http://[::1]/k", "::1", 80, "/k", false),
    ("http://localhost:81/k", "localhost", 81, "/k", false),
  ]
  for row in table {
    guard case .web(let url) = try settings(["keys_url": row.text]).issuers[0].keysLocation else {
      Issue.record("\(row.text) is no web URL")
      continue
    }
    #expect(url.host == row.host)
    #expect(url.port == row.port)
    #expect(url.target == row.target)
    #expect(url.isSecure == row.isSecure)
    #expect(url.description == row.text)
  }
}

@Test func `an address prints as it would be given`() {
  for text in ["0.0.0.0:8000", "[2001:db8::1]:1", "unix:/a b"] {
    #expect(NetworkAddress(text)?.description == text)
  }
}
