// Finds the end of a head that arrives in pieces. It holds a position and a state, never bytes, and gives no verdict:
// RequestHead is the only judge, so a head in pieces and a head at once cannot be judged differently.

/// What a scan found.
public enum ScanOutcome: Equatable, Sendable {
  /// The head goes on, and nothing so far is refused for its bytes alone: wait for more, under a deadline.
  case incomplete
  /// The head has ended, holds a byte that no head may hold, or is too long. `RequestHead.parse` over the same bytes now
  /// answers `.complete` or `.refused`, never `.incomplete`.
  case ready
}

/// The place up to which one connection's head has been looked at. A few bytes; one a connection.
public struct HeadScanner: Equatable, Sendable {
  private enum Place: UInt8 {
    case firstByte, lineStart, inLine, behindReturn, behindEmptyReturn, ready
  }

  private var position: UInt32 = 0
  private var place = Place.firstByte

  /// At the first byte of a head.
  public init() {}

  /// Goes on from where the last call stopped, so the total work is linear even when bytes come one at a time.
  ///
  /// `bytes` starts with the head's first byte at every call and only grows; bytes behind the end are not looked at.
  /// After `.ready` every further call says `.ready`: assign `HeadScanner()` for the next head.
  public mutating func scan(_ bytes: Span<UInt8>, limits: HeadLimits = HeadLimits()) -> ScanOutcome {
    guard place != .ready else { return .ready }
    let end = min(bytes.count, limits.maxHeadBytes)
    var i = Int(position)
    var place = self.place
    scanning: while i < end {
      let byte = bytes[i]
      switch place {
      case .inLine where isValueByte(byte):
        i += 1
        while end - i >= 8 {
          let stops = valueStops(in: word(of: bytes, at: i))
          guard stops == 0 else {
            i += firstFlag(stops)
            break
          }
          i += 8
        }
        continue scanning
      case .inLine:
        place = byte == carriageReturn ? .behindReturn : .ready
      case .lineStart:
        place = byte == carriageReturn ? .behindEmptyReturn : isValueByte(byte) ? .inLine : .ready
      case .firstByte:
        // An empty line before the request line is refused, not skipped: the gate reads nothing twice.
        place = isValueByte(byte) ? .inLine : .ready
      case .behindReturn:
        place = byte == lineFeed ? .lineStart : .ready
      case .behindEmptyReturn, .ready:
        place = .ready
      }
      if place == .ready { break scanning }
      i += 1
    }
    if i >= limits.maxHeadBytes { place = .ready }
    position = UInt32(truncatingIfNeeded: i)
    self.place = place
    return place == .ready ? .ready : .incomplete
  }
}
