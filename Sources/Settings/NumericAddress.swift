// Numeric IPv4 and IPv6 addresses as text, by the C library's rules. `unsafe` is here because these are C calls.

import Glibc

/// The four bytes of a strict dotted quad (no leading zeros, no short forms), or nil.
func ipv4Bytes(_ text: some StringProtocol) -> [UInt8]? {
  numericAddress(text, family: AF_INET, byteCount: 4)
}

/// The 16 bytes of an IPv6 address (RFC 4291 section 2.2, dotted tail included, no zone), or nil.
func ipv6Bytes(_ text: some StringProtocol) -> [UInt8]? {
  numericAddress(text, family: AF_INET6, byteCount: 16)
}

/// 16 bytes as RFC 5952 text: lower case, the longest run of zero groups as `::`, IPv4 in IPv6 with dots.
func ipv6Text(_ bytes: [UInt8]) -> String {
  precondition(bytes.count == 16)
  var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
  // Safe: inet_ntop reads 16 bytes, as counted above, and writes at most the array's count, with a NUL.
  unsafe bytes.withUnsafeBytes { address in
    unsafe text.withUnsafeMutableBufferPointer { out in
      _ = unsafe inet_ntop(AF_INET6, address.baseAddress, out.baseAddress, socklen_t(out.count))
    }
  }
  return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

private func numericAddress(_ text: some StringProtocol, family: Int32, byteCount: Int) -> [UInt8]? {
  // A NUL would end the text for C, and hide what stands behind it.
  guard !text.utf8.contains(0) else { return nil }
  var bytes = [UInt8](repeating: 0, count: byteCount)
  // Safe: inet_pton reads the text up to its NUL and writes 4 bytes for AF_INET, 16 for AF_INET6: the array's count.
  let result = unsafe text.withCString { text in
    unsafe bytes.withUnsafeMutableBytes { unsafe inet_pton(family, text, $0.baseAddress) }
  }
  return result == 1 ? bytes : nil
}
