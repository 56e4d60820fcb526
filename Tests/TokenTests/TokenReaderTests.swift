// The token's form: compact serialization, sizes, base64url, the header's rules (THREATS.md's rows).

import Testing

import Token

@Suite struct TokenReaderTests {
  static let parts = Samples.token().split(separator: ".").map(String.init)
  static let header = parts[0]
  static let payload = parts[1]
  static let signature = parts[2]

  @Test func `the sample is read, with its kid, algorithm, signing input and signature`() {
    var reader = TokenReader()
    let token = Array(Samples.token().utf8)
    let reason = reader.read(token.span)
    #expect(reason == nil)
    let algorithms = reader.algorithms
    #expect(algorithms == .rs256)
    let input = reader.signingInput
    #expect(String(decoding: token[input], as: UTF8.self) == "\(Self.header).\(Self.payload)")
    let signature = reader.withSignature { bytes in (0..<bytes.count).map { bytes[$0] } }
    #expect(signature == [0xC0, 0xFF, 0xEE, 0x5A])
    let kid = reader.withKeyIdentifier { bytes in (0..<bytes.count).map { bytes[$0] } }
    #expect(kid == Array("key-1".utf8))
  }

  @Test func `the header and payload of RFC 7515 appendix A.2 are read, and its lack of a kid is told`() {
    let header = "eyJhbGciOiJSUzI1NiJ9"
    let payload =
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    var reader = TokenReader()
    let nameless = Array("\(header).\(payload).\(Self.signature)".utf8)
    let form = reader.read(nameless.span)
    let hasKeyIdentifier = reader.hasKeyIdentifier
    #expect(form == nil && !hasKeyIdentifier)
    #expect(Base64URLTests.decode(Array(header.utf8)) == Array(#"{"alg":"RS256"}"#.utf8))
    let token = Array("\(Self.header).\(payload).\(Self.signature)".utf8)
    let reason = reader.read(token.span)
    #expect(reason == nil)
    let expires = reader.expires
    #expect(expires == 1_300_819_380)
    let name = Array("http://example.com/is_root".utf8)
    let isRoot = reader.withPayload { document, bytes in
      guard let root = document.root else { return false }
      return document.member(of: root, named: name.span, in: bytes)?.kind == .true
    }
    #expect(isRoot)
  }

  static let misshapen = [
    "", ".", "..", "...", "a", "a.b", header, "\(header).\(payload)", "\(header).\(payload).",
    "\(header)..\(signature)",
    ".\(payload).\(signature)", "\(header).\(payload).\(signature).", "\(header).\(payload).\(signature).\(signature)",
    "\(header).\(payload).\(signature).\(signature).\(signature)", ".\(header).\(payload).\(signature)",
    #"{"payload":"\#(payload)","signatures":[]}"#, "Bearer \(header).\(payload).\(signature)",
    "\"\(header).\(payload).\(signature)\"", "\(header).\(payload).\(signature)=", "\(header)=.\(payload).\(signature)",
    " \(header).\(payload).\(signature)", "\(header).\(payload).\(signature) ", "\(header).\(payload).\(signature)\r\n",
    "\(header). \(payload).\(signature)", "\(header).\(payload).\(signature)%3D", "\(header).\(payload).\(signature)é",
    "\(header).\(payload).\(signature)\0", "\(header).\(payload).+/+/", "\(header).\(payload).A",
    "\(header).\(payload).wP_uWg?",
    "\(header),\(payload),\(signature)", "\(header).\(payload).\(signature), \(header).\(payload).\(signature)",
  ]

  @Test(arguments: misshapen)
  func `what is not three parts of strict base64url is malformed`(token: String) {
    #expect(reading(token) == .malformed)
  }

  @Test func `non-zero trailing bits are malformed in each part`() {
    // The sample's signature of 4 bytes ends in a group of two characters, of which the last has 4 spare bits.
    #expect(Self.signature == "wP_uWg")
    for spelling in ["wP_uWh", "wP_uWv", "wP_uWo"] {
      #expect(reading("\(Self.header).\(Self.payload).\(spelling)") == .malformed)
    }
    for spaces in 0..<3 {
      let header = Samples.encode(Array((Samples.header + String(repeating: " ", count: spaces)).utf8))
      let payload = Samples.encode(Array((Samples.payload() + String(repeating: " ", count: spaces)).utf8))
      #expect(reading("\(header).\(payload).\(Self.signature)") == nil)
      if header.utf8.count % 4 != 0 {
        #expect(reading("\(Self.raised(header)).\(payload).\(Self.signature)") == .malformed)
      }
      if payload.utf8.count % 4 != 0 {
        #expect(reading("\(header).\(Self.raised(payload)).\(Self.signature)") == .malformed)
      }
    }
  }

  /// The text with its last character replaced by the next of the alphabet, which sets the lowest spare bit.
  static func raised(_ text: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    return text.dropLast() + String(alphabet[alphabet.firstIndex(of: text.last!)! + 1])
  }

