// What may be answered to a question of Envoy's. Each decision says what it is: there is no value of these types that would
// be written as an empty message, which Envoy takes for an allow (code 0 is protobuf's default).

/// The outcome of a question. It has no default, and nothing but `allow` is ever written with code 0.
public enum CheckDecision: Equatable, Sendable {
  case allow
  case deny(CheckDenial)
}

/// A denial: what Envoy is told, and what it tells its client.
public struct CheckDenial: Equatable, Sendable {
  public let code: DenialCode
  public let status: DenialStatus
  /// The place of the body in the reply's text. UTF-8; may be empty.
  public let body: Range<Int>

  public init(code: DenialCode, status: DenialStatus, body: Range<Int> = 0..<0) {
    self.code = code
    self.status = status
    self.body = body
  }
}

/// The codes of google.rpc.Code that deny. None of them is 0, which is OK.
public enum DenialCode: UInt8, CaseIterable, Equatable, Sendable {
  /// The question could not be read.
  case invalidArgument = 3
  /// There is an identity, and it may not in.
  case permissionDenied = 7
  /// The reply could not be written.
  case `internal` = 13
  /// Nothing can be decided: no keys, no capacity.
  case unavailable = 14
  /// No token, or one that does not hold.
  case unauthenticated = 16
}

/// The status that Envoy gives its client with a denial: 300 to 599, never one that says that all is well.
public struct DenialStatus: Equatable, Sendable {
  public let code: UInt16

  /// Nil outside of 300 to 599.
  public init?(_ code: UInt16) {
    guard (300...599).contains(code) else { return nil }
    self.code = code
  }

  private init(known code: UInt16) { self.code = code }

  public static let badRequest = DenialStatus(known: 400)
  public static let unauthorized = DenialStatus(known: 401)
  public static let forbidden = DenialStatus(known: 403)
  public static let internalError = DenialStatus(known: 500)
  public static let unavailable = DenialStatus(known: 503)
}

/// One entry of `dynamic_metadata`, for Envoy's access log and its other filters.
public struct MetadataField: Equatable, Sendable {
  public enum Value: Equatable, Sendable {
    /// The text's place in the reply's text: bytes from 0x20 to 0x7E.
    case text(Range<Int>)
    /// Finite.
    case number(Double)
  }

  /// The key's place in the reply's text: bytes from 0x20 to 0x7E, at least one.
  public let key: Range<Int>
  public let value: Value

  public init(key: Range<Int>, value: Value) {
    self.key = key
    self.value = value
  }
}
