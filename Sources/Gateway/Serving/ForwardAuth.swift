// The question of a proxy and its answer: audience and assertion out of a request's head, then remembered, refused or
// put to the pool. One a loop; this file is the hot path: no allocation, no lock, no String on the way to a remembered
// token.

import EventHTTP
import HTTPSyntax
import Telemetry
import Token
import Verification
import VerificationPool

/// What a loop knows of tokens. Handed down as one `inout`, so that the access to it is checked once a request.
private struct Memory: ~Copyable {
  var digests = DigestMemo()
  var reader = TokenReader()
  var cache: TokenCache

  init(cache: consuming TokenCache) { self.cache = cache }
}

/// Answers `/auth/{audience}` on one loop (SPEC.md, "The question" and "The answer"). Thread: the loop's.
final class ForwardAuth: RequestHandler {
  private static let assertionField: FieldName = "cf-access-jwt-assertion"
  private static let assertionCookie: CookieName = "CF_Authorization"

  private let number: Int
  private let judge: Judge
  private let pool: VerificationPool
  private let replies: ReplyTexts
  private let bells: [UnknownKidBell]
  private let counters: LoopCounters
  private let shared: SharedCounters
  private let denials: DenialLog
  private var references = RequestReferences()

  private var keys: [KeySet] = []
  private var memory: Memory
  private var waiting: WaitingRequests
  private var finished: [Int] = []
  private var identityLines: [UInt8] = []

  init(number: Int, parts: ServingParts, counters: LoopCounters) {
    self.number = number
    judge = parts.judge
    pool = parts.pool
    replies = ReplyTexts(
      unavailableStatus: UInt16(parts.settings.unavailableStatus), exposesReason: parts.settings.exposeReason)
    bells = parts.bells
    shared = parts.shared
    self.counters = counters
    denials = DenialLog(parts.log)
    memory = Memory(cache: TokenCache(limit: parts.settings.tokenCacheBytes / parts.settings.eventLoops))
    waiting = WaitingRequests(cells: ServingParts.poolCells)
    finished.reserveCapacity(ServingParts.poolCells)
    identityLines.reserveCapacity(2048)
  }

  /// The sets that may be trusted from now on. What was remembered under keys that left is gone with this call.
  func use(_ keys: [KeySet]) {
    self.keys = keys
    memory.cache.keep(only: keys)
    countCache()
  }

  // MARK: - A request

  func answer(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, arrival: UInt64, exchange: Exchange, into reply: inout Reply
  ) -> Decision {
    guard let audience = audience(inTarget: head.target, of: bytes) else {
      counters.countNotFound()
      replies.writeNotFound(to: &reply)
      return .reply
    }
    let token: Range<Int>
    switch assertion(head, bytes) {
    case .none: return deny(.missing, audience, head, bytes, arrival, &reply)
    case .several: return deny(.ambiguous, audience, head, bytes, arrival, &reply)
    case .one(let range): token = range
    }
    // Before anything that takes time in proportion to it.
    guard token.count <= TokenReader.maximumTokenLength else {
      return deny(.tooLarge, audience, head, bytes, arrival, &reply)
    }
    return answer(head, bytes, audience, token, arrival, exchange, &memory, &reply)
  }

  private func answer(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ audience: Range<Int>, _ token: Range<Int>,
    _ arrival: UInt64, _ exchange: Exchange, _ memory: inout Memory, _ reply: inout Reply
  ) -> Decision {
    let digest = memory.digests.digestIfShort(audience: bytes.extracting(audience), token: bytes.extracting(token))
    let now = Clock.wallSeconds
    if let digest, let hit = memory.cache.lookup(digest, now: now) { return allow(hit, memory.cache, arrival, &reply) }
    let first = judge.answer(
      token: bytes.extracting(token), audience: bytes.extracting(audience), digest: digest, now: now, keys: keys,
      reader: &memory.reader, cache: memory.cache)
    switch first {
    case .remembered(let hit): return allow(hit, memory.cache, arrival, &reply)
    case .refused(let reason):
      counters.countCacheMiss()
      if reason == .keyUnknown { ring(memory.reader) }
      return deny(reason, audience, head, bytes, arrival, &reply, token: token)
    case .needsSignature(let key, let digest):
      counters.countCacheMiss()
      return submit(digest, key, audience, token, head, bytes, arrival, exchange, memory.reader, &reply)
    }
  }

  private func allow(
    _ hit: TokenCache.Hit, _ cache: borrowing TokenCache, _ arrival: UInt64, _ reply: inout Reply
  ) -> Decision {
    counters.countCacheHit()
    counters.countAllowed()
    reply.status = 200
    cache.withPayload(of: hit) { reply.append(fieldLines: $0) }
    counters.observeDuration(nanoseconds: Clock.monotonicNanoseconds &- arrival)
    return .reply
  }

  /// An unknown `kid`: the set of the token's own issuer alone may be out of date. Whose token it is is not known where
  /// its claims were not read, and then it may be any.
  private func ring(_ reader: borrowing TokenReader) {
    if let issuer = judge.issuer(of: reader) { return bells[issuer].ring() }
    for bell in bells { bell.ring() }
  }

