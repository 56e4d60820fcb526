// Kleene's three-valued logic: yes, no, unknown. How a policy reads an unknown is not said here.

/// The answer to a question about data that may be missing.
public enum Ternary: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case no, unknown, yes

  /// No if one of them is; yes if both are; else unknown.
  @inline(__always)
  public func and(_ other: Ternary) -> Ternary { rawValue < other.rawValue ? self : other }

  /// Yes if one of them is; no if both are; else unknown.
  @inline(__always)
  public func or(_ other: Ternary) -> Ternary { rawValue > other.rawValue ? self : other }

  /// Yes for no and no for yes; unknown stays.
  @inline(__always)
  public var negated: Ternary {
    switch self {
    case .no: .yes
    case .unknown: .unknown
    case .yes: .no
    }
  }

  /// Yes for true, no for false.
  @inline(__always)
  public init(_ isTrue: Bool) { self = isTrue ? .yes : .no }
}
