// Counters and gauges of the whole process, away from the hot path: verification workers and the control thread write
// them with atomic additions.

import Synchronization

/// How a fetch of the key set ended.
public enum KeyRefreshOutcome: Int, CaseIterable, Sendable {
  case success
  /// The host's name was not found.
  case resolve
  /// No connection, or it broke.
  case connect
  /// No TLS, or the certificate is not the host's.
  case tls
  /// The one deadline passed.
  case timeout
  /// An HTTP status other than 200.
  case status
  /// More bytes or keys than allowed.
  case tooLarge
  /// Not HTTP, not JSON, or no usable key in it.
  case invalid
  /// A `file:` that cannot be read.
  case file

  var label: StaticString {
    switch self {
    case .success: "success"
    case .resolve: "resolve"
    case .connect: "connect"
    case .tls: "tls"
    case .timeout: "timeout"
    case .status: "status"
    case .tooLarge: "too_large"
    case .invalid: "invalid"
    case .file: "file"
    }
  }
}

/// What the process counts outside its event loops. Any thread may call anything.
public final class SharedCounters: Sendable {
  let verificationsOK = Atomic<UInt64>(0)
  let verificationsFailed = Atomic<UInt64>(0)
  let poolOverloads = Atomic<UInt64>(0)
  let keyRefreshes = InlineArray<9, Atomic<UInt64>> { _ in Atomic(0) }
  let unknownKidRefetches = Atomic<UInt64>(0)
  let unknownKidRefetchesLimited = Atomic<UInt64>(0)
  let keysFetchedAt = Atomic<UInt64>(0)
  let keyCount = Atomic<UInt64>(0)
  let ready = Atomic<Bool>(false)

  public init() {}

  /// A signature was verified, with this result.
  public func countVerification(ok: Bool) {
    if ok {
      verificationsOK.wrappingAdd(1, ordering: .relaxed)
    } else {
      verificationsFailed.wrappingAdd(1, ordering: .relaxed)
    }
  }

  /// The verification pool was full.
  public func countPoolOverload() { poolOverloads.wrappingAdd(1, ordering: .relaxed) }

  public func countKeyRefresh(_ outcome: KeyRefreshOutcome) {
    keyRefreshes[outcome.rawValue].wrappingAdd(1, ordering: .relaxed)
  }

  /// A token named an unknown `kid`, and a fetch was started for it.
  public func countUnknownKidRefetch() { unknownKidRefetches.wrappingAdd(1, ordering: .relaxed) }

  /// A token named an unknown `kid`, and the limit of one fetch in 30 s held back another.
  public func countUnknownKidRefetchLimited() { unknownKidRefetchesLimited.wrappingAdd(1, ordering: .relaxed) }

  /// The key set in use: usable keys, and when it was fetched, in seconds since 1970 (0: never).
  public func setKeys(count: Int, fetchedAtSeconds: Int) {
    keyCount.store(UInt64(max(count, 0)), ordering: .relaxed)
    keysFetchedAt.store(UInt64(max(fetchedAtSeconds, 0)), ordering: .relaxed)
  }

  /// Whether every issuer has a usable key set.
  public func setReady(_ isReady: Bool) { ready.store(isReady, ordering: .relaxed) }
}
