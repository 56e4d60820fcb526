// A question and its answer as plain values, whatever protocol carried them. Ranges are those of one run of bytes that is
// passed beside.

import Policy
import Token
import Verification

/// What the last segment of `/auth/<segment>` means by the rules in force.
package enum AuthTarget: Equatable, Sendable {
  /// There are no applications: an audience.
  case audience
  /// An application's number, and which fields say what the original request was.
  case application(Int, MetadataFamily)
  /// There are applications, and this is none.
  case unknown
}

/// The assertion of a request.
package enum Assertion: Equatable, Sendable {
  case missing
  /// There are several, and nobody can say which one counts.
  case ambiguous
  case one(Range<Int>)
}

/// A question.
package struct AuthRequest: Sendable {
  /// The audience or the application's name, as it was asked for.
  package var segment: Range<Int>
  /// What ``Authorizer/target(_:in:)`` says of it.
  package var target: AuthTarget
  package var assertion: Assertion
  /// Fields of the target's family; looked at for applications alone.
  package var facts = RequestFacts()
  /// Who is served in turn.
  package var requester: Requester
  /// Whether the answer may be ``AuthOutcome/wait(_:)`` for a verification now, or must be ``AuthOutcome/later``.
  package var mayWait: Bool
  /// Its connection has as many requests waiting as it may: what would have to wait is ``Reason/overloaded``, not later.
  package var isFull: Bool

  package init(
    segment: Range<Int>, target: AuthTarget, assertion: Assertion, requester: Requester, mayWait: Bool = true,
    isFull: Bool = false
  ) {
    self.segment = segment
    self.target = target
    self.assertion = assertion
    self.requester = requester
    self.mayWait = mayWait
    self.isFull = isFull
  }
}

/// Names a request that waits, until its answer is handed out; a small number that is used again.
package struct Ticket: Equatable, Sendable {
  package let index: Int
}

/// Where the identity of an answer is; good until the authorizer is next asked.
package enum IdentitySource: Sendable {
  /// There is no verified one.
  case none
  case remembered(TokenCache.Hit)
  /// That of the token that was verified last.
  case verified
}

/// A request that is let in.
package struct Allowance: Sendable {
  package let identity: IdentitySource
  /// Nil without applications.
  package let application: Int?
  /// Nil without applications.
  package let decision: Policy.Decision?

  /// Whether it is let in although it would be denied.
  package var isReport: Bool { decision?.verdict == .report }
}

/// A request that is not let in.
package struct Denial: Sendable {
  package let reason: Reason
  package let application: Int?
  /// The policy that denied, as a place in the list of all.
  package let policy: Int?
  package let identity: IdentitySource

  init(_ reason: Reason, application: Int? = nil, policy: Int? = nil, identity: IdentitySource = .none) {
    self.reason = reason
    self.application = application
    self.policy = policy
    self.identity = identity
  }
}

/// An answer.
package enum AuthOutcome: Sendable {
  case allow(Allowance)
  case deny(Denial)
  /// The answer comes from ``Authorizer/nextAnswer(now:milliseconds:)``.
  case wait(Ticket)
  /// Ask again when the connection has its turn; nothing was counted.
  case later
}

/// The answer to a request that has waited.
package struct SettledRequest: Sendable {
  package let ticket: Ticket
  package let outcome: AuthOutcome
  /// How the requester stands once the signature of this token was verified; nil where none was.
  package let standing: Standing?
}

/// What must be kept of a request that waits: copies, because its bytes are gone.
struct StoredRequest: Sendable {
  let ticket: Ticket
  let requester: Requester
  /// Which family the facts are of; nil without applications.
  let family: MetadataFamily?
  /// Ranges of `bytes`.
  private(set) var facts = RequestFacts()
  /// The values of the facts, one behind the other; empty without applications.
  private(set) var bytes: [UInt8] = []

  init(_ ticket: Ticket, _ request: AuthRequest, in source: Span<UInt8>) {
    self.ticket = ticket
    requester = request.requester
    guard case .application(_, let family) = request.target else {
      self.family = nil
      return
    }
    self.family = family
    facts = request.facts
    facts.method = copy(request.facts.method, source)
    facts.host = copy(request.facts.host, source)
    facts.target = copy(request.facts.target, source)
    facts.forwardedFor = copy(request.facts.forwardedFor, source)
  }

  private mutating func copy(_ fact: RequestFact, _ source: Span<UInt8>) -> RequestFact {
    guard let range = fact.range else { return fact }
    let start = bytes.count
    for place in range { bytes.append(source[place]) }
    return RequestFact(start..<bytes.count)
  }

  /// The facts as another set of policies reads them: of the family that it wants, or none, which opens nothing.
  func facts(for family: MetadataFamily) -> RequestFacts { family == self.family ? facts : RequestFacts() }
}
