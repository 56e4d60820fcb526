// A SHA-256 digest as a plain value: of a key, of a state file.
// This is the only file that calls SHA-256. It holds no keys and judges nothing.
//
// Invariant: the state of a running digest is a local value; no pointer to it or to the input outlives one C call.

import COpenSSL

/// 32 bytes of SHA-256 (FIPS 180-4), comparable in four steps.
public struct SHA256Digest: Hashable, Sendable, BitwiseCopyable {
  /// The digest's bytes in their order, eight a word, big-endian.
  public let words: (UInt64, UInt64, UInt64, UInt64)

  init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  public static func == (left: SHA256Digest, right: SHA256Digest) -> Bool { left.words == right.words }

  public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

  /// The digest's bytes in their order.
  package var bytes: InlineArray<32, UInt8> {
    let words: InlineArray<4, UInt64> = [words.0, words.1, words.2, words.3]
    var bytes = InlineArray<32, UInt8>(repeating: 0)
    for index in 0..<32 { bytes[index] = UInt8(truncatingIfNeeded: words[index / 8] >> UInt64(56 - index % 8 * 8)) }
    return bytes
  }

  /// The digest of one run of bytes.
  public init(of bytes: Span<UInt8>) {
    var running = RunningDigest()
    running.update(bytes)
    words = running.finish()
  }
}

/// SHA-256 over several runs of bytes; a value on the stack.
private struct RunningDigest {
  private var state = SHA256_CTX()

  init() {
    // The three functions report failure for null pointers alone (OpenSSL crypto/sha/sha256.c).
    _ = unsafe copenssl_sha256_init(&state)
  }

  mutating func update(_ bytes: Span<UInt8>) {
    // The span lends exactly `count` bytes for the call.
    unsafe bytes.withUnsafeBufferPointer { buffer in
      _ = unsafe copenssl_sha256_update(&state, buffer.baseAddress, buffer.count)
    }
  }

  mutating func finish() -> (UInt64, UInt64, UInt64, UInt64) {
    var out = InlineArray<32, UInt8>(repeating: 0)
    var span = out.mutableSpan
    // SHA256_Final writes 32 bytes, which is what the array holds.
    unsafe span.withUnsafeMutableBufferPointer { buffer in
      _ = unsafe copenssl_sha256_final(buffer.baseAddress, &state)
    }
    var words: InlineArray<4, UInt64> = [0, 0, 0, 0]
    for index in 0..<32 { words[index / 8] = words[index / 8] << 8 | UInt64(out[index]) }
    return (words[0], words[1], words[2], words[3])
  }
}
