// Definitions → flat tables. What the file's reader has checked is not checked again for people, but nothing here trusts
// it: a name that leads nowhere ends the compilation, and no set is made.

/// Why definitions cannot be compiled.
public struct CompileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Where it stands.
  public let position: SourcePosition
  /// The key, the value and what is allowed, for the one line about a mistake.
  public let key: String
  public let value: String
  public let allowed: String

  public var description: String { "\(position): \(key): '\(value)' is refused; allowed: \(allowed)" }
}

extension PolicyDefinitions {
  /// The most selectors that one use of a group may lead to, each counted as often as it is met on the way: groups of
  /// groups could otherwise cost a request seconds.
  public static let mostSelectorsThroughGroups = 10_000
  /// How many groups deep a group may be.
  public static let mostGroupLevels = 16

  /// Compiles the definitions.
  public func compile() throws(CompileError) -> PolicySet {
    var compiler = try PolicyCompiler(self)
    return try compiler.compile()
  }
}

struct PolicyCompiler {
  private let definitions: PolicyDefinitions
  private var texts = TextTable()
  private var selectors: [PolicySet.Selector] = []
  private var groupIndexes: [UInt32] = []
  private var pathPatterns: [PathPattern] = []
  private var networks: [Network] = []
  private var headers: [PolicySet.Header] = []
  private var policies: [PolicySet.Policy] = []
  private var claimPaths: [ClaimPath] = []
  private var claimSlots: [String: Int] = [:]
  private let groupPlaces: [String: Int]
  private let clientIDs: [String: String]

