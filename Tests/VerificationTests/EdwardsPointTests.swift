// Which encoded points may be public keys of Ed25519 and Ed448.

import DevIssuer
import Testing
import Token

@testable import Verification

@Suite struct EdwardsPointTests {
  private static let p25519 = [UInt8]([0xED]) + [UInt8](repeating: 0xFF, count: 30) + [0x7F]
  private static let p448 =
    [UInt8](repeating: 0xFF, count: 28) + [0xFE] + [UInt8](repeating: 0xFF, count: 27) + [0]

  private static func small(_ y: UInt8, _ curve: Curve) -> [UInt8] {
    [y] + [UInt8](repeating: 0, count: curve == .ed448 ? 56 : 31)
  }

  /// The prime of a curve, with another lowest byte.
  private static func near(_ curve: Curve, lowest: UInt8) -> [UInt8] {
    [lowest] + (curve == .ed448 ? p448 : p25519).dropFirst()
  }

  /// The point with the other x.
  private static func mirrored(_ point: [UInt8]) -> [UInt8] { point.dropLast() + [point.last! ^ 0x80] }

  @Test(arguments: [
    (Curve.ed25519, [3, 4, 5, 6, 9, 10], [2, 7, 8, 11]), (.ed448, [3, 4, 5, 7, 8, 9], [2, 6, 10, 11]),
  ])
  func `a y on the curve is taken and one beside it is not`(_ curve: Curve, _ on: [UInt8], _ off: [UInt8]) {
    for y in on {
      #expect(EdwardsPoint.isSound(Self.small(y, curve), on: curve))
      #expect(EdwardsPoint.isSound(Self.mirrored(Self.small(y, curve)), on: curve))
    }
    for y in off {
      #expect(!EdwardsPoint.isSound(Self.small(y, curve), on: curve))
      #expect(!EdwardsPoint.isSound(Self.mirrored(Self.small(y, curve)), on: curve))
    }
  }

  @Test(arguments: [Curve.ed25519, .ed448])
  func `points of small order and second spellings are refused`(_ curve: Curve) {
    let lowest: UInt8 = curve == .ed448 ? 0xFF : 0xED
    // 0, 1, p - 1, then p and what is above it: other spellings of 0, 1 and points that are good.
    var points = [Self.small(0, curve), Self.small(1, curve), Self.near(curve, lowest: lowest - 1)]
    points.append(Self.near(curve, lowest: lowest))
    if curve == .ed25519 {
      points += (0xEE...0xFF).map { Self.near(curve, lowest: $0) }
      // Of order 8, little-endian.
      points.append(Wycheproof.bytes("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
      points.append(Wycheproof.bytes("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
    } else {
      // Any bit of the last byte but the sign is above the field.
      for bit in 0..<7 { points.append([3] + [UInt8](repeating: 0, count: 55) + [1 << bit]) }
    }
    for point in points {
      #expect(!EdwardsPoint.isSound(point, on: curve), "\(point)")
      #expect(!EdwardsPoint.isSound(Self.mirrored(point), on: curve), "\(point)")
    }
  }

  @Test func `another length or curve is refused`() {
    #expect(!EdwardsPoint.isSound([], on: .ed25519))
    #expect(!EdwardsPoint.isSound(Self.small(3, .ed25519), on: .ed448))
    #expect(!EdwardsPoint.isSound(Self.small(3, .ed448), on: .ed25519))
    #expect(!EdwardsPoint.isSound(Self.small(3, .ed25519), on: .p256))
  }

  @Test func `fresh keys are taken`() throws {
    for _ in 0..<50 {
      for algorithm in [SigningAlgorithm.ed25519, .ed448] {
        let jwk = try SigningKey.generate(algorithm).jwk()
        #expect(
          try Fixture.read("{\"keys\":[\(jwk)]}", issuer: Fixture.other, algorithms: Fixture.allAlgorithms).keys.count
            == 1)
      }
    }
  }

  @Test(arguments: [0, 1, 2] as [UInt8])
  func `a JWK with such a point is skipped as a point`(_ y: UInt8) {
    let x = Base64URLEncoding.encode(Self.small(y, .ed25519))
    let text = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"alg\":\"EdDSA\",\"x\":\"\(x)\"}]}"
    #expect(
      throws: JWKSetError.noUsableKey([SkippedKey(position: 0, kid: Array("k".utf8), refusal: .point)])
    ) { try Fixture.read(text, issuer: Fixture.other, algorithms: Fixture.allAlgorithms) }
  }
}
