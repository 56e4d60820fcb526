// The order of a decision, whatever protocol asked: application → what needs no token → remembered → screened → verified
// → confirmed → policies. One a loop; this file is the hot path: no allocation, no lock, no String on the way to a
// remembered token and its policy. What happens after a wait is in Settling.swift.

import POSIX
import Policy
import Telemetry
import Token
import Verification

/// What an authorizer of a loop shares with the others, or is told once.
package struct AuthorizerParts: Sendable {
  /// The loop's number, below the number of loops that the pool wakes.
  package var loop: Int
  package var pool: VerificationPool
  /// Cells of the pool.
  package var poolCells: Int
  /// One an issuer, in the order of the rules.
  package var bells: [UnknownKidBell]
  package var keyWaitPlaces: KeyWaitPlaces
  /// Milliseconds that a request waits at most for a fetch of keys; 0: none waits.
  package var unknownKidWait: Int64
  /// Bytes of remembered tokens.
  package var tokenCacheBytes: Int
  package var counters: LoopCounters
  package var shared: SharedCounters

  package init(
    loop: Int, pool: VerificationPool, poolCells: Int, bells: [UnknownKidBell], keyWaitPlaces: KeyWaitPlaces,
    unknownKidWait: Int64, tokenCacheBytes: Int, counters: LoopCounters, shared: SharedCounters
  ) {
    self.loop = loop
    self.pool = pool
    self.poolCells = poolCells
    self.bells = bells
    self.keyWaitPlaces = keyWaitPlaces
    self.unknownKidWait = unknownKidWait
    self.tokenCacheBytes = tokenCacheBytes
    self.counters = counters
    self.shared = shared
  }
}

