// The second half of a request that had to be verified: into the pool, and out of it with a verdict. Thread: the loop's.

import EventLoops
import HTTPServing
import POSIX
import Telemetry
import Token
import Verification

extension ForwardAuthHandler {
  /// Puts the token that `reader` has just read to the pool.
  func submit(
    _ key: VerificationKey, _ audience: Span<UInt8>, _ token: Span<UInt8>, _ exchange: Exchange,
    _ reader: borrowing TokenReader
  ) -> Submission {
    let requester = Requester(connection: exchange.connection, peer: exchange.peer)
    let standing = standings.standing(of: requester, now: Self.seconds)
    return reader.withSignature { signature in
      pool.submit(
        loop: number, requester: requester, standing: standing, token: token, audience: audience,
        signingInputCount: reader.signingInput.upperBound, signature: signature, key: key)
    }
  }

  // MARK: - Verifications that are done

  /// Cells that are settled in a turn of the loop, so that a remembered token never waits behind a thousand.
  private static let settledATurn = 64

  /// The pool has called: answers the requests that waited for the cells that are finished, through the server that has
  /// asked for them. It calls again when there are more than one turn of the loop takes.
  package func settleFinished(through server: HTTPServer) {
    pool.takeFinished(loop: number, most: Self.settledATurn, into: &finished)
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
      note(request.exchange, isGenuine: cell.isGenuine, server)
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

  /// A connection is judged by the signatures that it has sent: while it is failing, whatever it sends is looked at in
  /// turns, after the requests of others.
  private func note(_ exchange: Exchange, isGenuine: Bool, _ server: HTTPServer) {
    let requester = Requester(connection: exchange.connection, peer: exchange.peer)
    standings.note(requester, isGenuine: isGenuine, now: Self.seconds)
    let isFailing = standings.standing(of: requester, now: Self.seconds) == .failing
    server.takeTurns(exchange, forMilliseconds: isFailing ? 30_000 : 0)
  }

  private static var seconds: Int { Int(Clock.monotonicMilliseconds / 1000) }

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
    guard let validity = judge.validity(of: memory.reader), let key = cell.key else { return }
    let evictions = memory.cache.counters.evictions
    let lines = identityLines
    let token = cell.token
    let audience = cell.audience
    memory.cache.insert(
      audience: audience.span, token: token.span, epoch: memory.cache.epoch, key: key, validFrom: validity.validFrom,
      refuseFrom: validity.refuseFrom,
      payload: lines.span)
    counters.countCacheEvictions(Int(memory.cache.counters.evictions - evictions))
    countCache()
  }
}
