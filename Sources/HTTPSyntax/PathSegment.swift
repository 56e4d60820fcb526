// Which bytes need no escape in a path.

/// An unreserved character (RFC 3986 section 2.3).
@inlinable
package func isUnreserved(_ byte: UInt8) -> Bool {
  byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == 0x2E || byte == 0x5F || byte == 0x7E || byte == 0x2D
}

/// Whether a text may be an audience: 1 to 128 bytes of RFC 3986's unreserved characters, so that it is a path segment
/// that needs no escape.
package func isAudience(_ text: String) -> Bool {
  (1...128).contains(text.utf8.count) && text.utf8.allSatisfy(isUnreserved)
}

/// Skips bytes of a path segment, eight at a time, as far as whole words of them are sure to need no look; the rest is the
/// caller's. A door of its own: were `skipNameBytes` seen outside, it would not be inlined into the head's parser.
package func skipSegmentBytes(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
  skipNameBytes(bytes, from: start, to: end)
}
