// The sizes that a request head may have. Numbers only: who enforces them is RequestHead and HeadScanner.

/// The largest request head that is accepted. Both are enforced before memory grows with the input.
public struct HeadLimits: Equatable, Sendable {
  /// Bytes of a whole head, request line up to and with the empty line's CRLF. A longer one is refused: with 414 where they
  /// end within the request target (RFC 9112, section 3), which has no bound of its own, else with 431.
  public let maxHeadBytes: Int
  /// Header lines. One more is refused with 431: bounds the memory and the time that a head of `:` lines costs.
  public let maxFieldLines: Int

  /// Values out of range are brought into it: `maxHeadBytes` 1 to 16 MiB, `maxFieldLines` 0 to
  /// `RequestHead.fieldCapacity`.
  public init(maxHeadBytes: Int = 32_768, maxFieldLines: Int = 128) {
    let ceiling = 16_777_216
    self.maxHeadBytes = min(max(maxHeadBytes, 1), ceiling)
    self.maxFieldLines = min(max(maxFieldLines, 0), RequestHead.fieldCapacity)
  }
}
