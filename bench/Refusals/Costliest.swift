// The costliest tokens that 8 KiB can hold: claims that pass every check, and whatever is slow to read besides.
// Nothing is measured here.

import DevIssuer
import Token

/// What a token is filled with.
struct Filling: Sendable {
  let name: String
  var open = ",\"x\":["
  var close = "]"
  var separator = ","
  let piece: @Sendable (inout SeededGenerator) -> String

  /// Inside a string, a name or nothing: pieces without commas between them.
  static func run(
    _ name: String, open: String = ",\"x\":\"", close: String = "\"",
    _ piece: @escaping @Sendable (inout SeededGenerator) -> String
  ) -> Filling {
    Filling(name: name, open: open, close: close, separator: "", piece: piece)
  }

  private static let mixed = ["1", "\"\"", "[]", "{}", "0", "-1", "null", "\"a\"", "[1]", "1e1", "true"]
  private static let spaces = ["", " ", "\n", "  ", "\t\r\n ", "         "]
  private static let characters = ["a", "é", "\\n", "€", "\\u0041", "😀", "bc", "\\ud83d\\ude00"]
  private static let numbers = ["1", "12", "1.5", "-7", "1e9", "0.001", "123456", "-0", "2E+1"]

  private static func members(_ count: Int, _ name: (Int) -> String) -> String {
    (0..<count).map { "\"\(name($0))\":1" }.joined(separator: ",")
  }

  /// What costs more than plain bytes.
  static let dense: [Filling] = [
    .run("a string of two-byte characters") { _ in "éèêëàâîïôû" },
    .run("a string of three-byte characters") { _ in "€ﬀ한漢" },
    .run("a string of short escapes") { _ in "\\n\\t\\r\\b" },
    .run("a string of \\u escapes") { _ in "\\u0041\\u00e9" },
    .run("a string of mixed characters") { characters.randomElement(using: &$0)! },
    .run("a name of mixed characters", open: ",\"", close: "\":1") { characters.randomElement(using: &$0)! },
    Filling(name: "an array of digits") { _ in "1" },
    Filling(name: "an array of numbers") { numbers.randomElement(using: &$0)! },
    Filling(name: "an array of empty strings") { _ in "\"\"" },
    Filling(name: "an array of mixed values") { mixed.randomElement(using: &$0)! },
    Filling(name: "an array of values and white space") { generator in
      let value = mixed.randomElement(using: &generator)!
      return spaces.randomElement(using: &generator)! + value + spaces.randomElement(using: &generator)!
    },
    Filling(name: "an array of objects") { _ in "{\"a\":1}" },
    Filling(name: "an array of objects and white space") { generator in
      "{"
        + (0..<3).map { number in
          spaces.randomElement(using: &generator)! + "\"\(number)\"" + spaces.randomElement(using: &generator)! + ":"
            + spaces.randomElement(using: &generator)! + mixed.randomElement(using: &generator)!
        }.joined(separator: ",") + "}"
    },
    Filling(name: "an array of arrays") { _ in "[[[[[]]]]]" },
    Filling(name: "objects of 64 members") { generator in
      "{" + members(64) { String($0 &+ Int.random(in: 0..<4, using: &generator) * 64, radix: 36) } + "}"
    },
    Filling(name: "objects of names of escapes") { generator in
      "{" + members(8) { characters.randomElement(using: &generator)! + "\\u000\($0)" } + "}"
    },
    .run("members of short escaped names", open: "", close: "") { generator in
      ",\"" + ["\\n", "\\t", "\\r", "\\b"].randomElement(using: &generator)!
        + String(UInt.random(in: 0...0xFFFF_FFFF, using: &generator), radix: 36) + "\":1"
    },
    .run("members of escaped names", open: "", close: "") { generator in
      ",\"" + (0..<6).map { _ in String(format: UInt.random(in: 0...0xFFF, using: &generator)) }.joined() + "\":1"
    },
  ]

  /// What costs its bytes, or should.
  static let plain: [Filling] = [
    .run("a string of letters") { _ in "abcdefghijklmnop" },
    .run("a name of letters", open: ",\"", close: "\":1") { _ in "abcdefghijklmnop" },
    .run("white space", open: "", close: "") { ["  ", "\n", "\t\r\n "].randomElement(using: &$0)! },
    .run("one long number", open: ",\"x\":1", close: "") { _ in "7" },
  ]
}

extension String {
  /// An escape of a character of the private use area: `number` is 0 to 0xFFF.
  fileprivate init(format number: UInt) {
    let digits = String(number, radix: 16)
    self = "\\ue" + String(repeating: "0", count: 3 - digits.count) + digits
  }
}

