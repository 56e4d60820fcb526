// IP addresses and networks, read from text with no second spelling. Nothing is resolved.

/// An address as 128 bits; IPv4 as `::ffff:a.b.c.d`, so that both spellings of one address are the same.
public struct IPAddress: Sendable, Equatable, BitwiseCopyable {
  let high: UInt64
  let low: UInt64

  init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Whether it is one of IPv4, mapped or not.
  public var isVersion4: Bool { high == 0 && low >> 32 == 0xFFFF }

  /// Reads `a.b.c.d` (no leading zeros) or an IPv6 address (RFC 4291 section 2.2); nil for anything else: a port,
  /// brackets, a zone. Allocates nothing.
  public init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    // 45 bytes is the longest spelling.
    guard range.count <= 45, !range.isEmpty else { return nil }
    var hasColon = false
    for index in range where bytes[index] == UInt8(ascii: ":") { hasColon = true }
    if hasColon {
      guard let groups = Self.groups(bytes, range) else { return nil }
      self = groups
    } else {
      guard let quad = Self.dottedQuad(bytes, range) else { return nil }
      self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(quad))
    }
  }

  /// Reads a text, for those who may allocate.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    self.init(bytes.span, 0..<bytes.count)
  }

  private static func dottedQuad(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt32? {
    var value: UInt32 = 0
    var parts = 0
    var at = range.lowerBound
    while true {
      var number: UInt32 = 0
      let start = at
      while at < range.upperBound, isDigit(bytes[at]), at - start < 3 {
        number = number * 10 + UInt32(bytes[at] & 0x0F)
        at += 1
      }
      // `010` is 8 to some and 10 to others.
      guard at > start, number <= 255, at - start == 1 || bytes[start] != UInt8(ascii: "0") else { return nil }
      value = value << 8 | number
      parts += 1
      if at == range.upperBound { return parts == 4 ? value : nil }
      guard bytes[at] == UInt8(ascii: "."), parts < 4 else { return nil }
      at += 1
    }
  }

  private static func groups(_ bytes: Span<UInt8>, _ range: Range<Int>) -> IPAddress? {
    let colon = UInt8(ascii: ":")
    var groups = InlineArray<8, UInt16>(repeating: 0)
    var count = 0
    var gap = -1
    var at = range.lowerBound
    if range.count >= 2, bytes[at] == colon {
      guard bytes[at + 1] == colon else { return nil }
      gap = 0
      at += 2
    }
    while at < range.upperBound {
      var number: UInt32 = 0
      let start = at
      while at < range.upperBound, hexadecimalValue(bytes[at]) < 16, at - start < 4 {
        number = number << 4 | UInt32(hexadecimalValue(bytes[at]))
        at += 1
      }
      if at < range.upperBound, bytes[at] == UInt8(ascii: ".") {
        guard count <= 6, let quad = dottedQuad(bytes, start..<range.upperBound) else { return nil }
        groups[count] = UInt16(quad >> 16)
        groups[count + 1] = UInt16(quad & 0xFFFF)
        count += 2
        break
      }
      guard at > start, count < 8 else { return nil }
      groups[count] = UInt16(number)
      count += 1
      if at == range.upperBound { break }
      guard bytes[at] == colon else { return nil }
      at += 1
      guard at < range.upperBound else { return nil }
      if bytes[at] == colon {
        guard gap < 0 else { return nil }
        gap = count
        at += 1
      }
    }
    guard gap < 0 ? count == 8 : count <= 7 else { return nil }
    var high: UInt64 = 0
    var low: UInt64 = 0
    let shift = 8 - count
    for index in 0..<8 {
      let group: UInt16 =
        if gap < 0 || index < gap { groups[index] } else if index < gap + shift { 0 } else { groups[index - shift] }
      if index < 4 { high = high << 16 | UInt64(group) } else { low = low << 16 | UInt64(group) }
    }
    return IPAddress(high: high, low: low)
  }
}

/// A network: an address and the length of its prefix.
public struct Network: Sendable, Equatable, BitwiseCopyable {
  let address: IPAddress
  let highMask: UInt64
  let lowMask: UInt64
  let isVersion4: Bool

  /// Reads `a.b.c.d/n`, `v6/n`, or an address alone. Nil for anything else, and where bits stand behind the prefix.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = IPAddress(String(parts[0])) else { return nil }
    let isDotted = !parts[0].utf8.contains(UInt8(ascii: ":"))
    var length = isDotted ? 32 : 128
    if parts.count == 2 {
      guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy(isDigit),
        parts[1] == "0" || parts[1].utf8.first != UInt8(ascii: "0"), let given = Int(parts[1]), given <= length
      else { return nil }
      length = given
    }
    let bits = isDotted ? length + 96 : length
    highMask = bits >= 64 ? .max : bits == 0 ? 0 : ~(.max >> UInt64(bits))
    lowMask = bits >= 128 ? .max : bits <= 64 ? 0 : ~(.max >> UInt64(bits - 64))
    guard address.high & ~highMask == 0, address.low & ~lowMask == 0 else { return nil }
    self.address = address
    isVersion4 = address.isVersion4 && bits >= 96
  }

  /// Whether the address lies in it. An IPv4 address lies in no network of IPv6: `::/0` says all of IPv6.
  @inline(__always)
  public func contains(_ other: IPAddress) -> Bool {
    other.isVersion4 == isVersion4 && other.high & highMask == address.high && other.low & lowMask == address.low
  }
}
