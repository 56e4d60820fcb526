// The counters of one event loop. Written by that loop alone, read by any thread.
//
// Invariant: one writer. That is why a relaxed load and a relaxed store make an increment, with no locked instruction
// on the hot path; a second writer would lose counts.

import Synchronization

/// A counter or gauge with one writer.
package struct SingleWriterCount: ~Copyable, Sendable {
  private let number = Atomic<UInt64>(0)

  package init() {}

  package func add(_ amount: UInt64 = 1) {
    number.store(number.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  func set(_ value: UInt64) {
    number.store(value, ordering: .relaxed)
  }

  package var value: UInt64 { number.load(ordering: .relaxed) }
}

/// What one event loop counts. Nothing here allocates, locks or waits.
///
/// All methods but reads (which are internal, for `MetricsPage`) are for the loop's own thread.
public final class LoopCounters: Sendable {
  /// Reasons and refusals are indices below this; a larger one counts as the last.
  public static let indexLimit = 32

  /// The upper bounds of the duration histogram's buckets, in nanoseconds: 5 µs to 1 s.
  static let bounds: InlineArray<16, UInt64> = [
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000,
    50_000_000, 100_000_000, 250_000_000, 1_000_000_000,
  ]

  let allowed = SingleWriterCount()
  let deniedByReason = InlineArray<32, SingleWriterCount> { _ in SingleWriterCount() }
  let refusedByRefusal = InlineArray<32, SingleWriterCount> { _ in SingleWriterCount() }
  let notFound = SingleWriterCount()
  let cacheHits = SingleWriterCount()
  let cacheMisses = SingleWriterCount()
  let cacheEvictions = SingleWriterCount()
  let cacheEntries = SingleWriterCount()
  let cacheBytes = SingleWriterCount()
  let coalescedWaits = SingleWriterCount()
  let keyWaits = SingleWriterCount()
  let connectionsAccepted = SingleWriterCount()
  let connectionsClosed = SingleWriterCount()
  let clientsGone = SingleWriterCount()
  let speech = InlineArray<3, SingleWriterCount> { _ in SingleWriterCount() }
  let streams = SingleWriterCount()
  let sessionFailures = InlineArray<32, SingleWriterCount> { _ in SingleWriterCount() }
  let handshakeFailures = SingleWriterCount()
  /// Not cumulative; the last is for all that is longer than the last bound.
  let durations = InlineArray<17, SingleWriterCount> { _ in SingleWriterCount() }
  let durationNanoseconds = SingleWriterCount()

  public init() {}

  /// A request was allowed.
  public func countAllowed() { allowed.add() }

  /// A request was denied, or could not be decided; `reason` is an index into the names given to `MetricsPage`.
  public func countDenied(reason: Int) { deniedByReason[slot(reason)].add() }

  /// A head was refused as no HTTP that we accept; `refusal` is an index into the names given to `MetricsPage`.
  public func countRefusedHead(refusal: Int) { refusedByRefusal[slot(refusal)].add() }

  /// A well-formed request for another path.
  public func countNotFound() { notFound.add() }

  public func countCacheHit() { cacheHits.add() }
  public func countCacheMiss() { cacheMisses.add() }
  public func countCacheEvictions(_ count: Int) { cacheEvictions.add(UInt64(max(count, 0))) }

  /// What the loop's token cache holds now.
  public func setCache(entries: Int, bytes: Int) {
    cacheEntries.set(UInt64(max(entries, 0)))
    cacheBytes.set(UInt64(max(bytes, 0)))
  }

  /// A request waits for the verification of an equal token that is under way already.
  public func countCoalescedWait() { coalescedWaits.add() }

  /// A request with an unknown `kid` waits for a fetch of keys.
  public func countKeyWait() { keyWaits.add() }

  public func countConnectionAccepted() { connectionsAccepted.add() }
  public func countConnectionClosed() { connectionsClosed.add() }

  /// The client had left before its reply could be written.
  public func countClientGone() { clientsGone.add() }

  /// A connection speaks HTTP/2 in clear (0), HTTP/1 over TLS (1) or HTTP/2 over TLS (2); others are ignored.
  public func countSpeech(_ index: Int) {
    if speech.indices.contains(index) { speech[index].add() }
  }

  /// A request came over HTTP/2.
  public func countStream() { streams.add() }

  /// A connection's HTTP/2 was ended by our will; an index into the names given to `MetricsPage`.
  public func countSessionFailure(_ index: Int) { sessionFailures[slot(index)].add() }

  /// A TLS handshake failed.
  public func countHandshakeFailure() { handshakeFailures.add() }

  /// A request was answered this long after its head was complete.
  public func observeDuration(nanoseconds: UInt64) {
    var bucket = 0
    while bucket < LoopCounters.bounds.count, nanoseconds > LoopCounters.bounds[bucket] { bucket += 1 }
    durations[bucket].add()
    durationNanoseconds.add(nanoseconds)
  }

  private func slot(_ index: Int) -> Int { index >= 0 && index < 32 ? index : 31 }
}
