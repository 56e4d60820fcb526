// The question of a proxy and its answer: what is asked out of a request's head, the Authorizer's outcome as a reply. One a
// loop; on the way to a remembered token there is no allocation, no lock, no String.

import Authorization
import EventLoops
import HTTP2
import HTTPServing
import HTTPSyntax
import POSIX
import Policy
import Telemetry
import Token
import Verification

/// Answers `/auth/{audience}` on one loop (SPEC.md, "The question" and "The answer"). Thread: the loop's.
package final class ForwardAuthHandler: RequestHandler {
  private static let assertionField: FieldName = "cf-access-jwt-assertion"
  private static let assertionCookie: CookieName = "CF_Authorization"

  /// A request whose answer follows.
  private struct PendingRequest {
    let exchange: Exchange
    /// `Clock.monotonicNanoseconds` of its arrival.
    let arrival: UInt64
    let details: RequestDetails
  }

  private var authorizer: Authorizer
  private var replies: ReplyTexts
  private let counters: LoopCounters
  private let shared: SharedCounters
  private let denials: DenialLog
  private let decisions: DecisionLog
  private let mistakes: MistakeLog
  private var references = RequestReferences()
  /// By ticket.
  private var pending: [PendingRequest?] = []
  /// Calls `endKeyWaits`; the loop's to make, after the server.
  package var keyWaitTimer: LoopTimer?

  package init(number: Int, parts: ServingParts, counters: LoopCounters, snapshot: Snapshot) {
    authorizer = Authorizer(parts.authorizerParts(loop: number, counters), snapshot)
    replies = ReplyTexts(snapshot.rules)
    shared = parts.shared
    self.counters = counters
    denials = DenialLog(parts.log)
    decisions = DecisionLog(parts.log)
    mistakes = MistakeLog(parts.log, maxHeadBytes: parts.maxHeadBytes)
  }

  /// Judges and replies by this from now on.
  package func use(_ snapshot: Snapshot) {
    if snapshot.rules !== authorizer.snapshot.rules { replies = ReplyTexts(snapshot.rules) }
    authorizer.use(snapshot)
  }

  // MARK: - A request

  package func answer(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, arrival: UInt64, exchange: Exchange, into reply: inout Reply
  ) -> HTTPServing.Decision {
    guard let segment = audience(inTarget: head.target, of: bytes) else {
      return answerOther(head, bytes, &reply)
    }
    return answer(segment, head, bytes, arrival, exchange, &authorizer, &reply)
  }

  /// A target that asks about no audience: a probe, or a mistake in a proxy's address.
  private func answerOther(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ reply: inout Reply
  ) -> HTTPServing.Decision {
    if let probe = Probe(head, bytes) {
      ReplyTexts.writeProbe(isGood: probe == .live || shared.isReady, to: &reply)
    } else {
      counters.countNotFound()
      mistakes.notFound(bytes.extracting(head.target))
      replies.writeNotFound(to: &reply)
    }
    return .reply
  }

  private func answer(
    _ segment: Range<Int>, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ arrival: UInt64,
    _ exchange: Exchange, _ authorizer: inout Authorizer, _ reply: inout Reply
  ) -> HTTPServing.Decision {
    var request = AuthRequest(
      segment: segment, target: authorizer.target(segment, in: bytes), assertion: assertion(head, bytes),
      requester: Requester(connection: exchange.connection, peer: exchange.peer), mayWait: exchange.mayWait,
      isFull: exchange.isFull)
    if case .application(_, let family) = request.target {
      request.facts = RequestFacts(family, head, bytes, behind: segment)
    }
    switch authorizer.authorize(request, in: bytes, now: Clock.wallSeconds) {
    case .later: return .later
    case .allow(let allowance):
      reply.status = 200
      authorizer.withFieldLines(of: allowance) { reply.append(fieldLines: $0) }
      counters.observeDuration(nanoseconds: Clock.monotonicNanoseconds &- arrival)
      if decisions.wants(allowance, authorizer.snapshot.rules) {
        log(allowance, RequestDetails(request, head, bytes, authorizer.snapshot.rules), nil, authorizer)
      }
      return .reply
    case .deny(let denial):
      let own = RequestReference(head, bytes)
      let reference = own ?? references.next()
      replies.write(denial.reason, reference, to: &reply)
      counters.observeDuration(nanoseconds: Clock.monotonicNanoseconds &- arrival)
      let isAdmitted = denials.admits()
      guard isAdmitted || decisions.wantsDenials(authorizer.snapshot.rules) else { return .reply }
      let details = RequestDetails(request, head, bytes, authorizer.snapshot.rules)
      if isAdmitted {
        let token = if case .one(let range) = request.assertion { range } else { 0..<0 }
        denials.write(denial, authorizer.snapshot.rules, details, reference, token: bytes.extracting(token))
      }
      decisions.write(denial, details, reference, authorizer)
      return .reply
    case .wait(let ticket):
      while pending.count <= ticket.index { pending.append(nil) }
      pending[ticket.index] = PendingRequest(
        exchange: exchange, arrival: arrival, details: RequestDetails(request, head, bytes, authorizer.snapshot.rules))
      if let deadline = authorizer.nextKeyWaitDeadline { scheduleKeyWaits(deadline) }
      return .wait
    }
  }

  /// The header, or else the cookie (SPEC.md, "Where the assertion is looked for"). A header that is there decides,
  /// good or bad: falling back would let a client choose which of two assertions counts.
  private func assertion(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Assertion {
    var occurrence = head.value(of: Self.assertionField, in: bytes)
    if occurrence == .none { occurrence = head.cookie(Self.assertionCookie, in: bytes) }
    switch occurrence {
    case .none: return .missing
    case .several: return .ambiguous
    case .one(let range): return .one(range)
    }
  }

  /// An allowed request that the decision log holds, or that a report was made of.
  private func log(
    _ allowance: Allowance, _ details: RequestDetails, _ reference: RequestReference?,
    _ authorizer: borrowing Authorizer
  ) {
    let reference = reference ?? details.reference ?? references.next()
    if allowance.isReport, denials.admits() {
      denials.writeReport(allowance, authorizer.snapshot.rules, details, reference)
    }
    decisions.write(allowance, details, reference, authorizer)
  }

  // MARK: - Requests that waited

  /// The pool has called: answers the requests that waited for the cells that are finished, through the server that has
  /// asked for them.
  package func settleFinished(through server: HTTPServer) {
    authorizer.takeFinished()
    answerSettled(through: server)
  }

  /// A fetch that was promised has ended: who waited for it is judged by the keys of now.
  package func fetchEnded(issuer: Int, end: UInt64, through server: HTTPServer) {
    authorizer.fetchEnded(issuer: issuer, end: end)
    answerSettled(through: server)
    if let deadline = authorizer.nextKeyWaitDeadline { scheduleKeyWaits(deadline) }
  }

  /// The time of some is over: the timer's call.
  package func endKeyWaits(through server: HTTPServer) {
    authorizer.endKeyWaits(at: Clock.monotonicMilliseconds)
    answerSettled(through: server)
    if let deadline = authorizer.nextKeyWaitDeadline { scheduleKeyWaits(deadline) }
  }

  private func scheduleKeyWaits(_ deadline: Int64) {
    keyWaitTimer?.schedule(afterMilliseconds: max(deadline - Clock.monotonicMilliseconds, 1))
  }

  private func answerSettled(through server: HTTPServer) {
    while let answer = authorizer.nextAnswer(now: Clock.wallSeconds, milliseconds: Clock.monotonicMilliseconds) {
      guard let request = pending[answer.ticket.index] else { continue }
      pending[answer.ticket.index] = nil
      if let standing = answer.standing {
        // A connection is judged by the signatures that it has sent: while it is failing, whatever it sends is looked at
        // in turns, after the requests of others.
        server.takeTurns(request.exchange, forMilliseconds: standing == .failing ? 30_000 : 0)
      }
      if !finish(request, answer.outcome, server) { counters.countClientGone() }
      counters.observeDuration(nanoseconds: Clock.monotonicNanoseconds &- request.arrival)
    }
  }

  /// False: the client is gone.
  private func finish(_ request: PendingRequest, _ outcome: AuthOutcome, _ server: HTTPServer) -> Bool {
    let rules = authorizer.snapshot.rules
    switch outcome {
    case .allow(let allowance):
      if decisions.wants(allowance, rules) { log(allowance, request.details, nil, authorizer) }
      return server.finish(request.exchange) { reply in
        reply.status = 200
        authorizer.withFieldLines(of: allowance) { reply.append(fieldLines: $0) }
      }
    case .deny(let denial):
      let reference = request.details.reference ?? references.next()
      if denials.admits() {
        authorizer.withSettledToken { denials.write(denial, rules, request.details, reference, token: $0) }
      }
      decisions.write(denial, request.details, reference, authorizer)
      return server.finish(request.exchange) { replies.write(denial.reason, reference, to: &$0) }
    case .wait, .later:
      preconditionFailure("an answer to a request that waited is final")
    }
  }

  /// Gives back some of the memory of remembered tokens whose time is over; true: there may be more to do soon.
  package func releaseExpired() -> Bool { authorizer.releaseExpired(now: Clock.wallSeconds) }

  // MARK: - What the gate tells

  package func refused(_ refusal: Refusal, _ bytes: Span<UInt8>) {
    counters.countRefusedHead(refusal: Int(refusal.rawValue))
    mistakes.refused(refusal, bytes)
  }
  package func connectionOpened() { counters.countConnectionAccepted() }
  package func connectionClosed() { counters.countConnectionClosed() }
  package func connectionSpeaks(_ speech: ConnectionSpeech) { counters.countSpeech(Int(speech.rawValue)) }
  package func streamOpened() { counters.countStream() }
  package func sessionFailed(_ failure: HTTP2Failure) { counters.countSessionFailure(Int(failure.rawValue)) }
  package func handshakeFailed(_ reason: String) {
    counters.countHandshakeFailure()
    mistakes.handshakeFailed(reason)
  }
  package func acceptFailed(_ error: SystemError) { denials.acceptFailed(error) }
}
