// The question of a proxy and its answer: audience and assertion out of a request's head, then remembered, refused or
// put to the pool. One a loop; this file is the hot path: no allocation, no lock, no String on the way to a remembered
// token.

import EventLoops
import HTTP2
import HTTPServing
import HTTPSyntax
import POSIX
import Telemetry
import Token
import Verification

/// What a loop knows of tokens. Handed down as one `inout`, so that the access to it is checked once a request.
struct Memory: ~Copyable {
  var reader = TokenReader()
  var cache: TokenCache

  init(cache: consuming TokenCache) { self.cache = cache }
}

/// Answers `/auth/{audience}` on one loop (SPEC.md, "The question" and "The answer"). Thread: the loop's.
package final class ForwardAuthHandler: RequestHandler {
  private static let assertionField: FieldName = "cf-access-jwt-assertion"
  private static let assertionCookie: CookieName = "CF_Authorization"

  let number: Int
  let judge: Judge
  let pool: VerificationPool
  let replies: ReplyTexts
  let bells: [UnknownKidBell]
  let keyWaitPlaces: KeyWaitPlaces
  let unknownKidWait: Int64
  let counters: LoopCounters
  let shared: SharedCounters
  let denials: DenialLog
  let mistakes: MistakeLog
  var references = RequestReferences()

  var keys: [KeySet] = []
  var memory: Memory
  var waiting: WaitingRequests
  var finished: [Int] = []
  var standings = Standings()
  var identityLines: [UInt8] = []
  var keyWaits = KeyWaits()
  /// Calls `endKeyWaits`; the loop's to make, after the server.
  package var keyWaitTimer: LoopTimer?

  package init(number: Int, parts: ServingParts, counters: LoopCounters) {
    self.number = number
    judge = parts.judge
    pool = parts.pool
    replies = ReplyTexts(
      unavailableStatus: UInt16(parts.unavailableStatus), exposesReason: parts.exposesReason)
    bells = parts.bells
    keyWaitPlaces = parts.keyWaitPlaces
    unknownKidWait = parts.unknownKidWait
    shared = parts.shared
    self.counters = counters
    denials = DenialLog(parts.log)
    mistakes = MistakeLog(parts.log, maxHeadBytes: parts.maxHeadBytes)
    memory = Memory(cache: TokenCache(limit: parts.tokenCacheBytes))
    waiting = WaitingRequests(cells: ServingParts.poolCells)
    finished.reserveCapacity(ServingParts.poolCells)
    identityLines.reserveCapacity(2048)
  }

  /// The sets that may be trusted from now on. What was remembered under keys that left is gone with this call.
  package func use(_ keys: [KeySet]) {
    self.keys = keys
    memory.cache.keep(only: keys)
    countCache()
  }

  // MARK: - A request

  package func answer(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, arrival: UInt64, exchange: Exchange, into reply: inout Reply
  ) -> Decision {
    guard let audience = audience(inTarget: head.target, of: bytes) else {
      return answerOther(head, bytes, &reply)
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

  /// A target that asks about no audience: a probe, or a mistake in a proxy's address.
  private func answerOther(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ reply: inout Reply) -> Decision {
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
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ audience: Range<Int>, _ token: Range<Int>,
    _ arrival: UInt64, _ exchange: Exchange, _ memory: inout Memory, _ reply: inout Reply
  ) -> Decision {
    let now = Clock.wallSeconds
    let remembered = memory.cache.lookup(
      audience: bytes.extracting(audience), token: bytes.extracting(token), now: now)
    if let remembered { return allow(remembered, memory.cache, arrival, &reply) }
    let first = judge.firstAnswer(
      token: bytes.extracting(token), audience: bytes.extracting(audience), now: now, keys: keys,
      reader: &memory.reader)
    switch first {
    case .refused(let reason):
      counters.countCacheMiss()
      if reason == .keyUnknown,
        waitForKeys(promises(after: memory.reader), head, bytes, audience, token, arrival, exchange)
      {
        return .wait
      }
      return deny(reason, audience, head, bytes, arrival, &reply, token: token)
    case .needsSignature(let key):
      guard exchange.mayWait else {
        guard exchange.isFull else { return .later }
        counters.countCacheMiss()
        shared.countPoolOverload()
        return deny(.overloaded, audience, head, bytes, arrival, &reply, token: token)
      }
      counters.countCacheMiss()
      return submit(key, audience, token, head, bytes, arrival, exchange, memory.reader, &reply)
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
    _ key: VerificationKey, _ audience: Range<Int>, _ token: Range<Int>,
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ arrival: UInt64, _ exchange: Exchange,
    _ reader: borrowing TokenReader, _ reply: inout Reply
  ) -> Decision {
    let submission = submit(
      key, bytes.extracting(audience), bytes.extracting(token), exchange, reader)
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

  /// Gives back some of the memory of remembered tokens whose time is over; true: there may be more to do soon.
  package func releaseExpired() -> Bool {
    let hasMore = memory.cache.releaseExpired(now: Clock.wallSeconds)
    countCache()
    return hasMore
  }

  func countCache() {
    counters.setCache(entries: memory.cache.counters.entries, bytes: memory.cache.counters.bytes)
  }

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
