// What a loop judges by: one immutable value that comes by mailbox and is taken in one step. Made on the control thread.

import Policy
import Token
import Verification

/// Which decisions the decision log holds.
package enum DecisionLogMode: Sendable, Equatable {
  case off
  /// Denials, and what `mode: report` let in.
  case denied
  case all
}

/// What the settings say about verdicts and replies. Immutable, shared by all loops.
package final class Rules: Sendable {
  /// For a gateway without applications: the tokens of all issuers, for the audience that the path names.
  let judge: Judge
  /// Nil: a path names an audience, and nothing but the token counts.
  package let policies: PolicySet?
  /// One an application: its issuer and its audiences alone.
  let judges: [Judge]
  /// 401, 403 or 503: what is answered where nothing can be decided.
  package let unavailableStatus: Int
  /// Adds `X-Auth-Reason` to denials.
  package let exposesReason: Bool
  package let decisionLog: DecisionLogMode
  /// What a remembered identity rests on beside the token and its key: where it changes, nothing may stay remembered.
  let basis: String

  /// - Parameters:
  ///   - issuers: in the order of the settings, which is that of the policies' definitions.
  ///   - policies: of which every application's issuer must be among `issuers`; traps otherwise.
  package init(
    issuers: [Expectations], policies: PolicySet? = nil, unavailableStatus: Int = 503, exposesReason: Bool = false,
    decisionLog: DecisionLogMode = .denied
  ) {
    judge = Judge(issuers)
    self.policies = policies
    self.unavailableStatus = unavailableStatus
    self.exposesReason = exposesReason
    self.decisionLog = decisionLog
    var judges: [Judge] = []
    var basis = issuers.map { "\($0.issuer) \($0.algorithms) \($0.tokenTypes) \($0.leeway) \($0.require)" }
    if let policies {
      basis.append("plan \(policies.claimPlan.paths.map(\.text))")
      for application in 0..<policies.applicationCount {
        let issuer = issuers[policies.issuer(of: application)]
        let audiences = policies.audiences(of: application)
        // Where there are policies, they say whose tokens count.
        let require = policies.hasPolicies(application) ? .any : issuer.require
        judges.append(
          Judge(
            Expectations(
              issuer: issuer.issuer, algorithms: issuer.algorithms, tokenTypes: issuer.tokenTypes,
              leeway: Int(issuer.leeway), require: require,
              // None would stand for any that the path names; an empty one is met by no token.
              audiences: audiences.isEmpty ? [[]] : audiences.map { Array($0.utf8) })))
        basis.append(
          "\(policies.name(of: application)) \(policies.issuer(of: application)) \(audiences.sorted()) \(require)")
      }
    }
    self.judges = judges
    self.basis = basis.joined(separator: "\n")
  }

  /// The application's number, or -1 where there are no applications, picks the judge.
  func judge(of application: Int) -> Judge { application < 0 ? judge : judges[application] }
}

/// All that a loop judges by.
package struct Snapshot: Sendable {
  /// The sets that may be trusted, at most one an issuer.
  package var keys: [KeySet]
  package var rules: Rules
  package var revocations: RevocationTable
  /// One a loop, for the policies of ``rules``; empty where there are none.
  package var decisions: [DecisionCounters]

  package init(
    keys: [KeySet] = [], rules: Rules, revocations: RevocationTable = .empty, decisions: [DecisionCounters] = []
  ) {
    self.keys = keys
    self.rules = rules
    self.revocations = revocations
    self.decisions = decisions
  }
}