  init(_ definitions: PolicyDefinitions) throws(CompileError) {
    self.definitions = definitions
    groupPlaces = Dictionary(
      definitions.groups.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    clientIDs = Dictionary(
      definitions.serviceTokens.map { ($0.name, $0.clientID) }, uniquingKeysWith: { first, _ in first })
    var cycles = GroupCycles(definitions, groupPlaces)
    try cycles.check()
  }

  mutating func compile() throws(CompileError) -> PolicySet {
    var groups: [PolicySet.Who] = []
    for group in definitions.groups { groups.append(try who(group.who)) }
    var applications: [PolicySet.Application] = []
    for application in definitions.applications {
      applications.append(try self.application(application, at: applications.count))
    }
    var groupNames: [TextRef] = []
    for group in definitions.groups { groupNames.append(texts.add(group.name.utf8)) }
    let segments = self.segments(applications)
    var trusted: [Network] = []
    for text in definitions.trustedProxies { trusted.append(try network(text, "trusted_proxies", .start)) }
    return PolicySet(
      texts: texts, applications: applications, policies: policies, selectors: selectors, groups: groups,
      groupNames: groupNames, groupIndexes: groupIndexes, pathPatterns: pathPatterns, networks: networks,
      headers: headers,
      segments: segments.entries, segmentSlots: segments.slots, trustedProxies: trusted,
      claimPlan: ClaimPlan(claimPaths))
  }

  private mutating func application(_ application: ApplicationDefinition, at index: Int) throws(CompileError)
    -> PolicySet.Application
  {
    let firstPolicy = policies.count
    for policy in application.policies ?? [] { try add(policy, of: index) }
    let firstHeader = headers.count
    let own = Set(application.headers.map { $0.name.lowercased() })
    for header in definitions.headers where !own.contains(header.name.lowercased()) {
      try add(header, application.position)
    }
    for header in application.headers { try add(header, application.position) }
    guard headers.count - firstHeader <= HeaderLimits.count else {
      throw CompileError(
        position: application.position, key: "headers", value: "\(headers.count - firstHeader) headers",
        allowed: "at most \(HeaderLimits.count), the global ones counted")
    }
    return PolicySet.Application(
      name: texts.add(application.name.utf8), issuer: UInt16(clamping: application.issuer),
      metadata: application.metadata ?? definitions.metadata, allowsPreflight: application.allowsPreflight,
      isReport: application.isReport, hasPolicies: application.policies != nil,
      looksAtPaths: (application.policies ?? []).contains { !$0.match.paths.isEmpty },
      hosts: try hosts(application.hosts.map(\.value), application.position),
      audiences: texts.addSet(application.audiences.map { Array($0.utf8) }), firstPolicy: UInt32(firstPolicy),
      policyCount: UInt32(policies.count - firstPolicy), firstHeader: UInt32(firstHeader),
      headerCount: UInt32(headers.count - firstHeader))
  }

  private mutating func add(_ policy: PolicyDefinition, of application: Int) throws(CompileError) {
    let firstPath = pathPatterns.count
    for path in policy.match.paths {
      guard let pattern = PathPattern.parse(path) else {
        throw CompileError(position: policy.position, key: "paths", value: path, allowed: "a path pattern")
      }
      pathPatterns.append(PathPattern(kind: pattern.kind, text: texts.add(pattern.text)))
    }
    let firstNetwork = networks.count
    for text in policy.match.clientAddresses { networks.append(try network(text, "client_ip", policy.position)) }
    policies.append(
      PolicySet.Policy(
        name: texts.add(policy.name.utf8), application: UInt32(application), action: policy.action,
        isReport: policy.isReport && policy.action == .deny,
        methods: texts.addSet(policy.match.methods.map { Array($0.utf8) }),
        hosts: try hosts(policy.match.hosts, policy.position),
        paths: PolicySet.Run(first: UInt32(firstPath), count: UInt32(pathPatterns.count - firstPath)),
        networks: PolicySet.Run(first: UInt32(firstNetwork), count: UInt32(networks.count - firstNetwork)),
        who: try who(policy.who)))
  }

  private func network(_ text: String, _ key: String, _ position: SourcePosition) throws(CompileError) -> Network {
    guard let network = Network(text) else {
      throw CompileError(position: position, key: key, value: text, allowed: "a network in CIDR form")
    }
    return network
  }

  private mutating func hosts(_ patterns: [String], _ position: SourcePosition) throws(CompileError)
    -> PolicySet.HostSet
  {
    var exact: [[UInt8]] = []
    var wildcards: [[UInt8]] = []
    for text in patterns {
      guard let pattern = HostName.pattern(text) else {
        throw CompileError(position: position, key: "hosts", value: text, allowed: "a host name or *. and a host name")
      }
      if pattern.isWildcard { wildcards.append(pattern.host) } else { exact.append(pattern.host) }
    }
    return PolicySet.HostSet(exact: texts.addSet(exact), wildcards: texts.addSet(wildcards))
  }

  // MARK: - Selectors

  private mutating func who(_ who: SelectorsDefinition) throws(CompileError) -> PolicySet.Who {
    PolicySet.Who(include: try run(who.include), require: try run(who.require), exclude: try run(who.exclude))
  }

  private mutating func run(_ list: [SelectorDefinition]) throws(CompileError) -> PolicySet.Run {
    let first = selectors.count
    for selector in list { selectors.append(try compiled(selector)) }
    return PolicySet.Run(first: UInt32(first), count: UInt32(list.count))
  }

  private mutating func compiled(_ selector: SelectorDefinition) throws(CompileError) -> PolicySet.Selector {
    var result = PolicySet.Selector(
      kind: selector.kind, hasTrue: false, hasFalse: false, slot: 0, values: TextSet(), numbers: TextSet(),
      groups: PolicySet.Run())
    switch selector.kind {
    case .everyone, .anyValidServiceToken: break
    case .emails, .emailDomains: result.values = texts.addSet(selector.values.map { $0.utf8.map(lowercased) })
    case .countries, .subjects, .commonNames: result.values = texts.addSet(selector.values.map { Array($0.utf8) })
    case .serviceTokens:
      var ids: [[UInt8]] = []
      for name in selector.values {
        guard let id = clientIDs[name] else {
          throw CompileError(
            position: selector.position, key: "service_tokens", value: name, allowed: "a name under service_tokens")
        }
        ids.append(Array(id.utf8))
      }
      result.values = texts.addSet(ids)
    case .claim:
      result.slot = UInt16(try slot(selector.claimPath, selector.position))
      result.values = texts.addSet(selector.values.map { Array($0.utf8) })
      result.hasTrue = selector.values.contains("true")
      result.hasFalse = selector.values.contains("false")
      var numbers: [[UInt8]] = []
      for value in selector.values {
        var canonical: [UInt8] = []
        let bytes = Array(value.utf8)
        if DecimalNumber.appendCanonical(bytes.span, 0..<bytes.count, to: &canonical) { numbers.append(canonical) }
      }
      result.numbers = texts.addSet(numbers)
    case .groups:
      result.groups.first = UInt32(groupIndexes.count)
      for name in selector.values {
        guard let place = groupPlaces[name] else {
          throw CompileError(position: selector.position, key: "groups", value: name, allowed: "a name under groups")
        }
        groupIndexes.append(UInt32(place))
      }
      result.groups.count = UInt32(selector.values.count)
    }
    return result
  }

  private mutating func slot(_ text: String, _ position: SourcePosition) throws(CompileError) -> Int {
    if let slot = claimSlots[text] { return slot }
    guard let path = ClaimPath(text) else {
      throw CompileError(position: position, key: "claims", value: text, allowed: "names separated by dots")
    }
    guard claimPaths.count < ClaimPlan.mostSlots else {
      throw CompileError(
        position: position, key: "claims", value: text, allowed: "at most \(ClaimPlan.mostSlots) claims in a file")
    }
    claimSlots[text] = claimPaths.count
    claimPaths.append(path)
    return claimPaths.count - 1
  }

  // MARK: - Headers and segments

  private mutating func add(_ header: HeaderDefinition, _ position: SourcePosition) throws(CompileError) {
    let name = texts.add(header.name.utf8)
    switch header.content {
    case .claim(let path, let join):
      headers.append(
        PolicySet.Header(
          name: name, slot: Int32(try slot(path, position)), hasJoin: join != nil, text: texts.add((join ?? "").utf8)))
    case .value(let value):
      var escaped: [UInt8] = []
      for byte in value.utf8 { HeaderEscape.append(byte, to: &escaped) }
      headers.append(PolicySet.Header(name: name, slot: -1, hasJoin: false, text: texts.add(escaped)))
    }
  }

  private mutating func segments(_ applications: [PolicySet.Application]) -> (
    entries: [PolicySet.Segment], slots: [UInt32]
  ) {
    var places: [String: UInt32] = [:]
    for (index, application) in definitions.applications.enumerated() {
      for audience in Set(application.audiences) {
        // Two issuers may have an audience in common: then only a name says which application is meant.
        places[audience] = places[audience] == nil ? UInt32(index) : .max
      }
    }
    for (index, application) in definitions.applications.enumerated() { places[application.name] = UInt32(index) }
    var size = 16
    while size < places.count * 2 { size *= 2 }
    var slots = [UInt32](repeating: 0, count: size)
    var entries: [PolicySet.Segment] = []
    for (text, application) in places.sorted(by: { $0.key < $1.key }) {
      let bytes = Array(text.utf8)
      entries.append(PolicySet.Segment(text: texts.add(bytes), application: application))
      var slot = Int(truncatingIfNeeded: TextHash.of(bytes.span, 0..<bytes.count, ignoringCase: false)) & (size - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = UInt32(entries.count)
    }
    return (entries, slots)
  }
}

/// What groups of groups lead to: never to themselves, and not too far.
struct GroupCycles {
  private let definitions: PolicyDefinitions
  private let places: [String: Int]
  private var known: [Int: (selectors: Int, levels: Int)] = [:]

  init(_ definitions: PolicyDefinitions, _ places: [String: Int]) {
    self.definitions = definitions
    self.places = places
  }

  mutating func check() throws(CompileError) {
    for place in definitions.groups.indices { _ = try cost(place, below: []) }
  }

  private mutating func cost(_ place: Int, below path: [Int]) throws(CompileError) -> (selectors: Int, levels: Int) {
    if let cost = known[place] { return cost }
    let group = definitions.groups[place]
    func refused(_ allowed: String) -> CompileError {
      CompileError(position: group.position, key: "groups", value: group.name, allowed: allowed)
    }
    guard !path.contains(place) else { throw refused("groups that do not hold themselves") }
    guard path.count < PolicyDefinitions.mostGroupLevels else {
      throw refused("groups within groups, at most \(PolicyDefinitions.mostGroupLevels) deep")
    }
    var selectors = 0
    var levels = 1
    for selector in group.who.all {
      selectors += 1
      guard selector.kind == .groups else { continue }
      for name in selector.values {
        guard let inner = places[name] else { continue }
        let cost = try cost(inner, below: path + [place])
        selectors += cost.selectors
        levels = max(levels, cost.levels + 1)
      }
    }
    guard levels <= PolicyDefinitions.mostGroupLevels else {
      throw refused("groups within groups, at most \(PolicyDefinitions.mostGroupLevels) deep")
    }
    guard selectors <= PolicyDefinitions.mostSelectorsThroughGroups else {
      throw refused(
        "groups that lead to at most \(PolicyDefinitions.mostSelectorsThroughGroups) selectors")
    }
    known[place] = (selectors, levels)
    return (selectors, levels)
  }
}
