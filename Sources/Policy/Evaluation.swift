// The order of a decision. Nothing here allocates, locks or asks for the time. Every way through ends in a denial unless
// a policy, a preflight or an application without policies allowed. What single selectors and conditions say is in
// Selectors.swift.

extension PolicySet {
  /// The decision that needs no token: a preflight or a `bypass`. Nil where the token must be looked at.
  ///
  /// Only on one of the application's hosts: a forged `X-Forwarded-Host` must not open another application's rule. A
  /// `deny` that may hold and stands before a `bypass` needs the token, so the bypass does not count without it.
  public func decisionWithoutToken(
    application: Int, request: OriginalRequest, in source: Span<UInt8>
  ) -> Decision? {
    let application = applications[application]
    guard application.hosts.isEmpty || holds(application.hosts, request, source) == .yes,
      !(application.looksAtPaths && request.path == .hostile)
    else { return nil }
    if application.allowsPreflight, request.isPreflight { return Decision(.allow, .preflight) }
    for index in application.policies {
      let policy = policies[index]
      switch policy.action {
      case .deny:
        if !policy.isReport, matches(policy, request, source) != .no { return nil }
      case .bypass:
        if matches(policy, request, source) == .yes { return Decision(.allow, .bypass, policy: index) }
      case .allow, .serviceAuth: break
      }
    }
    return nil
  }

  /// The decision on a request with a verified token of one of the application's audiences.
  ///
  /// - Parameters:
  ///   - source: the bytes that the request's facts are ranges of.
  ///   - identity: the record of the verified token; one that was made for another plan is denied.
  ///   - now: seconds since 1970.
  public func decision(
    application index: Int, request: OriginalRequest, in source: Span<UInt8>, identity: Span<UInt8>,
    revocations: RevocationTable, now: Double
  ) -> Decision {
    guard
      IdentityRecord.isUsable(identity, fingerprint: claimPlan.fingerprint, slotCount: claimPlan.paths.count)
    else { return Decision(.deny, .notAllowed) }
    let application = applications[index]
    guard application.hosts.isEmpty || holds(application.hosts, request, source) == .yes else {
      return application.denial(.wrongHost)
    }
    guard !revocations.revokes(identity, now: now) else { return application.denial(.revoked) }
    guard application.hasPolicies else { return Decision(.allow, .none) }
    // Two programs could take it for two paths: whatever a rule says about one of them, the application may see the other.
    if application.looksAtPaths, request.path == .hostile { return application.denial(.notAllowed) }
    var noted = NotedPolicies()
    for index in application.policies {
      let policy = policies[index]
      let match = matches(policy, request, source)
      switch policy.action {
      case .deny:
        guard match != .no, denies(policy.who, identity) else { continue }
        guard policy.isReport else { return application.denial(.notAllowed, policy: index, noted) }
        noted.note(index)
      case .allow:
        guard match == .yes, IdentityRecord.isPerson(identity), admits(policy.who, identity) else { continue }
        return Decision(.allow, .none, policy: index, noted: noted)
      case .serviceAuth:
        guard match == .yes, !IdentityRecord.isPerson(identity), admits(policy.who, identity) else { continue }
        return Decision(.allow, .none, policy: index, noted: noted)
      case .bypass:
        guard match == .yes else { continue }
        return Decision(.allow, .bypass, policy: index, noted: noted)
      }
    }
    return application.denial(.notAllowed, noted)
  }

  /// Whether missing data counts against it: `include` and `require` read unknown as no, `exclude` as yes.
  private func admits(_ who: Who, _ identity: Span<UInt8>) -> Bool {
    any(who.include, identity, stopAt: .yes) == .yes && all(who.require, identity) == .yes
      && any(who.exclude, identity, stopAt: .unknown) == .no
  }

  /// Whether a `deny` holds: missing data always counts towards it. Without `include` it is for everyone.
  private func denies(_ who: Who, _ identity: Span<UInt8>) -> Bool {
    (who.include.isEmpty || any(who.include, identity, stopAt: .unknown) != .no)
      && all(who.require, identity) != .no && any(who.exclude, identity, stopAt: .yes) != .yes
  }
}

extension PolicySet.Application {
  /// A denial, or under `mode: report` what is let in and reported.
  func denial(_ reason: DecisionReason, policy: Int? = nil, _ noted: NotedPolicies = NotedPolicies()) -> Decision {
    Decision(isReport ? .report : .deny, reason, policy: policy, noted: noted)
  }
}
