// Tokens that name an unknown `kid`: after an unannounced rotation that is a new key, and the fetch of it is awaited; from
// strangers it is junk, and the bucket of fetches (KeySchedule) and the places (KeyWaits) bound what it costs.
// Thread: the loop's.

import EventLoops
import HTTPServing
import HTTPSyntax
import POSIX
import Telemetry
import Token
import Verification

extension ForwardAuthHandler {
  /// Asks for the keys of the token's own issuer, whose set alone may be out of date. Whose token it is is not known where
  /// its claims were not read, and then it may be any.
  func promises(after reader: borrowing TokenReader) -> [(issuer: Int, promise: FetchPromise)] {
    if let issuer = judge.issuer(of: reader) { return [(issuer, bells[issuer].ring())] }
    return bells.indices.map { ($0, bells[$0].ring()) }
  }

  /// Whether the request now waits for one of the promised fetches. False: deny it at once.
  func waitForKeys(
    _ promises: [(issuer: Int, promise: FetchPromise)], _ head: borrowing RequestHead, _ bytes: Span<UInt8>,
    _ audience: Range<Int>, _ token: Range<Int>, _ arrival: UInt64, _ exchange: Exchange
  ) -> Bool {
    guard unknownKidWait > 0, !exchange.isFull, let awaited = KeyWaits.awaited(promises), keyWaitPlaces.take() else {
      return false
    }
    let wasEmpty = keyWaits.isEmpty
    keyWaits.append(
      exchange: exchange, arrival: arrival, details: RequestDetails(head, bytes, audience: audience),
      audience: Array(copying: bytes.extracting(audience)), token: Array(copying: bytes.extracting(token)),
      deadline: Clock.monotonicMilliseconds + unknownKidWait, awaited: awaited)
    counters.countKeyWait()
    if wasEmpty { keyWaitTimer?.schedule(afterMilliseconds: unknownKidWait) }
    return true
  }

  /// A fetch that was promised has ended: who waited for it is judged by the keys of now.
  package func fetchEnded(issuer: Int, end: UInt64, through server: HTTPServer) {
    for wait in keyWaits.take(issuer: issuer, end: end) { judgeAgain(wait, &memory, server) }
    scheduleKeyWaits()
  }

  /// The time of some is over: the timer's call.
  package func endKeyWaits(through server: HTTPServer) {
    for wait in keyWaits.takeExpired(at: Clock.monotonicMilliseconds) { finish(wait, denied: .keyUnknown, server) }
    scheduleKeyWaits()
  }

  private func scheduleKeyWaits() {
    guard let next = keyWaits.nextDeadline else { return }
    keyWaitTimer?.schedule(afterMilliseconds: max(next - Clock.monotonicMilliseconds, 1))
  }

  private func judgeAgain(_ wait: KeyWait, _ memory: inout Memory, _ server: HTTPServer) {
    let audience = wait.audience
    let token = wait.token
    let now = Clock.wallSeconds
    if let hit = memory.cache.lookup(audience: audience.span, token: token.span, now: now) {
      // Another request with the same token was faster.
      counters.countAllowed()
      return finish(wait, server) { reply in
        reply.status = 200
        memory.cache.withPayload(of: hit) { reply.append(fieldLines: $0) }
      }
    }
    let first = judge.firstAnswer(
      token: token.span, audience: audience.span, now: now, keys: keys, reader: &memory.reader)
    switch first {
    case .refused(.keyUnknown):
      let isWaiting = keyWaits.putBack(wait) {
        if let issuer = judge.issuer(of: memory.reader) { return [(issuer, bells[issuer].ask())] }
        return bells.indices.map { ($0, bells[$0].ask()) }
      }
      if !isWaiting { finish(wait, denied: .keyUnknown, server) }
    case .refused(let reason): finish(wait, denied: reason, server)
    case .needsSignature(let key):
      switch submit(key, audience.span, token.span, wait.exchange, memory.reader) {
      case .full:
        shared.countPoolOverload()
        finish(wait, denied: .overloaded, server)
      case .queued(let cell):
        keyWaitPlaces.giveBack()
        waiting.add(to: cell, WaitingRequest(wait.exchange, wait.arrival, ownsCell: true, wait.details))
      case .joined(let cell):
        keyWaitPlaces.giveBack()
        counters.countCoalescedWait()
        waiting.add(to: cell, WaitingRequest(wait.exchange, wait.arrival, ownsCell: false, wait.details))
      }
    }
  }

  private func finish(_ wait: KeyWait, denied reason: Reason, _ server: HTTPServer) {
    counters.countDenied(reason: Int(reason.rawValue))
    let reference = wait.details.reference ?? references.next()
    if denials.admits() { denials.write(reason, wait.details, reference, token: wait.token.span) }
    finish(wait, server) { replies.write(reason, reference, to: &$0) }
  }

  private func finish(_ wait: KeyWait, _ server: HTTPServer, _ write: (inout Reply) -> Void) {
    keyWaitPlaces.giveBack()
    if !server.finish(wait.exchange, write) { counters.countClientGone() }
    counters.observeDuration(nanoseconds: Clock.monotonicNanoseconds &- wait.arrival)
  }
}

extension Array where Element == UInt8 {
  fileprivate init(copying bytes: Span<UInt8>) {
    self = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
  }
}
