import Testing
import Verification

@Suite struct DigestMemoTests {
  @Test func `the memo always says what SHA-256 says`() {
    var memo = DigestMemo()
    var random = SystemRandomNumberGenerator()
    let audiences = ["a", "ab", "b"].map { Array($0.utf8) }
    // Few tokens that share ends and places, again and again, some too short and some too long to be remembered.
    let tokens = (0..<40).map { number in
      Array(repeating: UInt8(truncatingIfNeeded: number / 4), count: [1, 15, 16, 900, 2030, 2040, 8000][number % 7])
        + Array("signature-end".utf8)
    }
    for _ in 0..<4_000 {
      let audience = audiences.randomElement(using: &random)!
      let token = tokens.randomElement(using: &random)!
      let expected = SHA256Digest(audience: audience.span, token: token.span)
      let isShort = token.count >= 16 && audience.count + token.count <= 2048
      // Asked for once, twice to be remembered, three times to be found.
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let digest = memo.digest(audience: audience.span, token: token.span)
        #expect(digest == expected)
        let short = memo.digestIfShort(audience: audience.span, token: token.span)
        #expect(short == (isShort ? expected : nil))
      }
    }
  }

  @Test func `bytes that move from the audience to the token make another digest`() {
    var memo = DigestMemo()
    let end = Array(repeating: UInt8(ascii: "x"), count: 32)
    _ = memo.digest(audience: Array("ab".utf8).span, token: (Array("c".utf8) + end).span)
    let first = memo.digest(audience: Array("ab".utf8).span, token: (Array("c".utf8) + end).span)
    let second = memo.digest(audience: Array("a".utf8).span, token: (Array("bc".utf8) + end).span)
    #expect(first != second)
  }

  @Test func `one changed byte anywhere is another token`() {
    var memo = DigestMemo()
    let audience = Array("aud".utf8)
    let token = (0..<900).map { UInt8(truncatingIfNeeded: $0) }
    var digest = memo.digest(audience: audience.span, token: token.span)
    digest = memo.digest(audience: audience.span, token: token.span)
    for at in token.indices {
      var changed = token
      changed[at] ^= 1
      let other = memo.digest(audience: audience.span, token: changed.span)
      #expect(other != digest)
      let again = memo.digest(audience: audience.span, token: token.span)
      #expect(again == digest)
    }
  }
}
