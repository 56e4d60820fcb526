// A limit for log lines that strangers can cause. Time is a parameter; no lock: the owner's thread alone calls.

/// A token bucket that counts what it holds back.
public struct RateLimit: Equatable, Sendable {
  /// What to do with one line.
  public enum Admission: Equatable, Sendable {
    /// Write it; `suppressed` lines were held back since the last one that was written.
    case write(suppressed: Int)
    case suppress
  }

  private let perSecond: Int
  private let burst: Int
  /// Thousandths of a line.
  private var allowance: Int
  private var lastMilliseconds: Int?
  private var suppressed = 0

  /// - Parameters:
  ///   - perSecond: lines a second in the long run, 1...1,000,000.
  ///   - burst: lines at once after a quiet time, 1...1,000,000.
  public init(perSecond: Int, burst: Int) {
    self.perSecond = min(max(perSecond, 1), 1_000_000)
    self.burst = min(max(burst, 1), 1_000_000)
    allowance = self.burst * 1000
  }

  /// Judges one line at a time of a monotonic clock, in milliseconds; a step back counts as no time.
  public mutating func admit(atMilliseconds now: Int) -> Admission {
    let elapsed = min(max(now &- (lastMilliseconds ?? now), 0), burst * 1000)
    lastMilliseconds = now
    allowance = min(allowance + elapsed * perSecond, burst * 1000)
    guard allowance >= 1000 else {
      suppressed += 1
      return .suppress
    }
    allowance -= 1000
    return .write(suppressed: takeSuppressed())
  }

  /// The lines held back since the last one that was written or since the last call, for a summary by timer.
  public mutating func takeSuppressed() -> Int {
    defer { suppressed = 0 }
    return suppressed
  }
}
