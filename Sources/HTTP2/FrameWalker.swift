// Walks over a connection's bytes frame by frame (RFC 9113, section 4.1), so that the protocol engine is given no more than
// one frame at a time: its kind is counted before the engine works on it, and a head can be answered before the next one
// is read. No verdict on a frame's form: that is the engine's.

/// A frame's header.
struct FrameHeader: Equatable {
  /// RFC 9113, section 6.
  enum Kind: UInt8 {
    case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate, continuation
  }

  var length = 0
  var type: UInt8 = 0
  var flags: UInt8 = 0
  var stream: UInt32 = 0

  /// Nil for a type that RFC 9113 does not name.
  var kind: Kind? { Kind(rawValue: type) }
  var isAcknowledgement: Bool { flags & 0x1 != 0 }
  var endsStream: Bool { flags & 0x1 != 0 }
  var endsHeaders: Bool { flags & 0x4 != 0 }
}

/// The place of one connection's input. A few bytes.
struct FrameWalker {
  /// A part of the input, up to the end of a frame or of what is here.
  struct Step {
    var end: Int
    /// Set once a frame, when its nine bytes are here.
    var begun: FrameHeader?
    /// Set with a frame's last byte.
    var completed: FrameHeader?
  }

  static var prefaceLength: Int { 24 }
  private static var headerLength: Int { 9 }

  /// The nine bytes of the last header that was complete.
  private(set) var rawHeader = InlineArray<9, UInt8>(repeating: 0)

  private var prefaceLeft = FrameWalker.prefaceLength
  private var headerBytes = 0
  private var header = FrameHeader()
  private var payloadLeft = 0
  /// A field block has begun and goes on in CONTINUATION frames.
  private var isInsideBlock = false

  var isInsidePreface: Bool { prefaceLeft > 0 }

  /// Whether a part of a frame's header is here.
  var isInsideHeader: Bool { 1..<Self.headerLength ~= headerBytes }

  /// Whether bytes must follow: the preface, a frame or a field block has begun and has not ended.
  var isMidway: Bool {
    headerBytes > 0 || isInsideBlock || prefaceLeft > 0 && prefaceLeft < FrameWalker.prefaceLength
  }

  /// - Parameter start: below `bytes.count`. The step ends behind it.
  mutating func step(_ bytes: Span<UInt8>, from start: Int) -> Step {
    if prefaceLeft > 0 {
      let count = min(prefaceLeft, bytes.count - start)
      prefaceLeft -= count
      return Step(end: start + count)
    }
    var step = Step(end: start)
    if headerBytes < Self.headerLength {
      while headerBytes < Self.headerLength, step.end < bytes.count {
        take(bytes[step.end])
        step.end += 1
      }
      guard headerBytes == Self.headerLength else { return step }
      payloadLeft = header.length
      step.begun = header
      // The caller judges what has begun before its payload goes on.
      if payloadLeft > 0 { return step }
    } else {
      let count = min(payloadLeft, bytes.count - step.end)
      payloadLeft -= count
      step.end += count
    }
    if payloadLeft == 0 {
      step.completed = header
      if header.kind == .headers || header.kind == .continuation { isInsideBlock = !header.endsHeaders }
      header = FrameHeader()
      headerBytes = 0
    }
    return step
  }

  private mutating func take(_ byte: UInt8) {
    rawHeader[headerBytes] = byte
    switch headerBytes {
    case 0...2: header.length = header.length << 8 | Int(byte)
    case 3: header.type = byte
    case 4: header.flags = byte
    case 5: header.stream = UInt32(byte & 0x7F)
    default: header.stream = header.stream << 8 | UInt32(byte)
    }
    headerBytes += 1
  }
}
