// Reads the application's audience out of a request target. The raw bytes decide: nothing is percent-decoded and no
// dot segment is resolved, so the proxy and the gateway cannot see two different paths.

/// The audience of a target `/auth/{audience}`, up to the next `/` or `?` or the end; nil where the target is another
/// one, which includes a segment that is empty, longer than 128 bytes or holds a byte other than `A-Z a-z 0-9 . _ ~ -`
/// (so also `%`).
public func audience(inTarget target: Range<Int>, of bytes: Span<UInt8>) -> Range<Int>? {
  guard target.lowerBound >= 0, target.upperBound <= bytes.count, target.count > Words.authPrefix.count
  else { return nil }
  let start = target.lowerBound + Words.authPrefix.count
  guard matches(bytes, target.lowerBound..<start, exactly: Words.authPrefix) else { return nil }
  var i = skipNameBytes(bytes, from: start, to: target.upperBound)
  while i < target.upperBound, bytes[i] != 0x2F, bytes[i] != 0x3F {
    guard isAudienceByte(bytes[i]) else { return nil }
    i += 1
  }
  return 1...128 ~= i - start ? start..<i : nil
}

@inline(__always)
private func isAudienceByte(_ byte: UInt8) -> Bool {
  isAlphanumeric(byte) || byte == 0x2E || byte == 0x5F || byte == 0x7E || byte == 0x2D
}

/// Whether a text may be an audience: 1 to 128 bytes of RFC 3986's unreserved characters, so that it is a path segment
/// that needs no escape.
package func isAudience(_ text: String) -> Bool {
  (1...128).contains(text.utf8.count) && text.utf8.allSatisfy(isAudienceByte)
}
