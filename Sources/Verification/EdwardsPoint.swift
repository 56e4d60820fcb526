// Whether an encoded Edwards point may be a public key: OpenSSL takes any 32 or 57 bytes for one, and finds out at each
// verification. Arithmetic on public numbers alone, once a key that is loaded; no keys are made here.
//
// Invariant: every number is freed where it was made, also on the ways out.

import COpenSSL
import Token

/// The checks of RFC 8032 sections 5.1.3 and 5.2.3 on an encoded point, without its x.
enum EdwardsPoint {
  /// Whether `encoded` (little-endian y, the sign of x in its highest bit) is a point of the curve, written in the one way
  /// that is allowed, whose order is not small: under a key of small order anybody can sign.
  ///
  /// False for other curves, another length and when OpenSSL lacks memory.
  static func isSound(_ encoded: [UInt8], on curve: Curve) -> Bool {
    guard let shape = Shape(curve), encoded.count == shape.length else { return false }
    var bytes = encoded
    bytes[bytes.count - 1] &= 0x7F
    // Big-endian, as OpenSSL's numbers are read.
    bytes.reverse()
    let (y, prime) = (bytes, shape.prime)
    // A y of p or more is a second spelling of another point.
    guard y.lexicographicallyPrecedes(prime), !shape.smallOrder.contains(y) else { return false }
    guard let context = unsafe BN_CTX_new() else { return false }
    defer { unsafe BN_CTX_free(context) }
    unsafe BN_CTX_start(context)
    defer { unsafe BN_CTX_end(context) }
    // The context owns these numbers; when one can't be had, neither can the last.
    let square = unsafe BN_CTX_get(context)
    let numerator = unsafe BN_CTX_get(context)
    let denominator = unsafe BN_CTX_get(context)
    guard let p = unsafe BN_CTX_get(context) else { return false }
    // By the curve's equation x^2 is (1 - y^2) / (1 - d y^2), for Ed25519 with the numerator's sign turned. Both sides
    // are taken times the divisor of d, and the quotient is a square exactly where the product is. Zero is y = 1 or -1.
    let isComputed =
      unsafe BN_bin2bn(prime, Int32(prime.count), p) != nil && BN_bin2bn(y, Int32(y.count), square) != nil
      && BN_mod_sqr(square, square, p, context) == 1 && BN_sub(numerator, BN_value_one(), square) == 1
      && BN_mul_word(numerator, shape.factor) == 1 && BN_copy(denominator, square) != nil
      && BN_mul_word(denominator, shape.slope) == 1
      && (shape.isOffsetNegative ? BN_sub_word(denominator, shape.factor) : BN_add_word(denominator, shape.factor)) == 1
      && BN_mul(numerator, numerator, denominator, context) == 1 && BN_nnmod(numerator, numerator, p, context) == 1
    let isSquare = unsafe isComputed && BN_kronecker(numerator, p, context) == 1
    if !isSquare { ERR_clear_error() }
    return isSquare
  }

  /// A curve's numbers, big-endian.
  private struct Shape {
    let length: Int
    let prime: [UInt8]
    /// The y of the points whose order divides the cofactor.
    let smallOrder: [[UInt8]]
    /// The denominator is slope * y^2, plus or minus the factor.
    let slope: UInt
    let factor: UInt
    let isOffsetNegative: Bool

    init?(_ curve: Curve) {
      switch curve {
      case .ed25519:
        // p = 2^255 - 19, d = -121665 / 121666, cofactor 8.
        length = 32
        prime = [0x7F] + [UInt8](repeating: 0xFF, count: 30) + [0xED]
        smallOrder = [
          Self.number(0, length), Self.number(1, length), prime.dropLast() + [0xEC],
          [
            0x05, 0xFC, 0x53, 0x6D, 0x88, 0x02, 0x38, 0xB1, 0x39, 0x33, 0xC6, 0xD3, 0x05, 0xAC, 0xDF, 0xD5, 0xF0, 0x98,
            0xEF, 0xF2, 0x89, 0xF4, 0xC3, 0x45, 0xB0, 0x27, 0xB2, 0xC2, 0x8F, 0x95, 0xE8, 0x26,
          ],
          [
            0x7A, 0x03, 0xAC, 0x92, 0x77, 0xFD, 0xC7, 0x4E, 0xC6, 0xCC, 0x39, 0x2C, 0xFA, 0x53, 0x20, 0x2A, 0x0F, 0x67,
            0x10, 0x0D, 0x76, 0x0B, 0x3C, 0xBA, 0x4F, 0xD8, 0x4D, 0x3D, 0x70, 0x6A, 0x17, 0xC7,
          ],
        ]
        (slope, factor, isOffsetNegative) = (121_665, 121_666, true)
      case .ed448:
        // p = 2^448 - 2^224 - 1, d = -39081, cofactor 4. A leading byte for the sign alone.
        length = 57
        let ones = [UInt8](repeating: 0xFF, count: 28)
        prime = [0] + ones.dropLast() + [0xFE] + ones
        smallOrder = [Self.number(0, length), Self.number(1, length), prime.dropLast() + [0xFE]]
        (slope, factor, isOffsetNegative) = (39081, 1, false)
      case .p256, .p384, .p521: return nil
      }
    }

    private static func number(_ value: UInt8, _ length: Int) -> [UInt8] {
      [UInt8](repeating: 0, count: length - 1) + [value]
    }
  }
}
