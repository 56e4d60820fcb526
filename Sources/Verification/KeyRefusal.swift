// Why a key, or a whole key set, is not used: two closed lists with a sentence each for the log. Nothing is judged here.

/// Why one key of a set was skipped.
public enum KeyRefusal: UInt8, CaseIterable, Sendable {
  case notAnObject
  case symmetric
  case privatePart
  case kid
  case keyType
  case use
  case keyOperations
  case algorithmUnknown
  case algorithmMisfit
  case algorithmNotIssuers
  case algorithmUndetermined
  case modulus
  case modulusSize
  case modulusWeak
  case exponent
  case curve
  case point
  case unusable
  case duplicate

  /// A secret has become public, or the issuer's set is not what it should be: somebody must look at it.
  public var isAlarming: Bool { self == .symmetric || self == .privatePart }

  /// One sentence for an operator.
  public var explanation: StaticString {
    switch self {
    case .notAnObject: "The key is no JSON object."
    case .symmetric: "The key is symmetric (kty oct): whoever reads the set could mint tokens."
    case .privatePart: "The key holds private members: whoever reads the set can mint tokens."
    case .kid: "kid is no string of 1 to 256 bytes, or is missing beside other usable keys."
    case .keyType: "kty is missing, or none of RSA, EC and OKP."
    case .use: "use is not sig."
    case .keyOperations: "key_ops does not hold verify."
    case .algorithmUnknown: "alg names no algorithm that is supported."
    case .algorithmMisfit: "alg does not fit the type or the curve of the key."
    case .algorithmNotIssuers: "alg is none of the issuer's algorithms."
    case .algorithmUndetermined: "There is no alg, and none of the issuer's algorithms fits the key."
    case .modulus: "n is missing, not base64url, has more than one leading zero, or is even."
    case .modulusSize: "The RSA modulus has fewer than 2048 or more than 8192 bits."
    case .modulusWeak: "The RSA modulus has the fingerprint of CVE-2017-15361 (ROCA): it can be factored."
    case .exponent: "The RSA exponent is not 65537 (nor 3, where that is allowed)."
    case .curve: "crv is missing, or none that is supported for the type of the key."
    case .point: "x or y is missing, not base64url, of the wrong length, not on the curve, or of small order."
    case .unusable: "OpenSSL does not take the key."
    case .duplicate: "Another key of the set has the same kid."
    }
  }
}

/// One key that was skipped.
public struct SkippedKey: Sendable, Equatable {
  /// Its place in the array `keys`, from 0.
  public let position: Int
  /// Its `kid`, as far as it has one that could be read; bytes of others, to be escaped in a log.
  public let kid: [UInt8]
  /// Why it was skipped.
  public let refusal: KeyRefusal

  /// The key for a line of text: its place in the set from 1, and its `kid` where it has one, printable ASCII, cut at 64
  /// characters.
  var name: String {
    var text = "key \(position + 1)"
    guard !kid.isEmpty else { return text }
    text += " ("
    for byte in kid.prefix(64) {
      text.unicodeScalars.append((0x20..<0x7F).contains(byte) ? Unicode.Scalar(byte) : "?")
    }
    return text + (kid.count > 64 ? "...)" : ")")
  }
}

/// Why a key set is refused as a whole.
public enum JWKSetError: Error, Sendable, Equatable, CustomStringConvertible {
  /// More than 256 KiB.
  case tooLarge
  /// Not JSON as strict as everywhere (SPEC.md), or no object.
  case malformed
  /// No array `keys`.
  case noKeys
  /// More than 64 keys.
  case tooManyKeys
  /// Not one key is usable: why each of them is not.
  case noUsableKey([SkippedKey])

  /// One sentence for an operator.
  public var explanation: StaticString {
    switch self {
    case .tooLarge: "The key set has more than 256 KiB."
    case .malformed: "The key set is no JSON object, or its JSON is not acceptable."
    case .noKeys: "The key set has no array keys."
    case .tooManyKeys: "The key set has more than 64 keys."
    case .noUsableKey: "No key of the key set is usable."
    }
  }

  /// ``explanation``, and where no key is usable, why each of them is not. Printable ASCII, at most some 15 KiB; keys
  /// with the same reason are named together.
  public var description: String {
    guard case .noUsableKey(let skipped) = self else { return "\(explanation)" }
    if skipped.isEmpty { return "\(explanation) It is empty." }
    var reasons: [(refusal: KeyRefusal, names: [String])] = []
    for key in skipped {
      if let place = reasons.firstIndex(where: { $0.refusal == key.refusal }) {
        reasons[place].names.append(key.name)
      } else {
        reasons.append((key.refusal, [key.name]))
      }
    }
    return reasons.reduce("\(explanation)") { text, reason in
      "\(text) \(reason.names.joined(separator: ", ")): \(reason.refusal.explanation)"
    }
  }
}
