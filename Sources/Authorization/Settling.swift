// Requests that had to wait: for a verification, or for a fetch of keys that their token's unknown `kid` caused or met.
// After an unannounced rotation such a `kid` is a new key; from strangers it is junk, and the bucket of fetches
// (KeySchedule) and the places (KeyWaits) bound what it costs. Answers are pulled: nothing here calls anybody.

import POSIX
import Policy
import Telemetry
import Token
import Verification

/// What is being answered.
struct SettlingState {
  /// Cells that were taken from the pool, and how many of them are done.
  var cells: [Int] = []
  var done = 0
  /// The cell whose requests are answered now.
  var current: Int?
  /// What its token was found to be: nil is good.
  var refusal: Reason?
  /// Waits that are over: their keys may have come, or their time has.
  var dueWaits: [(wait: KeyWait, isExpired: Bool)] = []
  /// The token of the last answer that was given out to a wait for keys.
  var lastWaitToken: [UInt8] = []
}

extension Authorizer {
  /// Cells that are settled in a turn of the loop, so that a remembered token never waits behind a thousand.
  private static var settledATurn: Int { 64 }

  /// The pool has called: what is finished is answered by ``nextAnswer(now:milliseconds:)``. It calls again when there are
  /// more than one turn of the loop takes.
  package mutating func takeFinished() {
    parts.pool.takeFinished(loop: parts.loop, most: Self.settledATurn, into: &settling.cells)
    settling.done = 0
  }

  /// A fetch that was promised has ended: who waited for it is judged by the keys of now.
  package mutating func fetchEnded(issuer: Int, end: UInt64) {
    for wait in keyWaits.take(issuer: issuer, end: end) { settling.dueWaits.append((wait, false)) }
  }

  /// Ends the waits whose time is over, in monotonic milliseconds.
  package mutating func endKeyWaits(at now: Int64) {
    for wait in keyWaits.takeExpired(at: now) { settling.dueWaits.append((wait, true)) }
  }

  /// When ``endKeyWaits(at:)`` has something to do; nil: nobody waits.
  package var nextKeyWaitDeadline: Int64? { keyWaits.nextDeadline }

  /// The next answer to a request that waited; nil when there is none now. To be called until it is nil, with nothing else
  /// asked in between but about the answer.
  ///
  /// - Parameters:
  ///   - now: seconds since 1970.
  ///   - milliseconds: of the monotonic clock.
  package mutating func nextAnswer(now: Double, milliseconds: Int64) -> SettledRequest? {
    while true {
      if let current = settling.current {
        if let request = waiting.takeNext(of: current) { return settle(request, current, now, milliseconds) }
        parts.pool.release(current, loop: parts.loop)
        settling.current = nil
      }
      guard settling.done < settling.cells.count else { break }
      let cell = settling.cells[settling.done]
      settling.done += 1
      settling.current = cell
      begin(cell, now)
    }
    while !settling.dueWaits.isEmpty {
      let (wait, isExpired) = settling.dueWaits.removeFirst()
      guard let outcome = isExpired ? denied(wait, .keyUnknown) : judgeAgain(wait, now) else { continue }
      parts.keyWaitPlaces.giveBack()
      tickets.giveBack(wait.request.ticket)
      settling.lastWaitToken = wait.token
      return SettledRequest(ticket: wait.request.ticket, outcome: outcome, standing: nil)
    }
    settling.lastWaitToken = []
    return nil
  }

  /// Lends the token of the answer that was handed out last.
  package func withSettledToken(_ body: (Span<UInt8>) -> Void) {
    if let current = settling.current {
      let token = parts.pool.finished(current).token
      body(token.span)
    } else {
      body(settling.lastWaitToken.span)
    }
  }

  // MARK: - Verifications

  /// Puts the token that `reader` has just read to the pool.
  func submit(
    _ key: VerificationKey, token: Span<UInt8>, segment: Span<UInt8>, _ requester: Requester
  ) -> Submission {
    let standing = standings.standing(of: requester, now: Int(Clock.monotonicMilliseconds / 1000))
    return reader.withSignature { signature in
      parts.pool.submit(
        loop: parts.loop, requester: requester, standing: standing, token: token, audience: segment,
        signingInputCount: reader.signingInput.upperBound, signature: signature, key: key)
    }
  }

