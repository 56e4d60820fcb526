// The rooms Token and Verification behind a pipe, so that other programs can put tokens to them: no HTTP, no cache, no
// pool. For the table of attacks and the differential check.
//
//   RoomJudge ISSUER KEYS_FILE REQUIRE ALGORITHM,…
//
// Each line of stdin: the time in seconds since 1970, an audience, the token's bytes in hex (`-` for none). Each line of
// stdout: `allowed` or the reason.

import Glibc
import Token
import Verification

@main struct RoomJudge {
  struct Misuse: Error, CustomStringConvertible { let description: String }

  static func main() throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    guard arguments.count == 4 else { throw Misuse(description: "RoomJudge ISSUER KEYS_FILE REQUIRE ALGORITHM,…") }
    let issuer = Array(arguments[0].utf8)
    let require: Requirement =
      switch arguments[2] {
      case "identity": .identity
      case "service": .service
      case "any": .any
      default: throw Misuse(description: "identity, service or any")
      }
    let algorithms = try algorithms(arguments[3])
    let text = try contents(of: arguments[1])
    let set = try JWKSet.read(text.span, issuer: issuer, algorithms: algorithms)
    for key in set.skipped { print("skipped \(key.position): \(key.refusal.explanation)") }
    let court = try Court(
      Judge(Expectations(issuer: issuer, algorithms: algorithms, require: require)), KeySet(set, generation: 1))
    print("ready")
    while let line = readLine() {
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      guard words.count == 3, let now = Double(words[0]) else { throw Misuse(description: line) }
      print(court.judge(token: hex(words[2]), audience: Array(words[1].utf8), now: now))
    }
  }

  private static func algorithms(_ list: String) throws -> AlgorithmSet {
    var set: AlgorithmSet = []
    for name in list.split(separator: ",") {
      let bytes = Array(name.utf8)
      let named = Algorithm.named(bytes.span)
      guard !named.isEmpty else { throw Misuse(description: "no algorithm: \(name)") }
      set.formUnion(named)
    }
    return set
  }

  private static func contents(of path: String) throws -> [UInt8] {
    guard let file = unsafe fopen(path, "r") else { throw Misuse(description: "cannot read \(path)") }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: JWKSet.maximumBytes)
    // The array lends its bytes for the call, which writes no more than their number.
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
  }

  private static func hex(_ text: Substring) -> [UInt8] {
    if text == "-" { return [] }
    let digits = text.utf8.map { ($0 & 0x0F) + ($0 >= 0x40 ? 9 : 0) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}

/// One judge with what it works with.
final class Court {
  private let judge: Judge
  private let keys: KeySet
  private var reader = TokenReader()
  private var verifier: SignatureVerifier

  init(_ judge: Judge, _ keys: KeySet) throws {
    guard let verifier = SignatureVerifier() else { throw RoomJudge.Misuse(description: "OpenSSL offers no SHA-2") }
    self.judge = judge
    self.keys = keys
    self.verifier = verifier
  }

  func judge(token: [UInt8], audience: [UInt8], now: Double) -> String {
    let verdict = judge.verdict(
      token: token.span, audience: audience.span, now: now, keys: [keys], reader: &reader, verifier: &verifier)
    return switch verdict {
    case .allowed: "allowed"
    case .denied(let reason): "\(reason.name)"
    }
  }
}