/// Decides requests by a snapshot. Handed down as one `inout`, so that the access to it is checked once a request.
/// Thread: the loop's.
package struct Authorizer: ~Copyable {
  let parts: AuthorizerParts
  /// What it judges by now.
  package private(set) var snapshot: Snapshot
  var reader = TokenReader()
  var cache: TokenCache
  /// Field lines about the token that was verified last, and with applications its record: what is remembered of it.
  var verified: [UInt8] = []
  /// The file's headers of the last allowed request.
  var headerLines: [UInt8] = []
  var writer = IdentityRecordWriter()
  var scratch: [UInt8] = []
  var standings = Standings()
  var tickets = Tickets()
  var waiting: WaitingRequests
  var keyWaits = KeyWaits()
  var settling = SettlingState()

  package init(_ parts: AuthorizerParts, _ snapshot: Snapshot) {
    self.parts = parts
    self.snapshot = snapshot
    cache = TokenCache(limit: parts.tokenCacheBytes)
    waiting = WaitingRequests(cells: parts.poolCells)
    verified.reserveCapacity(2048)
    // The longest that `appendHeaders` may leave behind, with names, and one value too many.
    if snapshot.rules.policies != nil { reserveForHeaders() }
    cache.keep(only: snapshot.keys)
    countCache()
  }

  /// Judges by this from now on. What was remembered under keys that left is gone with this call, and everything that was
  /// remembered where what it rests on has changed. Requests that wait are judged by it too.
  package mutating func use(_ snapshot: Snapshot) {
    if snapshot.rules !== self.snapshot.rules {
      if snapshot.rules.basis != self.snapshot.rules.basis { cache.removeAll() }
      if snapshot.rules.policies != nil { reserveForHeaders() }
    }
    self.snapshot = snapshot
    cache.keep(only: snapshot.keys)
    countCache()
  }

  private mutating func reserveForHeaders() {
    headerLines.reserveCapacity(HeaderLimits.bytesTogether + IdentityRecord.maximumBytes * 3 + 8192)
  }

  /// What a segment means now; to be put into the ``AuthRequest``, with the facts of the family that it names.
  package func target(_ segment: Range<Int>, in bytes: Span<UInt8>) -> AuthTarget {
    guard let policies = snapshot.rules.policies else { return .audience }
    guard let application = policies.application(named: bytes, segment) else { return .unknown }
    return .application(application, policies.metadata(of: application))
  }

  // MARK: - A request

  /// Decides a request, or has it wait. Every way through that allows is one of `allow…` below.
  ///
  /// - Parameters:
  ///   - bytes: those that the request's ranges are of.
  ///   - now: seconds since 1970.
  package mutating func authorize(_ request: AuthRequest, in bytes: Span<UInt8>, now: Double) -> AuthOutcome {
    switch request.target {
    case .audience:
      switch identify(request, in: bytes, application: -1, now: now) {
      case .remembered(let hit):
        parts.counters.countAllowed()
        return .allow(Allowance(identity: .remembered(hit), application: nil, decision: nil))
      case .refused(let reason): return deny(Denial(reason))
      case .waits(let ticket): return .wait(ticket)
      case .later: return .later
      }
    case .unknown: return deny(Denial(.unknownApplication))
    case .application(let application, _): return authorize(request, in: bytes, application, now)
    }
  }

  private mutating func authorize(
    _ request: AuthRequest, in bytes: Span<UInt8>, _ application: Int, _ now: Double
  ) -> AuthOutcome {
    guard let policies = snapshot.rules.policies, application < policies.applicationCount else {
      return deny(Denial(.unknownApplication))
    }
    let original = OriginalRequest(request.facts, in: bytes, trusted: policies.trustedProxies)
    if let decision = policies.decisionWithoutToken(application: application, request: original, in: bytes) {
      return answer(decision, .none, application, policies)
    }
    switch identify(request, in: bytes, application: application, now: now) {
    case .remembered(let hit):
      return decide(.remembered(hit), original, in: bytes, application, policies, now: now)
    case .refused(let reason): return deny(Denial(reason, application: application))
    case .waits(let ticket): return .wait(ticket)
    case .later: return .later
    }
  }

  /// Whom the token names, as far as it is known at once.
  private enum Identification {
    case remembered(TokenCache.Hit)
    case refused(Reason)
    case waits(Ticket)
    case later
  }

  /// - Parameter application: -1 without applications.
  private mutating func identify(
    _ request: AuthRequest, in bytes: Span<UInt8>, application: Int, now: Double
  ) -> Identification {
    let token: Range<Int>
    switch request.assertion {
    case .missing: return .refused(.missing)
    case .ambiguous: return .refused(.ambiguous)
    case .one(let range): token = range
    }
    // Before anything that takes time in proportion to it.
    guard token.count <= TokenReader.maximumTokenLength else { return .refused(.tooLarge) }
    let remembered = cache.lookup(
      audience: bytes.extracting(request.segment), token: bytes.extracting(token), now: now)
    if let remembered {
      parts.counters.countCacheHit()
      return .remembered(remembered)
    }
    let first = snapshot.rules.judge(of: application).firstAnswer(
      token: bytes.extracting(token), audience: bytes.extracting(request.segment), now: now, keys: snapshot.keys,
      reader: &reader)
    switch first {
    case .refused(let reason):
      parts.counters.countCacheMiss()
      if reason == .keyUnknown, !request.isFull, let ticket = waitForKeys(request, token, in: bytes, application) {
        return .waits(ticket)
      }
      return .refused(reason)
    case .needsSignature(let key):
      guard request.mayWait || request.isFull else { return .later }
      parts.counters.countCacheMiss()
      guard !request.isFull else {
        parts.shared.countPoolOverload()
        return .refused(.overloaded)
      }
      let submission = submit(
        key, token: bytes.extracting(token), segment: bytes.extracting(request.segment), request.requester)
      if case .full = submission {
        parts.shared.countPoolOverload()
        return .refused(.overloaded)
      }
      let ticket = tickets.take()
      wait(for: submission, StoredRequest(ticket, request, in: bytes))
      return .waits(ticket)
    }
  }

  // MARK: - What policies say

  /// Holds a verified identity against the policies of its application.
  mutating func decide(
    _ identity: IdentitySource, _ original: OriginalRequest, in bytes: Span<UInt8>, _ application: Int,
    _ policies: PolicySet, now: Double
  ) -> AuthOutcome {
    let revocations = snapshot.revocations
    let decision = withRecord(of: identity) { record in
      policies.decision(
        application: application, request: original, in: bytes, identity: record, revocations: revocations, now: now)
    }
    return answer(decision, identity, application, policies)
  }

  private mutating func answer(
    _ decision: Policy.Decision, _ identity: IdentitySource, _ application: Int, _ policies: PolicySet
  ) -> AuthOutcome {
    guard decision.verdict != .deny else {
      countNoted(decision)
      return deny(
        Denial(
          Self.reason(decision.reason), application: application, policy: decision.policy, identity: identity))
    }
    var lines = exchange(&headerLines, with: [])
    lines.removeAll(keepingCapacity: true)
    let isWithinLimits = withRecord(of: identity) { record in
      policies.appendHeaders(of: application, identity: record, to: &lines)
    }
    headerLines = lines
    guard isWithinLimits else { return deny(Denial(.identity, application: application, identity: identity)) }
    parts.counters.countAllowed()
    if parts.loop < snapshot.decisions.count { snapshot.decisions[parts.loop].count(decision, of: application) }
    return .allow(Allowance(identity: identity, application: application, decision: decision))
  }

  mutating func deny(_ denial: Denial) -> AuthOutcome {
    parts.counters.countDenied(reason: Int(denial.reason.rawValue))
    if parts.loop < snapshot.decisions.count { snapshot.decisions[parts.loop].count(denial) }
    return .deny(denial)
  }

  private func countNoted(_ decision: Policy.Decision) {
    if parts.loop < snapshot.decisions.count { snapshot.decisions[parts.loop].countNoted(decision) }
  }

  private static func reason(_ reason: DecisionReason) -> Reason {
    switch reason {
    case .wrongHost: .wrongHost
    case .revoked: .revoked
    case .unknownApplication: .unknownApplication
    case .none, .bypass, .preflight, .notAllowed: .notAllowed
    }
  }

  // MARK: - What leaves

  /// Lends the identity headers of an answer, complete lines, all five of them.
  package func withIdentityLines(of identity: IdentitySource, _ body: (Span<UInt8>) -> Void) {
    switch identity {
    case .none:
      let empty = IdentityLines.empty
      body(empty.span)
    case .remembered(let hit): cache.withPayload(of: hit) { body($0.extracting(lines(of: $0))) }
    case .verified: body(verified.span.extracting(lines(of: verified.span)))
    }
  }

  /// Lends all field lines of an allowed request, in one piece or two.
  package func withFieldLines(of allowance: Allowance, _ body: (Span<UInt8>) -> Void) {
    withIdentityLines(of: allowance.identity, body)
    if allowance.application != nil { body(headerLines.span) }
  }

  // What is remembered: the lines, and with applications their length before them (4 bytes) and the record behind.

  private func lines(of payload: Span<UInt8>) -> Range<Int> {
    snapshot.rules.policies == nil ? 0..<payload.count : 4..<Self.recordStart(payload)
  }

  private static func recordStart(_ payload: Span<UInt8>) -> Int {
    4 + Int(payload[0]) + Int(payload[1]) << 8 + Int(payload[2]) << 16
  }

  private func withRecord<Result>(of identity: IdentitySource, _ body: (Span<UInt8>) -> Result) -> Result {
    switch identity {
    case .none: body(Span())
    case .remembered(let hit):
      cache.withPayload(of: hit) { body($0.extracting(Self.recordStart($0)..<$0.count)) }
    case .verified: body(verified.span.extracting(Self.recordStart(verified.span)..<verified.count))
    }
  }

  // MARK: - Memory

  /// Gives back some of the memory of remembered tokens whose time is over; true: there may be more to do soon.
  package mutating func releaseExpired(now: Double) -> Bool {
    let hasMore = cache.releaseExpired(now: now)
    countCache()
    return hasMore
  }

  func countCache() {
    parts.counters.setCache(entries: cache.counters.entries, bytes: cache.counters.bytes)
  }
}

private func exchange<T>(_ value: inout T, with new: T) -> T {
  let old = value
  value = new
  return old
}
