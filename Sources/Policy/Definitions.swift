// The settings file's part on applications as plain values with positions, as a reader of the file hands it over. Checked
// by that reader; compiled by PolicyCompiler. Nothing is evaluated here.

/// What a policy does with whom it holds for.
public enum PolicyAction: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  /// Lets people in.
  case allow
  /// Lets service tokens and certificates in.
  case serviceAuth
  case deny
  /// Lets in without a token.
  case bypass

  /// As the file writes it.
  public var name: String {
    switch self {
    case .allow: "allow"
    case .serviceAuth: "service_auth"
    case .deny: "deny"
    case .bypass: "bypass"
    }
  }
}

/// Which family of fields says what the original request was.
public enum MetadataFamily: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  /// `X-Forwarded-Method`, `X-Forwarded-Host`, `X-Forwarded-Uri`, `X-Forwarded-For`.
  case forwarded
  /// The request's own method and Host, and the path behind `/auth/<name>`.
  case request

  /// As the file writes it.
  public var name: String { self == .forwarded ? "forwarded" : "request" }
}

/// The kinds of selector, in the order of the contract's table.
public enum SelectorKind: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case everyone, emails, emailDomains, countries, subjects, serviceTokens, anyValidServiceToken, commonNames, claim
  case groups

  /// The key in the file.
  public var key: String {
    switch self {
    case .everyone: "everyone"
    case .emails: "emails"
    case .emailDomains: "email_domains"
    case .countries: "countries"
    case .subjects: "subjects"
    case .serviceTokens: "service_tokens"
    case .anyValidServiceToken: "any_valid_service_token"
    case .commonNames: "common_names"
    case .claim: "claims"
    case .groups: "groups"
    }
  }
}

/// One selector: a kind and the values of which one suffices.
public struct SelectorDefinition: Sendable {
  public let kind: SelectorKind
  /// The claim's path, `a.b`; empty for other kinds.
  public let claimPath: String
  /// The values; names for `groups` and `service_tokens`; none for `everyone` and `any_valid_service_token`.
  public let values: [String]
  public let position: SourcePosition

  public init(_ kind: SelectorKind, claimPath: String = "", values: [String] = [], at position: SourcePosition = .start)
  {
    self.kind = kind
    self.claimPath = claimPath
    self.values = values
    self.position = position
  }

  /// What a person calls it: `emails`, `claims.groups`.
  public var title: String { kind == .claim ? "claims.\(claimPath)" : kind.key }
}

/// `include`, `require` and `exclude` of a policy or a group.
public struct SelectorsDefinition: Sendable {
  public var include: [SelectorDefinition]
  public var require: [SelectorDefinition]
  public var exclude: [SelectorDefinition]

  public init(
    include: [SelectorDefinition] = [], require: [SelectorDefinition] = [], exclude: [SelectorDefinition] = []
  ) {
    self.include = include
    self.require = require
    self.exclude = exclude
  }

  /// All of them in the order include, require, exclude.
  public var all: [SelectorDefinition] { include + require + exclude }
}

/// A policy's `match`; an empty list is a condition that was not given.
public struct MatchDefinition: Sendable, Equatable {
  public var methods: [String]
  public var paths: [String]
  public var hosts: [String]
  public var clientAddresses: [String]

  public init(methods: [String] = [], paths: [String] = [], hosts: [String] = [], clientAddresses: [String] = []) {
    self.methods = methods
    self.paths = paths
    self.hosts = hosts
    self.clientAddresses = clientAddresses
  }

  public var isEmpty: Bool { methods.isEmpty && paths.isEmpty && hosts.isEmpty && clientAddresses.isEmpty }
}

/// One policy of an application.
public struct PolicyDefinition: Sendable {
  public var name: String
  public var position: SourcePosition
  public var action: PolicyAction
  /// Of a `deny`: noted and passed over.
  public var isReport: Bool
  public var match: MatchDefinition
  /// An empty `include` of a `deny` or `bypass` means everyone.
  public var who: SelectorsDefinition