extension Workshop {
  /// Tokens of 8 KiB, refused by the length of their signature: all work that comes before a signature is done for these.
  var costliest: [Case] {
    var generator = SeededGenerator(state: 20_260_101)
    let fillings = (Filling.plain + Filling.dense).map { filling in
      several(filling.name, .refused(.signature)) {
        self.largest(filling, signature: self.shortSignature, &generator)
      }
    }
    return fillings + oddClaims(&generator)
  }

  /// Claims that are looked at, and slow to look at.
  private func oddClaims(_ generator: inout SeededGenerator) -> [Case] {
    let short = Expected.refused(.signature)
    func claim(_ name: String, _ value: String, _ filling: Filling? = nil) -> () -> [UInt8] {
      var own = SeededGenerator(state: 7)
      return { self.largest(filling ?? Filling.plain[0], changes: [name: value], signature: self.shortSignature, &own) }
    }
    func zeros(_ count: Int) -> String { String(repeating: "0", count: count) }
    let audience = "\"\(Self.audience)\""
    let escaped = "\"\\u0034" + Self.audience.dropFirst() + "\""
    let commonName = Filling.run("", open: ",\"common_name\":\"") { _ in "\\u0041\\n" }
    return [
      several("exp with thousands of digits", short, claim("exp", "\(Self.now + 3600)." + zeros(5400) + "1")),
      several("exp with thousands of digits but zero", short, claim("exp", "\(Self.now + 3600).5" + zeros(5400) + "1")),
      several("exp with a long exponent", short, claim("exp", "\(Self.now + 3600)e" + zeros(5400))),
      several(
        "exp with a long exponent of ones", .refused(.expired),
        claim("exp", "1e-" + String(repeating: "1", count: 5400))),
      several("aud of the same audience 30 times", short, claim("aud", "[" + repeated(audience, 30) + "]")),
      several("aud of the same audience, escaped, 3 times", short, claim("aud", "[" + repeated(escaped, 3) + "]")),
      several("an email of 254 bytes", short, claim("email", "\"a@" + String(repeating: "b", count: 252) + "\"")),
      several(
        "an iss of escapes", short,
        claim("iss", "\"" + Self.issuer.utf8.map { "\\u00" + String($0, radix: 16) }.joined() + "\"")),
      several("a common_name of escapes", short) {
        largest(commonName, without: "email", signature: shortSignature, &generator)
      },
    ]
  }

  /// The costliest headers, with a payload as large as the token allows; and dense headers with dense payloads.
  var headers: [Case] {
    var generator = SeededGenerator(state: 20_260_102)
    let short = Expected.refused(.signature)
    var cases = Filling.dense.map { filling in
      several("header: \(filling.name)", short) {
        let header = denseHeader(filling, kid: team.current.kid, &generator)
        return largest(Filling.plain[0], header: header, signature: shortSignature, &generator)
      }
    }
    cases.append(
      several("header and payload: arrays of mixed values", short) {
        let header = denseHeader(Filling.dense[9], kid: team.current.kid, &generator)
        return largest(Filling.dense[9], header: header, signature: shortSignature, &generator)
      })
    cases.append(
      several("a header that is short of dense, and a payload", short) {
        let header = denseHeader(Filling.dense[9], kid: team.current.kid, room: 300, &generator)
        return largest(Filling.dense[9], header: header, signature: shortSignature, &generator)
      })
    cases.append(
      several("a dense header and a signature of 7 KiB", short) {
        let header = denseHeader(Filling.dense[9], kid: team.current.kid, &generator)
        let signature = String(repeating: "A", count: Self.largest - 1024 - 16)
        return token(header: header, payload: Array("{}".utf8), signature: signature)
      })
    cases.append(
      several("2 KiB, half header", short) {
        let header = denseHeader(Filling.dense[9], kid: team.current.kid, &generator)
        return largest(Filling.dense[9], header: header, size: 1984, signature: shortSignature, &generator)
      })
    cases.append(
      several("2 KiB, all payload", short) {
        largest(Filling.dense[9], size: 1984, signature: shortSignature, &generator)
      })
    cases.append(
      several("a kid of 256 bytes", .refused(.keyUnknown)) {
        let header = "{\"alg\":\"RS256\",\"kid\":\"\(String(repeating: "0", count: 256))\"}"
        return largest(Filling.plain[0], header: header, signature: shortSignature, &generator)
      })
    cases.append(
      several("a dense header whose kid has escapes", .refused(.keyUnknown)) {
        let header = denseHeader(Filling.dense[9], kid: String(repeating: "\\u0041", count: 64), &generator)
        return largest(Filling.plain[0], header: header, signature: shortSignature, &generator)
      })
    return cases
  }

