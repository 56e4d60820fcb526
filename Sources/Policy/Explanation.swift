// Why a request is decided as it is: each policy, each condition, each selector. Asks the same functions as the decision
// and combines nothing by itself, so that it cannot tell another story. Allocates; not for the hot path.

/// What one condition or selector says, and why.
public struct ExplainedPart: Sendable, Equatable {
  /// `match`, `include`, `require` or `exclude`.
  public let part: String
  /// `methods`, `emails`, `claims.groups`.
  public let title: String
  public let result: Ternary
  /// A few words in printable ASCII, such as `email is lea@acme.com`.
  public let why: String
}

/// What one policy says.
public struct ExplainedPolicy: Sendable, Equatable {
  /// The policy's place in the list of all.
  public let policy: Int
  public let name: String
  public let action: PolicyAction
  public let isReport: Bool
  public let parts: [ExplainedPart]
  /// Whether this is the policy that decided.
  public let decides: Bool
  /// Whether it was noted and passed over.
  public let isNoted: Bool

  /// The result of `match` as a whole; yes where nothing is asked.
  public var match: Ternary { parts.filter { $0.part == "match" }.reduce(.yes) { $0.and($1.result) } }
}

/// A decision and all that was looked at.
public struct Explanation: Sendable {
  public let decision: Decision
  /// Whether it was made without looking at the token.
  public let isWithoutToken: Bool
  /// What the request is taken for: method, host, path and client, each a line of printable ASCII.
  public let request: [String]
  public let policies: [ExplainedPolicy]
}

extension PolicySet {
  /// Explains a decision. The same parameters as `decision`; with an empty `identity` there is no token, and the decision
  /// is nil where one would be needed.
  public func explanation(
    application: Int, request: OriginalRequest, in source: Span<UInt8>, identity: Span<UInt8>,
    revocations: RevocationTable, now: Double
  ) -> (explanation: Explanation?, policies: [ExplainedPolicy]) {
    let early = decisionWithoutToken(application: application, request: request, in: source)
    let hasIdentity = IdentityRecord.isUsable(
      identity, fingerprint: claimPlan.fingerprint, slotCount: claimPlan.paths.count)
    let late: Decision? =
      if early == nil, hasIdentity {
        decision(
          application: application, request: request, in: source, identity: identity, revocations: revocations, now: now
        )
      } else {
        nil
      }
    let decision = early ?? late
    var explained: [ExplainedPolicy] = []
    for index in applications[application].policies {
      explained.append(explain(index, decision, request, source, identity, hasIdentity))
    }
    guard let decision else { return (nil, explained) }
    return (
      Explanation(
        decision: decision, isWithoutToken: early != nil, request: describe(request, source), policies: explained),
      explained
    )
  }

  private func explain(
    _ index: Int, _ decision: Decision?, _ request: OriginalRequest, _ source: Span<UInt8>, _ identity: Span<UInt8>,
    _ hasIdentity: Bool
  ) -> ExplainedPolicy {
    let policy = policies[index]
    var parts = conditions(policy, request, source)
    if hasIdentity {
      if policy.action == .allow || policy.action == .serviceAuth {
        let isPerson = IdentityRecord.isPerson(identity)
        parts.append(
          ExplainedPart(
            part: "action", title: policy.action.name, result: Ternary(isPerson == (policy.action == .allow)),
            why: isPerson ? "the token is a person's" : "the token is a machine's"))
      }
      for (part, run) in [
        ("include", policy.who.include), ("require", policy.who.require), ("exclude", policy.who.exclude),
      ] {
        for place in run.range {
          let selector = selectors[place]
          parts.append(
            ExplainedPart(
              part: part, title: title(selector), result: holds(selector, identity), why: why(selector, identity)))
        }
      }
    }
    var isNoted = false
    if let noted = decision?.noted { for place in 0..<noted.keptCount where noted[place] == index { isNoted = true } }
    return ExplainedPolicy(
      policy: index, name: policyName(index), action: policy.action, isReport: policy.isReport, parts: parts,
      decides: decision?.policy == index, isNoted: isNoted)
  }