  @Test func `a token of 8 KiB is read and one byte more is too large`() {
    let short = "\(Self.header).\(Self.payload)."
    let room = 8192 - short.utf8.count
    #expect(reading(short + String(repeating: "A", count: room - (room % 4 == 1 ? 1 : 0))) == nil)
    #expect(reading(short + String(repeating: "A", count: room + 1)) == .tooLarge)
    #expect(reading(String(repeating: "A", count: 8192)) == .malformed)
    #expect(reading(String(repeating: "A", count: 8193)) == .tooLarge)
    #expect(reading(String(repeating: ".", count: 100_000)) == .tooLarge)
    let padded = Samples.encode(Array((Samples.payload() + String(repeating: " ", count: 5700)).utf8))
    #expect(padded.utf8.count < 8000)
    #expect(reading("\(Self.header).\(padded).\(Self.signature)") == nil)
  }

  @Test func `an encoded header of 1 KiB is read and one byte more is too large`() {
    func header(_ count: Int) -> String {
      Samples.header + String(repeating: " ", count: count - Samples.header.utf8.count)
    }
    #expect(reading(Samples.token(header: header(768))) == nil)
    #expect(Samples.encode(Array(header(768).utf8)).utf8.count == 1024)
    #expect(reading(Samples.token(header: header(769))) == .tooLarge)
    #expect(reading(String(repeating: "A", count: 1025) + ".\(Self.payload).\(Self.signature)") == .tooLarge)
  }

  @Test(arguments: [
    "", "[]", "null", #""RS256""#, "1", #"{"alg":"RS256","kid":"k"}x"#, #"{"alg":"RS256","kid":"k"},"#, "\u{FEFF}{}",
    #"{"alg":"RS256","alg":"RS256","kid":"k"}"#, #"{"alg":"RS256","\u0061lg":"none","kid":"k"}"#,
    #"{"alg":"RS256","kid":"k","kid":"l"}"#, #"{"alg":"RS256","kid":"k","x":{"y":1,"y":2}}"#,
    #"{"alg":"RS256","kid":"k",}"#, #"{"alg":"RS256","kid":"\ud800"}"#, "{\"alg\":\"RS256\",\"kid\":\"k\u{0}\"}",
    "{\"alg\":\"RS256\",\"kid\":\"k\n\"}", #"{alg:"RS256","kid":"k"}"#, #"{'alg':'RS256','kid':'k'}"#,
  ])
  func `a header that is no strict JSON object is malformed`(header: String) {
    #expect(reading(Samples.token(header: header)) == .malformed)
  }

  @Test(arguments: [
    "", "[]", "null", "1", #""x""#, "[{}]", "{}{}", "{} x", #"{"a":1,"a":1}"#, #"{"aud":{"aud":1,"aud":2}}"#,
    #"{"exp":1e}"#, #"{"exp":01}"#, #"{"exp":NaN}"#, #"{"exp":Infinity}"#, #"{"a":"\udc00"}"#, "\u{FEFF}{}",
    "{\"a\":\"\t\"}",
  ])
  func `a payload that is no strict JSON object is malformed`(payload: String) {
    #expect(reading(Samples.token(payload: payload)) == .malformed)
  }

  @Test func `a payload nested 17 deep or of 65 members is malformed`() {
    func nested(_ depth: Int) -> String {
      #"{"a":"# + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1) + "}"
    }
    #expect(reading(Samples.token(payload: nested(16))) == nil)
    #expect(reading(Samples.token(payload: nested(17))) == .malformed)
    #expect(reading(Samples.token(payload: nested(2500))) == .malformed)
    func wide(_ count: Int) -> String { "{" + (0..<count).map { "\"m\($0)\":0" }.joined(separator: ",") + "}" }
    #expect(reading(Samples.token(payload: wide(64))) == nil)
    #expect(reading(Samples.token(payload: wide(65))) == .malformed)
  }

