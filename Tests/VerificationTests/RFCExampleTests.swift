// The signed examples of RFC 7515, RFC 7520 and RFC 8037. Their payloads are no claims, so header, key and signature are
// judged by the rooms' own code, and the claims are left out.

import Testing
import Token

@testable import Verification

/// One example: the algorithm, a public JWK without its kid and alg, and the compact JWS.
private struct Example: Sendable, CustomTestStringConvertible {
  let source: String
  let alg: String
  let jwk: String
  let header: String
  let payload: String
  let signature: String
  var testDescription: String { source }
}

private let bilbo =
  "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_Ns"
  + "YOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0Z"
  + "CuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"
private let frodo =
  "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlm"
  + "IHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
private let joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

private let examples: [Example] = [
  Example(
    source: "RFC 7515 appendix A.2", alg: "RS256",
    jwk: "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\""
      + "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNM"
      + "sD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtd"
      + "VMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"",
    header: "eyJhbGciOiJSUzI1NiJ9", payload: joe,
    signature:
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ"
      + "cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwus"
      + "C-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
  ),
  Example(
    source: "RFC 7515 appendix A.3", alg: "ES256",
    jwk: "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
      + "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"",
    header: "eyJhbGciOiJFUzI1NiJ9", payload: joe,
    signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
  Example(
    source: "RFC 7515 appendix A.4", alg: "ES512",
    jwk: "\"kty\":\"EC\",\"crv\":\"P-521\","
      + "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
      + "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"",
    header: "eyJhbGciOiJFUzUxMiJ9", payload: "UGF5bG9hZA",
    signature:
      "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2Y"
      + "BJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"),
  Example(
    source: "RFC 7520 section 4.1", alg: "RS256",
    jwk: "\"kty\":\"RSA\",\"use\":\"sig\",\"e\":\"AQAB\",\"n\":\"\(bilbo)\"",
    header: "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9", payload: frodo,
    signature:
      "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78"
      + "185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLu"
      + "W3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDqu"
      + "Dg"),
  Example(
    source: "RFC 7520 section 4.2", alg: "PS384",
    jwk: "\"kty\":\"RSA\",\"use\":\"sig\",\"e\":\"AQAB\",\"n\":\"\(bilbo)\"",
    header: "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9", payload: frodo,
    signature:
      "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUr"
      + "hiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjv"
      + "AA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"
  ),
  Example(
    source: "RFC 7520 section 4.3", alg: "ES512",
    jwk: "\"kty\":\"EC\",\"use\":\"sig\",\"crv\":\"P-521\","
      + "\"x\":\"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt\","
      + "\"y\":\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1\"",
    header: "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9", payload: frodo,
    signature:
      "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnA"
      + "MDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"),
  Example(
    source: "RFC 8037 appendix A.4", alg: "EdDSA",
    jwk: "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"",
    header: "eyJhbGciOiJFZERTQSJ9", payload: "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
]

@Suite struct RFCExampleTests {
  private func decoded(_ text: String) throws -> [UInt8] {
    let source = Array(text.utf8)
    var bytes = [UInt8](repeating: 0, count: source.count)
    var buffer = bytes.mutableSpan
    let count = try #require(Base64URL.decode(source.span, in: 0..<source.count, to: &buffer))
    return Array(bytes[..<count])
  }

  @Test(arguments: examples)
  fileprivate func `the example verifies, and no other payload does`(_ example: Example) throws {
    let key = try Fixture.read(
      "{\"keys\":[{\"kid\":\"k\",\"alg\":\"\(example.alg)\",\(example.jwk)}]}", issuer: Fixture.other,
      algorithms: Fixture.allAlgorithms
    ).keys[0]
    // The header goes through the token reader; whether a `kid` may be missing is for the judge to say.
    var reader = TokenReader()
    let whole = Array("\(example.header).e30.\(example.signature)".utf8)
    let reason = reader.read(whole.span)
    #expect(reason == nil)
    let algorithms = reader.algorithms
    #expect(algorithms.contains(key.algorithm))
    var verifier = try Fixture.verifier()
    let signature = try decoded(example.signature)
    let input = Array("\(example.header).\(example.payload)".utf8)
    let good = verifier.verify(signingInput: input.span, signature: signature.span, key: key)
    #expect(good)
    for at in [0, input.count / 2, input.count - 1] {
      var changed = input
      changed[at] ^= 1
      let stillGood = verifier.verify(signingInput: changed.span, signature: signature.span, key: key)
      #expect(!stillGood)
    }
  }

  @Test func `there are seven examples`() { #expect(examples.count == 7) }
}