  private func conditions(_ policy: Policy, _ request: OriginalRequest, _ source: Span<UInt8>) -> [ExplainedPart] {
    let words = describe(request, source)
    var parts: [ExplainedPart] = []
    func add(_ title: String, _ result: Ternary, _ why: String) {
      parts.append(ExplainedPart(part: "match", title: title, result: result, why: why))
    }
    if !policy.methods.isEmpty { add("methods", holds(methods: policy.methods, request, source), words[0]) }
    if !policy.paths.isEmpty { add("paths", holds(paths: policy.paths, request, source), words[2]) }
    if !policy.hosts.isEmpty { add("hosts", holds(policy.hosts, request, source), words[1]) }
    if !policy.networks.isEmpty { add("client_ip", holds(networks: policy.networks, request), words[3]) }
    return parts
  }

  private func describe(_ request: OriginalRequest, _ source: Span<UInt8>) -> [String] {
    func words(_ name: String, _ fact: RequestFact) -> String {
      guard let range = fact.range else { return "\(name) is \(fact.isDoubled ? "there twice" : "missing")" }
      return "\(name) is \(printable(source, range))"
    }
    let path =
      switch request.path {
      case .missing: "path is missing"
      case .hostile: "path can be read in two ways"
      case .clean(let start, let end, _): "path is \(printable(source, Int(start)..<Int(end)))"
      }
    let client =
      switch request.client {
      case .missing: "client address is missing"
      case .throughCloudflare: "the request came through Cloudflare"
      case .address(let address): "client address is \(address)"
      }
    return [words("method", request.method), words("host", request.host), path, client]
  }

  /// What the file calls a selector.
  func title(_ selector: Selector) -> String {
    selector.kind == .claim ? "claims.\(claimPlan.paths[Int(selector.slot)].text)" : selector.kind.key
  }

  private func why(_ selector: Selector, _ identity: Span<UInt8>) -> String {
    func text(_ name: String, _ text: IdentityRecord.Text) -> String {
      IdentityRecord.range(of: text, in: identity).map { "\(name) is \(printable(identity, $0))" }
        ?? "\(name) is missing"
    }
    let isPerson = IdentityRecord.isPerson(identity)
    switch selector.kind {
    case .everyone: return "everyone"
    case .emails, .emailDomains: return isPerson ? text("email", .email) : "the token is a machine's"
    case .countries: return isPerson ? text("country", .country) : "the token is a machine's"
    case .subjects: return isPerson ? text("sub", .subject) : "the token is a machine's"
    case .serviceTokens, .anyValidServiceToken, .commonNames:
      return isPerson ? "the token is a person's" : text("common_name", .commonName)
    case .claim:
      let name = claimPlan.paths[Int(selector.slot)].text
      guard let value = IdentityRecord.value(Int(selector.slot), in: identity) else { return "\(name) is missing" }
      return "\(name) is \(describe(identity, value))"
    case .groups:
      return selector.groups.range.map { place in
        let group = Int(groupIndexes[place])
        return "group \(string(groupNames[group])): \(holds(group: group, identity))"
      }.joined(separator: ", ")
    }
  }

  private func describe(_ identity: Span<UInt8>, _ at: Int) -> String {
    switch IdentityRecord.Tag(rawValue: identity[at]) {
    case .text: return printable(identity, IdentityRecord.text(identity, at))
    case .number: return printable(identity, IdentityRecord.numberText(identity, at))
    case .yes: return "true"
    case .no: return "false"
    case .other: return "of a type that cannot be compared"
    case .cut, nil: return "too long to be kept"
    case .array:
      var words: [String] = []
      var member = at + 3
      for _ in 0..<IdentityRecord.number16(identity, at + 1) {
        if words.count < 8 { words.append(describe(identity, member)) }
        member = IdentityRecord.next(identity, member)
      }
      return "[\(words.joined(separator: ", "))]"
    }
  }

  private func printable(_ source: Span<UInt8>, _ range: Range<Int>) -> String {
    var bytes: [UInt8] = []
    for index in range.prefix(120) { HeaderEscape.append(source[index], to: &bytes) }
    return String(decoding: bytes, as: UTF8.self) + (range.count > 120 ? "..." : "")
  }
}

extension IPAddress: CustomStringConvertible {
  /// `a.b.c.d`, or the eight groups of IPv6.
  public var description: String {
    if isVersion4 {
      return [24, 16, 8, 0].map { String((low >> $0) & 0xFF) }.joined(separator: ".")
    }
    return [(high, 48), (high, 32), (high, 16), (high, 0), (low, 48), (low, 32), (low, 16), (low, 0)].map {
      String(($0.0 >> $0.1) & 0xFFFF, radix: 16)
    }.joined(separator: ":")
  }
}