  /// Tokens that are as slow to read as can be without being put off: letters first, so that all of it is read, then as
  /// much of what is dense as the bound of work allows, and claims that are slow to look at.
  var barelySettled: [Case] {
    var generator = SeededGenerator(state: 20_260_104)
    var reader = TokenReader()
    let email = ["email": "\"a@" + String(repeating: "b", count: 252) + "\""]
    let full = ["exp": "\(Self.now + 3600).5" + String(repeating: "0", count: 2000) + "1"]
    return Filling.dense.flatMap { filling in
      [("", email), (", exp of 2000 digits", email.merging(full) { $1 })].map { addition, changes in
        several(filling.name + addition, .refused(.signature)) {
          var room = 0
          var settled: [UInt8] = []
          while true {
            let dense = self.filled(filling, room: room, &generator)
            let letters = Filling.run("", open: dense + ",\"y\":\"") { _ in "abcdefgh" }
            let token = self.largest(letters, changes: changes, signature: self.shortSignature, &generator)
            guard reader.screen(token.span) == .settled, room < 4000 else { return settled }
            settled = token
            room += 16
          }
        }
      }
    }
  }

  /// Tokens that are not judged in full before their signature, and whose signature is of the right length and wrong.
  var unsettled: [Case] {
    var generator = SeededGenerator(state: 20_260_103)
    let payloads = Filling.dense.map { filling in
      several(filling.name, .needsSignature) {
        largest(filling, signature: noSignature, &generator)
      }
    }
    let mixed = Filling.dense[9]
    let settled = several("for comparison, and settled: a string of letters", .needsSignature) {
      largest(Filling.plain[0], signature: noSignature, &generator)
    }
    return [settled] + payloads + [
      several("header: \(mixed.name)", .needsSignature) {
        let header = denseHeader(mixed, kid: team.current.kid, &generator)
        return largest(Filling.plain[0], header: header, signature: noSignature, &generator)
      },
      several("header and payload: \(mixed.name)", .needsSignature) {
        let header = denseHeader(mixed, kid: team.current.kid, &generator)
        return largest(mixed, header: header, signature: noSignature, &generator)
      },
    ]
  }

  private func repeated(_ text: String, _ count: Int) -> String {
    Array(repeating: text, count: count).joined(separator: ",")
  }

  private func several(_ name: String, _ expected: Expected, _ make: () -> [UInt8]) -> Case {
    Case(name: name, expected: expected, tokens: (0..<32).map { _ in make() })
  }

  private func denseHeader(
    _ filling: Filling, kid: String, room: Int = TokenReader.maximumHeaderLength / 4 * 3,
    _ generator: inout SeededGenerator
  ) -> String {
    let start = "{\"alg\":\"RS256\",\"kid\":\"\(kid)\",\"typ\":\"JWT\""
    return start + filled(filling, room: room - start.utf8.count - 1, &generator) + "}"
  }

  /// The usual claims, some changed, and one filling as long as the largest token allows, or one of `size` bytes.
  private func largest(
    _ filling: Filling, header: String? = nil, changes: [String: String] = [:], without absent: String? = nil,
    size: Int = Workshop.largest, signature: String, _ generator: inout SeededGenerator
  ) -> [UInt8] {
    let encoded = Base64URLEncoding.encode((header ?? self.header).utf8).utf8.count
    let room = (size - encoded - signature.utf8.count - 2) / 4 * 3
    let fixed = claims(changes, without: absent).utf8.count
    let extra = filled(filling, room: room - fixed, &generator)
    return token(
      header: header, payload: Array(claims(changes, without: absent, extra: extra).utf8), signature: signature)
  }

  /// As many pieces as fit, with what opens and closes them; nothing where not even these do.
  private func filled(_ filling: Filling, room: Int, _ generator: inout SeededGenerator) -> String {
    guard filling.open.utf8.count + filling.close.utf8.count <= room else { return "" }
    var text = filling.open
    var count = text.utf8.count + filling.close.utf8.count
    var isFirst = true
    // Members of the outermost object are bounded.
    for _ in 0..<(filling.open.isEmpty && filling.separator.isEmpty && filling.name.hasPrefix("members") ? 54 : .max) {
      let next = (isFirst ? "" : filling.separator) + filling.piece(&generator)
      guard count + next.utf8.count <= room else { break }
      text += next
      count += next.utf8.count
      isFirst = false
    }
    return text + filling.close
  }
}
