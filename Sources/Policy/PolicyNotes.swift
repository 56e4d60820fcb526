// What is no mistake and may still not be meant: the notes of `check`. They change nothing.

/// A note about a file.
public struct PolicyNote: Sendable, Equatable {
  public let position: SourcePosition
  /// A sentence without a full stop.
  public let text: String
}

extension PolicyDefinitions {
  /// The notes on the file, in its order.
  public var notes: [PolicyNote] {
    var notes: [PolicyNote] = []
    func note(_ position: SourcePosition, _ text: String) { notes.append(PolicyNote(position: position, text: text)) }
    for group in groups { Self.notes(on: group.who, "group \(group.name)", note) }
    for application in applications { Self.notes(on: application, note) }
    var owners: [String: String] = [:]
    for application in applications {
      for host in application.hosts {
        let name = host.value.lowercased()
        if let owner = owners[name] {
          note(
            host.position, "host \(host.value) is of \(owner == application.name ? "this application" : owner) already")
        } else {
          owners[name] = application.name
        }
      }
    }
    for (kind, names) in unusedNames {
      for name in names { note(name.position, "\(kind) \(name.value) is used nowhere") }
    }
    return notes.sorted { ($0.position.line, $0.position.column) < ($1.position.line, $1.position.column) }
  }

  private static func notes(on application: ApplicationDefinition, _ note: (SourcePosition, String) -> Void) {
    let name = "application \(application.name)"
    if application.hosts.isEmpty { note(application.position, "\(name) has no hosts: it is reached on any") }
    if application.isReport { note(application.position, "\(name) is in mode report: nobody is denied by policies") }
    let policies = application.policies ?? []
    for (index, policy) in policies.enumerated() {
      if policy.isReport { note(policy.position, "policy '\(policy.name)' is in mode report: it denies nobody") }
      if policy.action == .bypass, policy.match.isEmpty {
        note(policy.position, "policy '\(policy.name)' is a bypass without match: no request needs a token")
      }
      notes(on: policy.who, "policy '\(policy.name)'", note)
      if let earlier = policies[..<index].first(where: { $0.hides(policy) }) {
        note(policy.position, "policy '\(policy.name)' never decides: '\(earlier.name)' before it holds first")
      }
    }
  }

  private static func notes(on who: SelectorsDefinition, _ owner: String, _ note: (SourcePosition, String) -> Void) {
    for selector in who.require where selector.values.count > 1 {
      note(
        selector.position,
        "\(owner): require \(selector.title) has several values; one of them suffices here, at Cloudflare all are needed"
      )
    }
    for selector in who.exclude where selector.kind == .claim && !standardClaims.contains(selector.claimPath) {
      note(
        selector.position,
        "\(owner): exclude \(selector.title) looks at a claim that Access drops when custom is too long; it excludes whoever lacks it"
      )
    }
  }

  /// Claims of each token, which are never trimmed.
  private static let standardClaims: Set<String> = [
    "aud", "email", "exp", "iat", "nbf", "iss", "type", "identity_nonce", "sub", "country", "common_name",
  ]

  /// Groups and service tokens that nothing names.
  private var unusedNames: [(String, [Positioned<String>])] {
    var used: Set<String> = []
    let policies = applications.flatMap { $0.policies ?? [] }
    for selector in policies.flatMap(\.who.all) + groups.flatMap(\.who.all)
    where selector.kind == .groups || selector.kind == .serviceTokens {
      for value in selector.values { used.insert("\(selector.kind.key) \(value)") }
    }
    return [
      ("group", groups.filter { !used.contains("groups \($0.name)") }.map { Positioned($0.name, at: $0.position) }),
      (
        "service token",
        serviceTokens.filter { !used.contains("service_tokens \($0.name)") }.map {
          Positioned($0.name, at: $0.position)
        }
      ),
    ]
  }
}

extension PolicyDefinition {
  /// Whether it decides on each request that `later` could decide on.
  func hides(_ later: PolicyDefinition) -> Bool {
    guard !isReport, match.covers(later.match) else { return false }
    // A bypass counts without a token: only another bypass, or a deny, stands in its way.
    switch action {
    case .bypass: return true
    case .deny: return who.isEveryone || later.action == .deny && who.covers(later.who)
    case .allow, .serviceAuth: return later.action == action && who.covers(later.who)
    }
  }
}

extension MatchDefinition {
  /// Whether it holds for each request that `other` holds for, as far as equal texts tell.
  func covers(_ other: MatchDefinition) -> Bool {
    func covers(_ mine: [String], _ others: [String]) -> Bool {
      mine.isEmpty || !others.isEmpty && Set(others).isSubset(of: mine)
    }
    return covers(methods, other.methods) && covers(paths, other.paths) && covers(hosts, other.hosts)
      && covers(clientAddresses, other.clientAddresses)
  }
}

extension SelectorsDefinition {
  /// Whether it holds for everyone.
  var isEveryone: Bool {
    require.isEmpty && exclude.isEmpty && (include.isEmpty || include.contains { $0.kind == .everyone })
  }

  /// Whether it holds for whomever `other` holds for, as far as equal selectors tell.
  func covers(_ other: SelectorsDefinition) -> Bool {
    if isEveryone { return true }
    func covered(_ selector: SelectorDefinition, by list: [SelectorDefinition]) -> Bool {
      list.contains {
        $0.kind == .everyone
          || $0.kind == selector.kind && $0.claimPath == selector.claimPath
            && Set(selector.values).isSubset(of: $0.values)
      }
    }
    return !other.include.isEmpty && other.include.allSatisfy { covered($0, by: include) }
      && require.allSatisfy { mine in other.require.contains { covered($0, by: [mine]) } }
      && exclude.allSatisfy { mine in other.exclude.contains { covered(mine, by: [$0]) } }
  }
}