  /// Puts a request to those of a cell. Not called where the pool was full.
  mutating func wait(for submission: Submission, _ request: StoredRequest) {
    switch submission {
    case .full: preconditionFailure("a request waits for nothing")
    case .queued(let cell): waiting.add(to: cell, WaitingRequest(request: request, ownsCell: true))
    case .joined(let cell):
      parts.counters.countCoalescedWait()
      waiting.add(to: cell, WaitingRequest(request: request, ownsCell: false))
    }
  }

  /// Judges the token of a cell again, and in full: by the time, the keys and the rules of now, and because its claims may
  /// have been left for later.
  private mutating func begin(_ number: Int, _ now: Double) {
    let cell = parts.pool.finished(number)
    settling.refusal = refusal(cell, now)
  }

  /// Nil: the token is good, and `verified` holds whom it names.
  private mutating func refusal(_ cell: Cell, _ now: Double) -> Reason? {
    guard cell.isGenuine, let key = cell.key else { return .signature }
    let (token, segment) = (cell.token, cell.audience)
    let application: Int
    switch target(0..<segment.count, in: segment.span) {
    case .audience: application = -1
    case .unknown: return .unknownApplication
    case .application(let number, _): application = number
    }
    let judge = snapshot.rules.judge(of: application)
    let verdict = judge.confirm(
      token: token.span, audience: segment.span, now: now, keys: snapshot.keys, verifiedBy: key, reader: &reader)
    if case .denied(let reason) = verdict { return reason }
    guard writeIdentity(token.span, application) else { return .identity }
    guard let validity = judge.validity(of: reader) else { return nil }
    let evictions = cache.counters.evictions
    let payload = verified
    cache.insert(
      audience: segment.span, token: token.span, key: key, validFrom: validity.validFrom,
      refuseFrom: validity.refuseFrom, payload: payload.span)
    parts.counters.countCacheEvictions(Int(cache.counters.evictions - evictions))
    countCache()
    return nil
  }

  /// Renders the identity of the token that was just confirmed; false where it is too large to be judged by.
  private mutating func writeIdentity(_ token: Span<UInt8>, _ application: Int) -> Bool {
    verified.removeAll(keepingCapacity: true)
    guard application >= 0, let policies = snapshot.rules.policies else {
      IdentityLines.write(reader, to: &verified)
      return true
    }
    verified += [0, 0, 0, 0]
    IdentityLines.write(reader, to: &verified)
    let count = verified.count - 4
    for place in 0..<4 { verified[place] = UInt8(truncatingIfNeeded: count >> (8 * place)) }
    let isWhole = writer.write(
      reader, token: token, plan: policies.claimPlan, issuer: policies.issuer(of: application), scratch: &scratch)
    verified += writer.bytes
    return isWhole
  }

  private mutating func settle(
    _ waiting: WaitingRequest, _ number: Int, _ now: Double, _ milliseconds: Int64
  ) -> SettledRequest {
    let cell = parts.pool.finished(number)
    if waiting.ownsCell {
      parts.shared.countVerification(ok: cell.isGenuine)
      cell.key?.uses.count(isGood: cell.isGenuine, now: now)
    }
    let request = waiting.request
    let seconds = Int(milliseconds / 1000)
    standings.note(request.requester, isGenuine: cell.isGenuine, now: seconds)
    tickets.giveBack(request.ticket)
    return SettledRequest(
      ticket: request.ticket, outcome: outcome(of: request, segment: cell.audience, settling.refusal, .verified, now),
      standing: standings.standing(of: request.requester, now: seconds))
  }