  /// The header, or else the cookie (SPEC.md, "Where the assertion is looked for"). A header that is there decides,
  /// good or bad: falling back would let a client choose which of two assertions counts.
  private func assertion(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Occurrence {
    let occurrence = head.value(of: Self.assertionField, in: bytes)
    return occurrence == .none ? head.cookie(Self.assertionCookie, in: bytes) : occurrence
  }

  private func deny(
    _ reason: Reason, _ audience: Range<Int>, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ arrival: UInt64,
    _ reply: inout Reply, token: Range<Int> = 0..<0
  ) -> Decision {
    counters.countDenied(reason: Int(reason.rawValue))
    let own = RequestReference(head, bytes)
    let reference = own ?? references.next()
    replies.write(reason, reference, to: &reply)
    counters.observeDuration(nanoseconds: Clock.monotonicNanoseconds &- arrival)
    if denials.admits() {
      let details = RequestDetails(head, bytes, audience: audience, own)
      denials.write(reason, details, reference, token: bytes.extracting(token))
    }
    return .reply
  }

  private func submit(
    _ digest: SHA256Digest, _ key: VerificationKey, _ audience: Range<Int>, _ token: Range<Int>,
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ arrival: UInt64, _ exchange: Exchange,
    _ reader: borrowing TokenReader, _ reply: inout Reply
  ) -> Decision {
    let submission = reader.withSignature { signature in
      pool.submit(
        loop: number, digest: digest, token: bytes.extracting(token), audience: bytes.extracting(audience),
        signingInputCount: reader.signingInput.upperBound, signature: signature, key: key)
    }
    switch submission {
    case .full:
      shared.countPoolOverload()
      return deny(.overloaded, audience, head, bytes, arrival, &reply, token: token)
    case .queued(let cell):
      waiting.add(
        to: cell, WaitingRequest(exchange, arrival, ownsCell: true, RequestDetails(head, bytes, audience: audience)))
    case .joined(let cell):
      counters.countCoalescedWait()
      waiting.add(
        to: cell, WaitingRequest(exchange, arrival, ownsCell: false, RequestDetails(head, bytes, audience: audience)))
    }
    return .wait
  }

  // MARK: - Verifications that are done

  /// The pool has called: answers every request that waited for the cells that are finished, through the server that has
  /// asked for them.
  func settleFinished(through server: HTTPServer) {
    pool.takeFinished(loop: number, into: &finished)
    for cell in finished {
      settle(cell, server)
      pool.release(cell, loop: number)
    }
  }

  private func settle(_ number: Int, _ server: HTTPServer) {
    let cell = pool.finished(number)
    let reason = verdict(cell)
    if reason == nil { remember(cell) }
    while let request = waiting.takeNext(of: number) {
      if request.ownsCell {
        shared.countVerification(ok: cell.isGenuine)
        cell.key?.uses.count(isGood: cell.isGenuine, now: Clock.wallSeconds)
      }
      let denial = reason.map { (reason: $0, reference: request.details.reference ?? references.next()) }
      if let denial {
        counters.countDenied(reason: Int(denial.reason.rawValue))
        if denials.admits() {
          denials.write(denial.reason, request.details, denial.reference, token: cell.token.span)
        }
      } else {
        counters.countAllowed()
      }
      let wasThere = server.finish(request.exchange) { reply in
        if let denial {
          replies.write(denial.reason, denial.reference, to: &reply)
        } else {
          reply.status = 200
          reply.append(fieldLines: identityLines)
        }
      }
      if !wasThere { counters.countClientGone() }
      counters.observeDuration(nanoseconds: Clock.monotonicNanoseconds &- request.arrival)
    }
  }

  /// Nil allows. The token is judged again, and in full: by the time and the keys of now, and because its claims may have
  /// been left for later.
  private func verdict(_ cell: Cell) -> Reason? {
    guard cell.isGenuine, let verifiedBy = cell.key else { return .signature }
    let token = cell.token
    let audience = cell.audience
    let verdict = judge.confirm(
      token: token.span, audience: audience.span, now: Clock.wallSeconds, keys: keys, verifiedBy: verifiedBy,
      reader: &memory.reader)
    switch verdict {
    case .allowed: return nil
    case .denied(let reason): return reason
    }
  }

  /// Renders the identity of the token that `verdict` has just read, and remembers it.
  private func remember(_ cell: Cell) {
    IdentityLines.write(memory.reader, to: &identityLines)
    guard let validity = judge.validity(of: memory.reader), let key = cell.key, let digest = cell.digest else { return }
    let evictions = memory.cache.counters.evictions
    let lines = identityLines
    memory.cache.insert(
      digest, epoch: memory.cache.epoch, key: key, validFrom: validity.validFrom, refuseFrom: validity.refuseFrom,
      payload: lines.span)
    counters.countCacheEvictions(Int(memory.cache.counters.evictions - evictions))
    countCache()
  }

  /// Gives back some of the memory of remembered tokens whose time is over; true: there may be more to do soon.
  func releaseExpired() -> Bool {
    let hasMore = memory.cache.releaseExpired(now: Clock.wallSeconds)
    countCache()
    return hasMore
  }

  private func countCache() {
    counters.setCache(entries: memory.cache.counters.entries, bytes: memory.cache.counters.bytes)
  }

  // MARK: - What the gate tells

  func refused(_ refusal: Refusal) { counters.countRefusedHead(refusal: Int(refusal.rawValue)) }
  func connectionOpened() { counters.countConnectionAccepted() }
  func connectionClosed() { counters.countConnectionClosed() }
  func acceptFailed(_ error: SystemError) { denials.acceptFailed(error) }
}
