// Nothing traps: every truncation and every change of a byte, of the token and of the JSON inside it.

import Seeding
import Testing
import Token

@Suite struct RobustnessTests {
  static let header = Array(#"{"alg":"RS256","kid":"k\u0031"}"#.utf8)
  static let payload = Array(
    ##"{"iss":"i","aud":["a"],"exp":2e9,"iat":1.5,"nbf":1,"type":"app","email":"a@é","sub":"\ud83d\ude00","x":{"y":[]}}"##
      .utf8)

  /// Runs everything on one token, and holds that what is refused hands out nothing.
  static func exercise(_ reader: inout TokenReader, _ token: [UInt8]) -> Reason? {
    let expectations = Expectations(issuer: [UInt8(ascii: "i")], require: .any)
    let audience = [UInt8(ascii: "a")]
    let form = reader.read(token.span)
    let reason = form ?? reader.check(expectations, audience: audience.span, now: 1_700_000_000)
    var written: [UInt8] = []
    reader.appendUser(to: &written)
    reader.appendEmail(to: &written)
    reader.appendSubject(to: &written)
    let expires = reader.expires
    let kind = reader.kind
    if form != nil, !written.isEmpty || expires != nil || kind != nil { Issue.record("a refused token speaks") }
    if reason == nil, written.isEmpty || expires == nil || kind == nil { Issue.record("a good token is mute") }
    if written.contains(where: { $0 < 0x20 || $0 > 0x7E }) { Issue.record("a raw byte leaves") }
    return reason
  }

  @Test func `every truncation refuses`() {
    var reader = TokenReader()
    let token = Array(Samples.token(header: Self.header, payload: Self.payload).utf8)
    #expect(Self.exercise(&reader, token) == nil)
    let signature = token.lastIndex(of: UInt8(ascii: "."))! + 1
    for length in 0..<token.count {
      let reason = Self.exercise(&reader, Array(token[..<length]))
      // A signature cut short may still be base64url; it is the signature's check that refuses it.
      if length <= signature { #expect(reason == .malformed, "\(length)") }
    }
  }

  @Test func `every change of a byte of the token is survived, and most refuse`() {
    var reader = TokenReader()
    let token = Array(Samples.token(header: Self.header, payload: Self.payload).utf8)
    let signature = token.lastIndex(of: UInt8(ascii: "."))!
    var accepted = 0
    for index in token.indices {
      for value in UInt8.min...UInt8.max where value != token[index] {
        var changed = token
        changed[index] = value
        if Self.exercise(&reader, changed) == nil, index < signature { accepted += 1 }
      }
    }
    print("changed tokens of good form outside the signature: \(accepted) of \(signature * 255)")
    #expect(accepted < signature * 255 / 20)
  }

  @Test func `every change, cut and doubling of a byte of the JSON is survived`() {
    var reader = TokenReader()
    for isHeader in [true, false] {
      let json = isHeader ? Self.header : Self.payload
      for index in json.indices {
        var variants = (UInt8.min...UInt8.max).map { value in
          var changed = json
          changed[index] = value
          return changed
        }
        variants.append(Array(json[..<index]))
        variants.append(Array(json[..<index] + json[(index + 1)...]))
        variants.append(Array(json[...index] + json[index...]))
        for variant in variants {
          let token = Samples.token(
            header: isHeader ? variant : Self.header, payload: isHeader ? Self.payload : variant)
          _ = Self.exercise(&reader, Array(token.utf8))
        }
      }
    }
  }

  @Test func `random bytes are survived by the JSON reader`() {
    var generator = SeededGenerator.ofThisRun()
    let pieces = [
      "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "d800", "1", "-", ".", "e", "0", "true", "null", " ", "a", "é",
    ]
    .map { Array($0.utf8) }
    var document = JSONDocument(nodeCapacity: 64, maximumDepth: 4, maximumMembers: 4)
    for _ in 0..<20_000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 0..<24, using: &generator) { bytes += pieces.randomElement(using: &generator)! }
      if document.parse(bytes.span), document.root == nil { Issue.record("no root: \(bytes)") }
    }
  }
}
