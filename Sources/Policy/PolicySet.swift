// The compiled file: flat, immutable tables that all loops read. Made by PolicyCompiler.swift; asked by Evaluation.swift.

/// What a file says about applications, compiled. Immutable, so any thread may read it; looking up and evaluating
/// allocates nothing.
public final class PolicySet: Sendable {
  struct Application: Sendable, BitwiseCopyable {
    var name: TextRef
    var issuer: UInt16
    var metadata: MetadataFamily
    var allowsPreflight: Bool
    var isReport: Bool
    var hasPolicies: Bool
    /// Whether one of its policies looks at paths: then a hostile path is denied.
    var looksAtPaths: Bool
    var hosts: HostSet
    var audiences: TextSet
    var firstPolicy: UInt32
    var policyCount: UInt32
    var firstHeader: UInt32
    var headerCount: UInt32

    var policies: Range<Int> { Int(firstPolicy)..<Int(firstPolicy + policyCount) }
    var headers: Range<Int> { Int(firstHeader)..<Int(firstHeader + headerCount) }
  }

  /// Hosts by exact name, and by what follows `*.`.
  struct HostSet: Sendable, BitwiseCopyable {
    var exact = TextSet()
    var wildcards = TextSet()

    var isEmpty: Bool { exact.isEmpty && wildcards.isEmpty }
  }

  struct Policy: Sendable, BitwiseCopyable {
    var name: TextRef
    var application: UInt32
    var action: PolicyAction
    var isReport: Bool
    var methods: TextSet
    var hosts: HostSet
    var paths: Run
    var networks: Run
    var who: Who
  }

  /// A run of entries in one of the tables.
  struct Run: Sendable, BitwiseCopyable {
    var first: UInt32 = 0
    var count: UInt32 = 0

    var isEmpty: Bool { count == 0 }
    var range: Range<Int> { Int(first)..<Int(first + count) }
  }

  /// The selectors of a policy or a group.
  struct Who: Sendable, BitwiseCopyable {
    var include = Run()
    var require = Run()
    var exclude = Run()
  }

  struct Selector: Sendable, BitwiseCopyable {
    var kind: SelectorKind
    /// Of `claim`.
    var hasTrue: Bool
    var hasFalse: Bool
    var slot: UInt16
    /// Texts, lower-cased for emails and domains.
    var values: TextSet
    /// Of `claim`: canonical numbers.
    var numbers: TextSet
    /// Of `groups`: a run of `groupIndexes`.
    var groups: Run
  }

  struct Header: Sendable, BitwiseCopyable {
    var name: TextRef
    /// -1 for a constant.
    var slot: Int32
    var hasJoin: Bool
    /// The separator, or the constant's bytes as they leave.
    var text: TextRef
  }

  let texts: TextTable
  let applications: [Application]
  let policies: [Policy]
  let selectors: [Selector]
  let groups: [Who]
  let groupNames: [TextRef]
  let groupIndexes: [UInt32]
  let pathPatterns: [PathPattern]
  let networks: [Network]
  let headers: [Header]
  /// Hash slots over names and audiences: the entry's place plus one.
  let segments: [Segment]
  let segmentSlots: [UInt32]

  /// The last segment of `/auth/<segment>`, and the application that it means.
  struct Segment: Sendable, BitwiseCopyable {
    var text: TextRef
    var application: UInt32
  }

  /// Proxies whose entry in `X-Forwarded-For` is passed over.
  public let trustedProxies: [Network]
  /// The claims that an identity's record must hold.
  public let claimPlan: ClaimPlan

  init(
    texts: TextTable, applications: [Application], policies: [Policy], selectors: [Selector], groups: [Who],
    groupNames: [TextRef], groupIndexes: [UInt32], pathPatterns: [PathPattern], networks: [Network], headers: [Header],
    segments: [Segment], segmentSlots: [UInt32], trustedProxies: [Network], claimPlan: ClaimPlan
  ) {
    self.texts = texts
    self.applications = applications
    self.policies = policies
    self.selectors = selectors
    self.groups = groups
    self.groupNames = groupNames
    self.groupIndexes = groupIndexes
    self.pathPatterns = pathPatterns
    self.networks = networks
    self.headers = headers
    self.segments = segments
    self.segmentSlots = segmentSlots
    self.trustedProxies = trustedProxies
    self.claimPlan = claimPlan
  }

  // MARK: - Looking up

  /// The application of `/auth/<segment>`: its name or one of its audiences. Nil for any other segment, and for an
  /// audience that two applications have under two issuers (each is reached by its name).
  public func application(named segment: Span<UInt8>) -> Int? { application(named: segment, 0..<segment.count) }

  /// The same, for a part of a request's bytes.
  public func application(named source: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard !segmentSlots.isEmpty, !range.isEmpty else { return nil }
    let mask = segmentSlots.count - 1
    var slot = Int(truncatingIfNeeded: TextHash.of(source, range, ignoringCase: false)) & mask
    while true {
      let entry = segmentSlots[slot]
      if entry == 0 { return nil }
      let segment = segments[Int(entry) - 1]
      if texts.equals(segment.text, source, range) {
        return segment.application == UInt32.max ? nil : Int(segment.application)
      }
      slot = (slot + 1) & mask
    }
  }

  /// How many applications there are; an application is a number below it, in the file's order.
  public var applicationCount: Int { applications.count }
  /// How many policies there are, over all applications; in the file's order.
  public var policyCount: Int { policies.count }

  /// The issuer's place in the definitions' list.
  public func issuer(of application: Int) -> Int { Int(applications[application].issuer) }
  /// Which family of fields its policies read.
  public func metadata(of application: Int) -> MetadataFamily { applications[application].metadata }
  /// Whether it has policies: where it has none, the setting `require` says who comes in.
  public func hasPolicies(_ application: Int) -> Bool { applications[application].hasPolicies }
  /// The policies of an application, as places in the list of all.
  public func policies(of application: Int) -> Range<Int> { applications[application].policies }
  /// Whether `audience` is one of the application's.
  public func isAudience(_ audience: Span<UInt8>, of application: Int) -> Bool {
    texts.contains(applications[application].audiences, audience, 0..<audience.count)
  }

  // Texts for people, metrics and logs; these allocate.

  /// The application's name.
  public func name(of application: Int) -> String { string(applications[application].name) }
  /// The name of a policy, by its place in the list of all.
  public func policyName(_ policy: Int) -> String { string(policies[policy].name) }
  /// The application's audiences.
  public func audiences(of application: Int) -> [String] {
    texts.texts(applications[application].audiences).map { String(decoding: $0, as: UTF8.self) }
  }
  /// Appends a policy's name to a log line; allocates only where the buffer must grow.
  public func appendPolicyName(_ policy: Int, to buffer: inout [UInt8]) {
    texts.append(policies[policy].name, to: &buffer)
  }
  /// Appends an application's name to a log line; allocates only where the buffer must grow.
  public func appendName(of application: Int, to buffer: inout [UInt8]) {
    texts.append(applications[application].name, to: &buffer)
  }

  func string(_ ref: TextRef) -> String { String(decoding: texts.text(ref), as: UTF8.self) }
}
