// Why a request is denied: the one flat list, and its words. What each reason means for HTTP lives elsewhere.

/// Why a request is denied. A verdict without a reason is an allow, and only a full check ends so.
///
/// `name` goes to the log, the metrics and, where the settings say so, to the client.
public enum Reason: UInt8, CaseIterable, Sendable {
  case missing
  case ambiguous
  case malformed
  case tooLarge
  case algorithm
  case keyUnknown
  case signature
  case issuer
  case audience
  case expired
  case notYetValid
  case issuedInFuture
  case tokenType
  case identity
  case notAllowed
  case wrongHost
  case revoked
  case unknownApplication
  case keysUnavailable
  case overloaded

  /// The reason's name in logs and metrics; it never changes.
  public var name: StaticString {
    switch self {
    case .missing: "missing"
    case .ambiguous: "ambiguous"
    case .malformed: "malformed"
    case .tooLarge: "too_large"
    case .algorithm: "algorithm"
    case .keyUnknown: "key_unknown"
    case .signature: "signature"
    case .issuer: "issuer"
    case .audience: "audience"
    case .expired: "expired"
    case .notYetValid: "not_yet_valid"
    case .issuedInFuture: "issued_in_future"
    case .tokenType: "token_type"
    case .identity: "identity"
    case .notAllowed: "not_allowed"
    case .wrongHost: "wrong_host"
    case .revoked: "revoked"
    case .unknownApplication: "unknown_application"
    case .keysUnavailable: "keys_unavailable"
    case .overloaded: "overloaded"
    }
  }

  /// One sentence for an operator. It holds nothing of the token.
  public var explanation: StaticString {
    switch self {
    case .missing: "The request has no assertion, neither in the header nor in the cookie."
    case .ambiguous: "The request has more than one assertion."
    case .malformed: "The assertion is no well-formed compact JWS, or its JSON or its header is not acceptable."
    case .tooLarge: "The assertion exceeds 8 KiB, or its header 1 KiB."
    case .algorithm: "The alg of the assertion is not the issuer's, or not the one of its key."
    case .keyUnknown: "The kid of the assertion names no key of the issuer."
    case .signature: "The signature does not verify."
    case .issuer: "The iss claim is not the expected issuer."
    case .audience: "The aud claim does not hold the application's audience."
    case .expired: "The assertion has expired, or has no usable exp claim."
    case .notYetValid: "The nbf claim lies in the future, or is not usable."
    case .issuedInFuture: "The iat claim lies in the future, or is missing or not usable."
    case .tokenType: "The typ of the header is not JWT, or the type claim is not app."
    case .identity: "The claims name no acceptable user or service."
    case .wrongHost: "The request is for a host that is none of the application's."
    case .notAllowed: "The identity is not among those that are allowed."
    case .revoked: "The assertion or the identity has been revoked."
    case .unknownApplication: "The audience in the path is none that is configured."
    case .keysUnavailable: "There are no trustworthy keys to decide with."
    case .overloaded: "The gateway has no capacity left to verify the signature."
    }
  }
}
