// Reads the application's audience out of a request target. The raw bytes decide: nothing is percent-decoded and no
// dot segment is resolved, so the proxy and the gateway cannot see two different paths.

import HTTPSyntax

/// The audience of a target `/auth/{audience}`, up to the next `/` or `?` or the end; nil where the target is another
/// one, which includes a segment that is empty, longer than 128 bytes or holds a byte other than `A-Z a-z 0-9 . _ ~ -`
/// (so also `%`).
func audience(inTarget target: Range<Int>, of bytes: Span<UInt8>) -> Range<Int>? {
  guard target.lowerBound >= 0, target.upperBound <= bytes.count, target.count > authPrefix.count
  else { return nil }
  let start = target.lowerBound + authPrefix.count
  for index in authPrefix.indices where bytes[target.lowerBound + index] != authPrefix[index] { return nil }
  var i = skipSegmentBytes(bytes, from: start, to: target.upperBound)
  while i < target.upperBound, bytes[i] != 0x2F, bytes[i] != 0x3F {
    guard isUnreserved(bytes[i]) else { return nil }
    i += 1
  }
  return 1...128 ~= i - start ? start..<i : nil
}

/// `/auth/`
private var authPrefix: InlineArray<6, UInt8> { [0x2F, 0x61, 0x75, 0x74, 0x68, 0x2F] }