  public init(
    name: String, action: PolicyAction, isReport: Bool = false, match: MatchDefinition = MatchDefinition(),
    who: SelectorsDefinition = SelectorsDefinition(), at position: SourcePosition = .start
  ) {
    self.name = name
    self.position = position
    self.action = action
    self.isReport = isReport
    self.match = match
    self.who = who
  }
}

/// A header that leaves on each 200.
public struct HeaderDefinition: Sendable, Equatable {
  public enum Content: Sendable, Equatable {
    /// The claim at a path; `join` stands between the elements of an array, and without it an array is empty.
    case claim(path: String, join: String?)
    case value(String)
  }

  public let name: String
  public let content: Content

  public init(name: String, content: Content) {
    self.name = name
    self.content = content
  }
}

/// One application.
public struct ApplicationDefinition: Sendable {
  public var name: String
  public var position: SourcePosition
  /// The issuer's place in ``PolicyDefinitions/issuers``.
  public var issuer: Int
  public var audiences: [String]
  public var hosts: [Positioned<String>]
  public var allowsPreflight: Bool
  public var isReport: Bool
  /// Nil: the global one.
  public var metadata: MetadataFamily?
  public var headers: [HeaderDefinition]
  /// Nil where the file has no `policies:`; then the setting `require` says who comes in.
  public var policies: [PolicyDefinition]?

  public init(
    name: String, issuer: Int = 0, audiences: [String], hosts: [Positioned<String>] = [],
    allowsPreflight: Bool = false, isReport: Bool = false, metadata: MetadataFamily? = nil,
    headers: [HeaderDefinition] = [], policies: [PolicyDefinition]? = nil, at position: SourcePosition = .start
  ) {
    self.name = name
    self.position = position
    self.issuer = issuer
    self.audiences = audiences
    self.hosts = hosts
    self.allowsPreflight = allowsPreflight
    self.isReport = isReport
    self.metadata = metadata
    self.headers = headers
    self.policies = policies
  }
}

/// A named group of selectors.
public struct GroupDefinition: Sendable {
  public let name: String
  public let who: SelectorsDefinition
  public let position: SourcePosition

  public init(name: String, who: SelectorsDefinition, at position: SourcePosition = .start) {
    self.name = name
    self.who = who
    self.position = position
  }
}

/// A service token's name and its Client ID.
public struct ServiceTokenDefinition: Sendable, Equatable {
  public let name: String
  public let clientID: String
  public let position: SourcePosition

  public init(name: String, clientID: String, at position: SourcePosition = .start) {
    self.name = name
    self.clientID = clientID
    self.position = position
  }
}

/// Everything about applications that a file says.
public struct PolicyDefinitions: Sendable {
  /// The issuers' names, in their order; `default` alone where the file names none.
  public var issuers: [String]
  public var serviceTokens: [ServiceTokenDefinition]
  public var groups: [GroupDefinition]
  /// For all applications.
  public var headers: [HeaderDefinition]
  public var metadata: MetadataFamily
  /// The CIDRs of proxies whose entry in `X-Forwarded-For` is passed over.
  public var trustedProxies: [String]
  public var applications: [ApplicationDefinition]

  /// Loopback: what `trusted_proxies` is by default.
  public static let defaultTrustedProxies = ["127.0.0.0/8", "::1/128"]

  public init(
    issuers: [String] = ["default"], serviceTokens: [ServiceTokenDefinition] = [], groups: [GroupDefinition] = [],
    headers: [HeaderDefinition] = [], metadata: MetadataFamily = .forwarded,
    trustedProxies: [String] = PolicyDefinitions.defaultTrustedProxies, applications: [ApplicationDefinition] = []
  ) {
    self.issuers = issuers
    self.serviceTokens = serviceTokens
    self.groups = groups
    self.headers = headers
    self.metadata = metadata
    self.trustedProxies = trustedProxies
    self.applications = applications
  }
}
