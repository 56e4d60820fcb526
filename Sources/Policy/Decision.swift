// What was decided about a request, as a plain value. Nothing is decided here.

/// The answer to a request.
public enum Verdict: UInt8, Sendable, BitwiseCopyable {
  case deny
  case allow
  /// Let in although it would be denied: the application's `mode: report`.
  case report

  /// As metrics and logs write it.
  public var name: StaticString {
    switch self {
    case .deny: "deny"
    case .allow: "allow"
    case .report: "report"
    }
  }
}

/// Why, in the words of logs and metrics. The reasons of a bad token are not among them.
public enum DecisionReason: UInt8, Sendable, BitwiseCopyable, CaseIterable {
  /// Allowed by a policy, or where there are none.
  case none
  /// Allowed by a `bypass`.
  case bypass
  /// Allowed as a preflight.
  case preflight
  case notAllowed, wrongHost, revoked, unknownApplication

  public var name: StaticString {
    switch self {
    case .none: "-"
    case .bypass: "bypass"
    case .preflight: "preflight"
    case .notAllowed: "not_allowed"
    case .wrongHost: "wrong_host"
    case .revoked: "revoked"
    case .unknownApplication: "unknown_application"
    }
  }
}

/// A verdict, its reason, and the policies that bear on it.
public struct Decision: Sendable, BitwiseCopyable {
  public let verdict: Verdict
  public let reason: DecisionReason
  /// The place of the policy that decided in the list of all; nil where none did.
  public let policy: Int?
  /// `deny` policies with `mode: report` that would have denied.
  public let noted: NotedPolicies

  init(_ verdict: Verdict, _ reason: DecisionReason, policy: Int? = nil, noted: NotedPolicies = NotedPolicies()) {
    self.verdict = verdict
    self.reason = reason
    self.policy = policy
    self.noted = noted
  }

  /// For a segment behind `/auth/` that names no application.
  public static let unknownApplication = Decision(.deny, .unknownApplication)
}

/// The first policies that were noted and passed over, and how many there were in all.
public struct NotedPolicies: Sendable, BitwiseCopyable {
  private var places = InlineArray<8, UInt32>(repeating: 0)
  /// How many were noted; those beyond the eighth are only counted.
  public private(set) var count = 0

  init() {}

  /// How many can be asked for.
  public var keptCount: Int { min(count, 8) }

  /// The place of a kept one in the list of all policies; `index` is below ``keptCount``.
  public subscript(index: Int) -> Int { Int(places[index]) }

  mutating func note(_ policy: Int) {
    if count < 8 { places[count] = UInt32(policy) }
    count += 1
  }
}
