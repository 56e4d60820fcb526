// A socket address as the kernel takes it, and which part of the world it lies in.

import EventLoops
import Glibc
import POSIX

/// A `sockaddr_in`, `sockaddr_in6` or `sockaddr_un`, in the bytes of this machine.
struct SocketAddress: Sendable, Equatable {
  let bytes: [UInt8]

  /// Whether nobody on the public Internet has this address: those that the registries of RFC 6890 call not globally
  /// reachable (private, loopback, link-local, shared, documentation, benchmarking), and paths.
  var isPrivate: Bool {
    // The family is the first two bytes, the address of a sockaddr_in the bytes from 4 on, of a sockaddr_in6 from 8 on.
    guard bytes.count >= 2 else { return false }
    switch Int32(bytes[0]) | Int32(bytes[1]) << 8 {
    case AF_UNIX: return true
    case AF_INET: return bytes.count >= 8 && Self.isPrivate(v4: bytes[4..<8])
    case AF_INET6: return bytes.count >= 24 && Self.isPrivate(v6: bytes[8..<24])
    default: return false
    }
  }

  private static func isPrivate(v4 address: ArraySlice<UInt8>) -> Bool {
    let word = address.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let blocks: [(base: UInt32, bits: UInt32)] = [
      (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16), (0xAC10_0000, 12), (0xC000_0000, 24),
      (0xC000_0200, 24), (0xC0A8_0000, 16), (0xC612_0000, 15), (0xC633_6400, 24), (0xCB00_7100, 24),
    ]
    return blocks.contains { (word ^ $0.base) >> (32 - $0.bits) == 0 }
  }

  private static func isPrivate(v6 address: ArraySlice<UInt8>) -> Bool {
    let bytes = Array(address)
    // ::ffff:0:0/96 is an IPv4 address.
    if bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xFF, bytes[11] == 0xFF { return isPrivate(v4: bytes[12...]) }
    let isLoopback = bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1
    return isLoopback || bytes[0] & 0xFE == 0xFC || bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
      || bytes.starts(with: [0x20, 0x01, 0x0D, 0xB8])
  }
}
