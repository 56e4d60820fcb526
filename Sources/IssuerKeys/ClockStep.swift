// Notices that somebody set the wall clock: it and the monotonic clock should have gone on by the same. Pure; the clocks
// are parameters. Verdicts follow the wall clock at once, timers the monotonic one: a step is said, not acted on.

struct ClockStep: Sendable {
  /// Smaller differences are an NTP client's work, in seconds.
  static let limit = 60.0

  private var last: (wall: Double, monotonic: Double)?

  /// Takes both clocks, in seconds. Returns by how much the wall clock was set since the last call, where that is more
  /// than the limit; negative: back.
  mutating func observe(wall: Double, monotonic: Double) -> Double? {
    defer { last = (wall, monotonic) }
    guard let last else { return nil }
    let step = (wall - last.wall) - (monotonic - last.monotonic)
    return abs(step) > Self.limit ? step : nil
  }
}
