// What the metrics tell of one issuer's keys: how fetches can end, and the figures of one moment. Nothing is counted or
// rendered here.

/// How a fetch of a key set ended.
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

  /// One word, for metrics.
  public var label: StaticString {
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

/// One issuer's keys at one moment. Bounded: at most 64 keys, and issuers come from the settings.
public struct IssuerFigures: Sendable {
  /// A usable key.
  public struct Key: Sendable {
    /// Printable ASCII.
    public var kid: String
    /// Signatures verified by it, and those that were not its own.
    public var verified: UInt64
    public var failed: UInt64

    public init(kid: String, verified: UInt64, failed: UInt64) {
      self.kid = kid
      self.verified = verified
      self.failed = failed
    }
  }

  public var issuer: String
  /// The keys in use; empty while there are none to trust.
  public var keys: [Key] = []
  /// Keys of the last set that were not usable.
  public var skippedKeys = 0
  /// When the set in use was fetched, in seconds since 1970; nil without one.
  public var fetchedAtSeconds: Int?
  /// How long ago that was, and how long until the set is too old; seconds of the monotonic clock.
  public var ageSeconds: Int?
  public var secondsLeft: Int?
  /// Fetches by the raw value of their outcome.
  public var refreshes = [UInt64](repeating: 0, count: KeyRefreshOutcome.allCases.count)
  /// Tokens that named a `kid` that no key has.
  public var unknownKids: UInt64 = 0
  /// Fetches that these caused.
  public var unknownKidRefetches: UInt64 = 0
  /// Those for which the limit on such fetches held back another.
  public var unknownKidRefetchesLimited: UInt64 = 0
  /// State files that were not used, and writes of one that failed.
  public var stateFaults: UInt64 = 0

  public init(issuer: String) { self.issuer = issuer }
}
