// Which addresses are of a private network.

import Glibc
import Testing

@testable import HTTPFetch

private func bytes<Value>(family: Int32, zeros: Int, of value: inout Value) -> [UInt8] {
  let address = unsafe withUnsafeBytes(of: &value) { unsafe Array($0) }
  return [UInt8(family)] + [UInt8](repeating: 0, count: zeros) + address
}

private func address(_ text: String) -> SocketAddress? {
  // sockaddr_in and sockaddr_in6 of Linux: family, port, (flow,) address.
  var v4 = in_addr()
  if unsafe inet_pton(AF_INET, text, &v4) == 1 {
    return SocketAddress(bytes: bytes(family: AF_INET, zeros: 3, of: &v4))
  }
  var v6 = in6_addr()
  guard unsafe inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
  return SocketAddress(bytes: bytes(family: AF_INET6, zeros: 7, of: &v6))
}

@Test(arguments: [
  ("10.0.0.1", true), ("10.255.255.255", true), ("11.0.0.0", false), ("9.255.255.255", false), ("172.16.0.1", true),
  ("172.31.255.255", true), ("172.32.0.0", false), ("172.15.0.1", false), ("192.168.1.1", true), ("192.169.0.1", false),
  ("127.0.0.1", true), ("127.255.0.9", true), ("169.254.1.1", true), ("100.64.0.1", true), ("100.128.0.1", false),
  ("192.0.2.2", true), ("198.51.100.1", true), ("203.0.113.9", true), ("198.18.0.1", true), ("198.20.0.1", false),
  ("8.8.8.8", false), ("1.1.1.1", false), ("0.0.0.0", false), ("255.255.255.255", false), ("::1", true), ("::", false),
  ("fd00::2", true), ("fc12::1", true), ("fe80::1", true), ("fec0::1", false), ("2001:db8::1", true),
  ("2606:4700::1111", false), ("::ffff:10.0.0.1", true), ("::ffff:8.8.8.8", false), ("::2", false),
]) func `an address is private where nobody on the Internet has it`(_ text: String, _ isPrivate: Bool) throws {
  #expect(try #require(address(text)).isPrivate == isPrivate)
}

@Test func `what is no whole address is not private`() {
  #expect(!SocketAddress(bytes: []).isPrivate)
  #expect(!SocketAddress(bytes: [2, 0, 0, 0, 10]).isPrivate)
  #expect(!SocketAddress(bytes: [10, 0, 0, 0, 0, 0, 0, 0]).isPrivate)
}