  /// - Parameter identity: of the token, where there is no refusal.
  private mutating func outcome(
    of request: StoredRequest, segment: [UInt8], _ refusal: Reason?, _ identity: IdentitySource, _ now: Double
  ) -> AuthOutcome {
    switch target(0..<segment.count, in: segment.span) {
    case .audience:
      if let refusal { return deny(Denial(refusal)) }
      parts.counters.countAllowed()
      return .allow(Allowance(identity: identity, application: nil, decision: nil))
    case .unknown: return deny(Denial(.unknownApplication))
    case .application(let application, let family):
      if let refusal { return deny(Denial(refusal, application: application)) }
      guard let policies = snapshot.rules.policies else { return deny(Denial(.unknownApplication)) }
      let original = OriginalRequest(
        request.facts(for: family), in: request.bytes.span, trusted: policies.trustedProxies)
      return decide(identity, original, in: request.bytes.span, application, policies, now: now)
    }
  }

  // MARK: - Unknown kids

  /// Has a request wait for a promised fetch; nil: deny it at once.
  mutating func waitForKeys(
    _ request: AuthRequest, _ token: Range<Int>, in bytes: Span<UInt8>, _ application: Int
  ) -> Ticket? {
    let promises = promises(application) { $0.ring() }
    guard parts.unknownKidWait > 0, let awaited = KeyWaits.awaited(promises), parts.keyWaitPlaces.take() else {
      return nil
    }
    let ticket = tickets.take()
    keyWaits.append(
      StoredRequest(ticket, request, in: bytes), segment: Array(copying: bytes.extracting(request.segment)),
      token: Array(copying: bytes.extracting(token)),
      deadline: Clock.monotonicMilliseconds + parts.unknownKidWait, awaited: awaited)
    parts.counters.countKeyWait()
    return ticket
  }

  /// Asks for the keys of the token's own issuer, whose set alone may be out of date. Whose token it is is not known where
  /// its claims were not read, and then it may be any.
  private func promises(
    _ application: Int, _ ask: (UnknownKidBell) -> FetchPromise
  ) -> [(issuer: Int, promise: FetchPromise)] {
    if application >= 0, let policies = snapshot.rules.policies {
      let issuer = policies.issuer(of: application)
      return [(issuer, ask(parts.bells[issuer]))]
    }
    if let issuer = snapshot.rules.judge.issuer(of: reader) { return [(issuer, ask(parts.bells[issuer]))] }
    return parts.bells.indices.map { ($0, ask(parts.bells[$0])) }
  }

  /// Nil: it waits on.
  private mutating func judgeAgain(_ wait: KeyWait, _ now: Double) -> AuthOutcome? {
    let (segment, token) = (wait.segment, wait.token)
    let application: Int
    switch target(0..<segment.count, in: segment.span) {
    case .audience: application = -1
    case .unknown: return denied(wait, .unknownApplication)
    case .application(let number, _): application = number
    }
    if let hit = cache.lookup(audience: segment.span, token: token.span, now: now) {
      // Another request with the same token was faster.
      return outcome(of: wait.request, segment: segment, nil, .remembered(hit), now)
    }
    let first = snapshot.rules.judge(of: application).firstAnswer(
      token: token.span, audience: segment.span, now: now, keys: snapshot.keys, reader: &reader)
    switch first {
    case .refused(.keyUnknown):
      var kept = keyWaits
      let goesOn = kept.putBack(wait) { promises(application) { $0.ask() } }
      keyWaits = kept
      return goesOn ? nil : denied(wait, .keyUnknown)
    case .refused(let reason): return denied(wait, reason)
    case .needsSignature(let key):
      let submission = submit(key, token: token.span, segment: segment.span, wait.request.requester)
      if case .full = submission {
        parts.shared.countPoolOverload()
        return denied(wait, .overloaded)
      }
      parts.keyWaitPlaces.giveBack()
      self.wait(for: submission, wait.request)
      return nil
    }
  }

  private mutating func denied(_ wait: KeyWait, _ reason: Reason) -> AuthOutcome {
    outcome(of: wait.request, segment: wait.segment, reason, .none, 0)
  }
}

extension Array where Element == UInt8 {
  init(copying bytes: Span<UInt8>) {
    self = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
  }
}
