// Writes identity records (IdentityRecord.swift) into one buffer that is used again and again. Whoever reads a token
// fills it: `begin`, the texts, then the claims of the plan slot by slot.

/// One record under construction. What would make it longer than 16 KiB is marked as cut, which no selector takes for
/// something else and no header leaves out in silence.
public struct IdentityRecordWriter: Sendable {
  /// The record, complete after the last claim.
  public private(set) var bytes: [UInt8] = []

  /// Whether something of the last record did not fit.
  public private(set) var isCut = false

  /// Where the open array's count is, and how many values it has.
  private var array: (at: Int, count: Int)?
  private var isArrayCut = false
  /// Room for a mark a slot.
  private static let limit = IdentityRecord.maximumBytes - ClaimPlan.mostSlots - 1

  public init() { bytes.reserveCapacity(1024) }

  /// Starts a record in place of the last.
  ///
  /// - Parameters:
  ///   - issuer: the issuer's place in the definitions' list.
  ///   - issuedAt: `iat`, seconds since 1970.
  ///   - tokenDigest: the SHA-256 of the token's bytes.
  public mutating func begin(
    plan: ClaimPlan, isPerson: Bool, issuer: Int, issuedAt: Double, tokenDigest: Span<UInt8>
  ) {
    bytes.removeAll(keepingCapacity: true)
    array = nil
    isCut = false
    bytes.append(IdentityRecord.format)
    bytes.append(isPerson ? 0 : 1)
    append16(issuer)
    append64(plan.fingerprint)
    append64(issuedAt.bitPattern)
    for index in 0..<32 { bytes.append(index < tokenDigest.count ? tokenDigest[index] : 0) }
    for _ in 0..<20 { bytes.append(0) }
    append16(plan.paths.count)
    for _ in 0..<2 * plan.paths.count { bytes.append(0) }
  }

  /// Keeps one of the five texts: a string claim, unescaped. Not called for a claim that is absent or no string.
  public mutating func set(_ text: IdentityRecord.Text, _ value: Span<UInt8>) {
    guard bytes.count + value.count <= Self.limit else {
      isCut = true
      return
    }
    let at = IdentityRecord.textsAt + 4 * text.rawValue
    put16(bytes.count, at: at)
    put16(value.count, at: at + 2)
    append(value)
  }

  /// Starts the value of a claim that is present: exactly one value follows, and it may be an array.
  public mutating func beginClaim(_ slot: Int) {
    put16(bytes.count, at: IdentityRecord.slotsAt + 2 * slot)
  }

  /// A string, unescaped.
  public mutating func text(_ value: Span<UInt8>) {
    guard hasRoom(3 + value.count) else { return }
    bytes.append(IdentityRecord.Tag.text.rawValue)
    append16(value.count)
    append(value)
  }

  /// A number as the JSON text writes it.
  public mutating func number(_ value: Span<UInt8>) {
    guard hasRoom(5 + DecimalNumber.mostDigits + 5 + value.count) else { return }
    let start = bytes.count
    bytes.append(IdentityRecord.Tag.number.rawValue)
    append16(0)
    guard DecimalNumber.appendCanonical(value, 0..<value.count, to: &bytes) else {
      bytes.removeLast(bytes.count - start)
      bytes.append(IdentityRecord.Tag.other.rawValue)
      return
    }
    put16(bytes.count - start - 3, at: start + 1)
    append16(value.count)
    append(value)
  }

  public mutating func boolean(_ value: Bool) {
    guard hasRoom(1) else { return }
    bytes.append((value ? IdentityRecord.Tag.yes : .no).rawValue)
  }

  /// Null, an object, or an array inside an array.
  public mutating func other() {
    guard hasRoom(1) else { return }
    bytes.append(IdentityRecord.Tag.other.rawValue)
  }

  /// An array; its members follow, then ``endArray()``. Not inside another.
  public mutating func beginArray() {
    guard hasRoom(3) else { return }
    bytes.append(IdentityRecord.Tag.array.rawValue)
    array = (bytes.count, 0)
    isArrayCut = false
    append16(0)
  }

  public mutating func endArray() {
    guard let array else { return }
    put16(array.count, at: array.at)
    self.array = nil
  }

  /// Counts a member of the open array; marks as cut what does not fit.
  private mutating func hasRoom(_ count: Int) -> Bool {
    let fits = bytes.count + count <= Self.limit
    if !fits { isCut = true }
    if array != nil {
      // Behind what was cut nothing follows: the mark says that more was there.
      guard !isArrayCut else { return false }
      array?.count += 1
      if !fits {
        isArrayCut = true
        bytes.append(IdentityRecord.Tag.cut.rawValue)
      }
    } else if !fits {
      bytes.append(IdentityRecord.Tag.cut.rawValue)
    }
    return fits
  }

  private mutating func append(_ value: Span<UInt8>) {
    for index in value.indices { bytes.append(value[index]) }
  }

  private mutating func append16(_ value: Int) {
    bytes.append(UInt8(truncatingIfNeeded: value))
    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
  }

  private mutating func append64(_ value: UInt64) {
    for index in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
  }

  private mutating func put16(_ value: Int, at: Int) {
    bytes[at] = UInt8(truncatingIfNeeded: value)
    bytes[at + 1] = UInt8(truncatingIfNeeded: value >> 8)
  }
}