  @Test func `an array may hold as many values as a token has room for`() {
    func array(_ count: Int) -> String {
      "{\"a\":[" + [String](repeating: "0", count: count).joined(separator: ",") + "]}"
    }
    for count in [0, 1, 490, 513, 1024, 2700] { #expect(reading(Samples.token(payload: array(count))) == nil) }
  }

  @Test func `ill-formed UTF-8 in header or payload is malformed`() {
    let bad = Array(#"{"alg":"RS256","kid":""#.utf8) + [0xFF] + Array(#""}"#.utf8)
    #expect(reading(Samples.token(header: bad, payload: Array(Samples.payload().utf8))) == .malformed)
    let badPayload = Array(#"{"x":""#.utf8) + [0xC0, 0xAF] + Array(#""}"#.utf8)
    #expect(reading(Samples.token(header: Array(Samples.header.utf8), payload: badPayload)) == .malformed)
  }

  @Test(arguments: [
    #""crit":[]"#, #""crit":["exp"]"#, #""crit":null"#, #""crit":"b64""#, #""crit":["b64"],"b64":false"#,
    #""b64":false"#,
    #""b64":true"#, #""zip":"DEF""#, #""enc":"A128GCM""#, #""jwk":{"kty":"RSA"}"#, #""jwk":null"#,
    #""jku":"https://evil.example/keys""#, #""x5u":"https://evil.example/cert""#, #""cty":"JWT""#, #""cty":"jwt""#,
    #""cty":"application/JWT""#, #""cty":1"#, #""\u0063rit":[]"#, #""j\u0077k":{}"#, #""cty":"\u004aWT""#,
  ])
  func `a header member that changes the meaning or brings a key is malformed`(member: String) {
    #expect(reading(Samples.token(header: #"{"alg":"RS256","kid":"k",\#(member)}"#)) == .malformed)
    #expect(reading(Samples.token(header: #"{\#(member),"alg":"RS256","kid":"k"}"#)) == .malformed)
  }

  @Test(arguments: [
    #""x5t":"abc""#, #""x5c":[]"#, #""cty":"json""#, #""cty":"a content type that is long""#, #""CRIT":[]"#,
    #""x":{"crit":[]}"#,
  ])
  func `a header member that we do not know is ignored`(member: String) {
    #expect(reading(Samples.token(header: #"{"alg":"RS256","kid":"k",\#(member)}"#)) == nil)
  }

  @Test(arguments: ["null", "1", "true", "[]", #"["k"]"#, "{}"])
  func `a kid that is no string is malformed`(kid: String) {
    #expect(reading(Samples.token(header: #"{"alg":"RS256","kid":\#(kid)}"#)) == .malformed)
  }

  @Test func `a kid has at most 256 bytes once unescaped`() {
    func header(_ kid: String) -> String { #"{"alg":"RS256","kid":"\#(kid)"}"# }
    #expect(reading(Samples.token(header: header(String(repeating: "k", count: 256)))) == nil)
    #expect(reading(Samples.token(header: header(String(repeating: "k", count: 257)))) == .malformed)
    #expect(reading(Samples.token(header: header(String(repeating: "é", count: 128)))) == nil)
    #expect(reading(Samples.token(header: header(String(repeating: "é", count: 128) + "k"))) == .malformed)
    #expect(reading(Samples.token(header: header(String(repeating: #"\/"#, count: 256)))) == nil)
    #expect(reading(Samples.token(header: header(String(repeating: #"\/"#, count: 257)))) == .malformed)
  }

  @Test(arguments: [
    (#"../../dev/null"#, "../../dev/null"), (#"' OR 1=1"#, "' OR 1=1"), (#"a\u0000b"#, "a\0b"), (#"a\nb"#, "a\nb"),
    (#"\ud83d\ude00"#, "😀"), ("", ""),
  ])
  func `a kid is handed out as its unescaped bytes, whatever they are`(kid: String, value: String) {
    var reader = TokenReader()
    let token = Array(Samples.token(header: #"{"alg":"RS256","kid":"\#(kid)"}"#).utf8)
    let reason = reader.read(token.span)
    #expect(reason == nil)
    let bytes = reader.withKeyIdentifier { bytes in (0..<bytes.count).map { bytes[$0] } }
    #expect(bytes == Array(value.utf8))
  }

  @Test func `after a refused token nothing of it or of the one before is handed out`() {
    var reader = TokenReader()
    let good = Array(Samples.token().utf8)
    let asked = Array(Samples.audience.utf8)
    let unread = reader.check(Samples.expectations, audience: asked.span, now: Samples.now)
    #expect(unread == .malformed)
    let bad = [
      Samples.token(header: #"{"alg":"RS256","kid":"k","crit":[]}"#), Samples.token(payload: "[]"), "a.b.c", "",
      String(repeating: "A", count: 9000),
    ]
    for text in bad {
      let first = reader.read(good.span)
      #expect(first == nil)
      let passed = reader.check(Samples.expectations, audience: asked.span, now: Samples.now)
      #expect(passed == nil)
      let token = Array(text.utf8)
      let second = reader.read(token.span)
      #expect(second != nil)
      let after = reader.check(Samples.expectations, audience: asked.span, now: Samples.now)
      #expect(after == .malformed)
      let hasToken = reader.hasToken
      #expect(!hasToken)
      let kind = reader.kind
      #expect(kind == nil)
      let algorithms = reader.algorithms
      #expect(algorithms.isEmpty)
      let expires = reader.expires
      #expect(expires == nil)
      var written: [UInt8] = []
      reader.appendUser(to: &written)
      reader.appendEmail(to: &written)
      reader.appendSubject(to: &written)
      #expect(written.isEmpty)
      let left = reader.withSignature { $0.count } + reader.withKeyIdentifier { $0.count }
      #expect(left == 0)
      let hasRoot = reader.withPayload { document, bytes in document.root != nil || !bytes.isEmpty }
      #expect(!hasRoot)
    }
  }
}
