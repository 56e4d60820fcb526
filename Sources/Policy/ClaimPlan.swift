// Which claims a file asks for, so that a token's reader keeps these and no others.

/// A claim's path: `a.b` walks objects.
public struct ClaimPath: Sendable, Hashable {
  /// As the file writes it.
  public let text: String
  /// The members' names, one or more, none empty.
  public let names: [[UInt8]]

  /// Reads a path: names without control bytes, separated by dots, none empty, at most 16 and 256 bytes together.
  public init?(_ text: String) {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Array.init)
    guard (1...16).contains(parts.count), text.utf8.count <= 256, parts.allSatisfy({ !$0.isEmpty }),
      text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
    else { return nil }
    self.text = text
    names = parts
  }
}

/// The claims that are kept with an identity: a slot each. A claim is looked for at the top of the payload first, and
/// where nothing is found at its path there, under `custom`.
public struct ClaimPlan: Sendable, Equatable {
  /// The most slots.
  public static let mostSlots = 256

  /// A slot each, no path twice.
  public let paths: [ClaimPath]
  /// Names the plan: a record that was made for another cannot be read by this one.
  public let fingerprint: UInt64

  public init(_ paths: [ClaimPath]) {
    self.paths = paths
    var bytes: [UInt8] = []
    for path in paths {
      bytes += path.text.utf8
      bytes.append(0)
    }
    fingerprint = TextHash.of(bytes.span, 0..<bytes.count, ignoringCase: false)
  }

  /// The slot of a path.
  public func slot(of path: String) -> Int? { paths.firstIndex { $0.text == path } }
}
