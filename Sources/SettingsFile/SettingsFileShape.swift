// The shape of the settings file.

/// A setting of the program that the file may hold at its top.
public struct KnownSetting: Sendable {
  public let name: String
  /// Whether it may be a list.
  public let isList: Bool

  public init(_ name: String, isList: Bool = false) {
    self.name = name
    self.isList = isList
  }
}

extension RecordShape.Field {
  init(_ key: String, _ rule: TextRule, isRequired: Bool = false) {
    self.init(key: key, shape: .text(rule), isRequired: isRequired)
  }

  init(_ key: String, _ shape: Shape, isRequired: Bool = false) {
    self.init(key: key, shape: shape, isRequired: isRequired)
  }
}

enum SettingsFileShape {
  /// Keys that belong to the file's own parts, whatever the settings are called.
  static let ownKeys = [
    "version", "issuers", "service_tokens", "groups", "headers", "metadata", "trusted_proxies", "decision_log",
    "revocation", "tests", "applications",
  ]

  static func file(_ settings: [KnownSetting]) -> Shape {
    let known = settings.filter { !ownKeys.contains($0.name) }.map {
      RecordShape.Field($0.name, $0.isList ? .either(.settingValue, .list(.text(.settingValue))) : .text(.settingValue))
    }
    return .record(
      RecordShape(
        fields: [
          .init("version", .words(["1"])), .init("issuers", .map(keys: .name, values: .record(issuer))),
          .init("service_tokens", .map(keys: .name, values: .text(.clientID))),
          .init("groups", .map(keys: .name, values: .record(group))), .init("headers", headers),
          .init("metadata", .text(metadata)), .init("trusted_proxies", .list(.text(.network))),
          .init("decision_log", .words(["denied", "all", "off"])),
          .init("revocation", .record(RecordShape(fields: [.init("file", .absolutePath, isRequired: true)]))),
          .init("tests", .list(.text(.relativePath))),
          .init("applications", .map(keys: .name, values: .record(application))),
        ] + known, atMostOne: [["issuers", "team_domain"], ["issuers", "issuer"]]))
  }

  static let metadata = TextRule.words(["forwarded", "request"])

  static let issuer = RecordShape(
    fields: [
      .init("team_domain", .settingValue), .init("issuer", .settingValue), .init("keys_url", .settingValue),
      .init("algorithms", .either(.settingValue, .list(.text(.settingValue)))),
      .init("token_types", .either(.settingValue, .list(.text(.settingValue)))), .init("leeway", .settingValue),
      .init("ca_file", .settingValue),
    ], atLeastOne: [["team_domain", "issuer"]])

  static let headers = Shape.map(
    keys: .headerName,
    values: .record(
      RecordShape(
        fields: [.init("claim", .claimPath), .init("join", .join), .init("value", .headerValue)],
        exactlyOne: [["claim", "value"]], atMostOne: [["join", "value"]])))

  static let selectors = Shape.record(
    RecordShape(fields: [
      .init("everyone", .yes), .init("emails", .list(.text(.email))), .init("email_domains", .list(.text(.domain))),
      .init("countries", .list(.text(.country))), .init("subjects", .list(.text(.subject))),
      .init("service_tokens", .list(.text(.name))), .init("any_valid_service_token", .yes),
      .init("common_names", .list(.text(.commonName))),
      .init("claims", .map(keys: .claimPath, values: .list(.text(.claimValue)))),
      .init("groups", .list(.text(.name))),
    ]))

  static let group = RecordShape(fields: [
    .init("include", selectors, isRequired: true), .init("require", selectors), .init("exclude", selectors),
  ])

  static let policy = RecordShape(fields: [
    .init("name", .title, isRequired: true),
    .init("action", .words(["allow", "service_auth", "deny", "bypass"]), isRequired: true),
    .init("mode", .words(["enforce", "report"])),
    .init(
      "match",
      .record(
        RecordShape(fields: [
          .init("methods", .list(.text(.method))), .init("paths", .list(.text(.path))),
          .init("hosts", .list(.text(.host))), .init("client_ip", .list(.text(.network))),
        ]))),
    .init("include", selectors), .init("require", selectors), .init("exclude", selectors),
  ])

  static let application = RecordShape(
    fields: [
      .init("issuer", .name), .init("audience", .audience), .init("audiences", .list(.text(.audience))),
      .init("hosts", .list(.text(.host))), .init("preflight", .words(["deny", "allow"])),
      .init("mode", .words(["enforce", "report"])), .init("metadata", .text(metadata)), .init("headers", headers),
      .init("policies", .list(.record(policy))),
    ], exactlyOne: [["audience", "audiences"]])
}
