// The settings file's reader and the policies' evaluator behind a pipe, so that other programs can put files and requests
// to them: no HTTP, no tokens. For the differential check and the tests of the JSON Schema.
//
// Each line of stdin is a command and its operands, bytes in hex, `-` for none. Each command is answered by one line:
//
//   schema                      the JSON Schema of the settings file, in hex
//   check HEX                   a settings file: `good`, or the number of mistakes and the lines about them in hex
//   tree HEX                    a document's tree as JSON, in hex; scalars as {"text": …, "plain": …}; `bad`
//   file HEX                    a settings file to evaluate with: `good` or `bad`
//   revoked HEX                 a revocation file for it: `good` or `bad`
//   ask APPLICATION METHOD HOST TARGET FORWARDED_FOR FLAGS NOW ISSUED_AT ISSUER DIGEST IDENTITY
//                               METHOD, HOST, TARGET, FORWARDED_FOR: hex, `-` missing, `=` doubled; FLAGS: of c (came
//                               through Cloudflare) and p (has the fields of a preflight), or `-`; IDENTITY: a YAML map
//                               as in policy tests in hex, `-` for no token
//     → verdict reason policy noted headers, all but the first two in hex
//   spin COUNT                  the last question with a token again, COUNT times, with its headers: nanoseconds and
//                               allocations each (`-` without bench/count_allocations.c preloaded)
//   run HEX                     a policy test file for it: passed failed, TAP in hex, uncovered lines in hex

import Glibc
import Policy
import SettingsFile

@main struct PolicyJudge {
  static func main() {
    let bench = Bench()
    print("ready")
    fflush(nil)
    while let line = readLine() {
      print(bench.answer(line.split(separator: " ").map(String.init)))
      fflush(nil)
    }
  }
}

final class Bench {
  private let reader = SettingsFileReader(settings: [
    KnownSetting("team_domain"), KnownSetting("issuer"), KnownSetting("leeway"), KnownSetting("require"),
    KnownSetting("listen", isList: true), KnownSetting("expose_reason"),
  ])
  private var definitions = PolicyDefinitions()
  private var set: PolicySet?
  private var revocations = RevocationTable.empty
  private var writer = IdentityRecordWriter()
  private var identities: [String: CaseIdentity] = [:]
  private var last: (application: Int, facts: RequestFacts, source: [UInt8], record: [UInt8])?

  func answer(_ words: [String]) -> String {
    switch (words.first, words.count) {
    case ("schema", 1): return hex(reader.jsonSchema)
    case ("check", 2):
      let reading = reader.read(bytes(words[1]))
      guard !reading.mistakes.isEmpty else { return "good" }
      return "\(reading.mistakes.count) \(hex(reading.lines(file: "f.yaml").joined(separator: "\n")))"
    case ("tree", 2):
      let document = DocumentReading.read(bytes(words[1]), limits: .settings)
      guard let root = document.root, document.mistakes.isEmpty else { return "bad" }
      return hex(json(root))
    case ("file", 2):
      let reading = reader.read(bytes(words[1]))
      guard let policies = reading.value?.policies, let compiled = try? policies.compile() else { return "bad" }
      definitions = policies
      set = compiled
      revocations = .empty
      return "good"
    case ("revoked", 2):
      let reading = RevocationFileReader(definitions).read(bytes(words[1]))
      guard let list = reading.value else { return "bad" }
      revocations = RevocationTable(list)
      return "good"
    case ("ask", 12): return ask(Array(words.dropFirst()))
    case ("spin", 2): return spin(Int(words[1]) ?? 1)
    case ("run", 2): return run(bytes(words[1]))
    default: return "misuse"
    }
  }

  private func ask(_ words: [String]) -> String {
    guard let set else { return "misuse" }
    var source: [UInt8] = []
    func fact(_ word: String) -> RequestFact {
      if word == "-" { return .missing }
      if word == "=" { return .doubled }
      let start = source.count
      source += word == "." ? [] : bytes(word)
      return RequestFact(start..<source.count)
    }
    let segment = bytes(words[0])
    guard let application = set.application(named: segment.span) else { return "deny unknown_application - - -" }
    var facts = RequestFacts()
    facts.method = fact(words[1])
    facts.host = fact(words[2])
    facts.target = fact(words[3])
    facts.forwardedFor = fact(words[4])
    facts.cameThroughCloudflare = words[5].contains("c")
    facts.hasPreflightFields = words[5].contains("p")
    let request = OriginalRequest(facts, in: source.span, trusted: set.trustedProxies)
    if let decision = set.decisionWithoutToken(application: application, request: request, in: source.span) {
      return describe(decision, application, [])
    }
    guard words[10] != "-", let identity = identity(words[10]) else { return "token missing - - -" }
    let digest = bytes(words[9])
    identity.write(
      to: &writer, plan: set.claimPlan, issuer: Int(words[8]) ?? 0, issuedAt: Double(words[7]) ?? 0,
      tokenDigest: digest)
    let record = writer.bytes
    last = (application, facts, source, record)
    let decision = set.decision(
      application: application, request: request, in: source.span, identity: record.span,
      revocations: revocations, now: Double(words[6]) ?? 0)
    return describe(decision, application, record)
  }

  private func describe(_ decision: Decision, _ application: Int, _ record: [UInt8]) -> String {
    guard let set else { return "misuse" }
    var headers: [UInt8] = []
    if decision.verdict != .deny, !set.appendHeaders(of: application, identity: record.span, to: &headers) {
      return "deny identity - - -"
    }
    let noted = (0..<decision.noted.keptCount).map { set.policyName(decision.noted[$0]) }.joined(separator: "\n")
    let policy = decision.policy.map { set.policyName($0) } ?? ""
    return "\(decision.verdict.name) \(decision.reason.name) \(hex(policy)) \(hex(noted)) \(hex(headers))"
  }

  private func spin(_ count: Int) -> String {
    guard let set, let last else { return "misuse" }
    var headers: [UInt8] = []
    headers.reserveCapacity(16_384)
    var allowed = 0
    func once() {
      headers.removeAll(keepingCapacity: true)
      let request = OriginalRequest(last.facts, in: last.source.span, trusted: set.trustedProxies)
      if set.decisionWithoutToken(application: last.application, request: request, in: last.source.span) != nil {
        return
      }
      let decision = set.decision(
        application: last.application, request: request, in: last.source.span, identity: last.record.span,
        revocations: revocations, now: 0)
      guard decision.verdict == .allow else { return }
      if set.appendHeaders(of: last.application, identity: last.record.span, to: &headers) { allowed += 1 }
    }
    once()
    let counter = Self.allocationCounter()
    let before = counter?() ?? 0
    let started = ContinuousClock.now
    for _ in 0..<count { once() }
    let elapsed = started.duration(to: .now)
    let allocations = (counter?() ?? 0) - before
    let nanoseconds =
      Int(elapsed.components.seconds) * 1_000_000_000 + Int(elapsed.components.attoseconds / 1_000_000_000)
    return "\(nanoseconds / count) \(counter == nil ? "-" : String(allocations)) \(allowed)"
  }

  private static func allocationCounter() -> (@convention(c) () -> UInt)? {
    guard let symbol = unsafe dlsym(nil, "bench_allocation_count") else { return nil }
    // The shim's function has this type.
    return unsafe unsafeBitCast(symbol, to: (@convention(c) () -> UInt).self)
  }

  /// Identities are read as policy tests are; the same one again is remembered.
  private func identity(_ word: String) -> CaseIdentity? {
    if let known = identities[word] { return known }
    let name = definitions.applications.first?.name ?? ""
    let file =
      "{version: 1, tests: [{name: x, application: \(name), as: \(String(decoding: bytes(word), as: UTF8.self)), expect: deny}]}"
    guard let identity = PolicyTestsReader(definitions).read(Array(file.utf8)).value?.first?.identity else {
      return nil
    }
    if identities.count > 1000 { identities = [:] }
    identities[word] = identity
    return identity
  }

  private func run(_ file: [UInt8]) -> String {
    guard let set else { return "misuse" }
    let reading = PolicyTestsReader(definitions).read(file)
    guard let cases = reading.value else { return "bad \(hex(reading.lines(file: "t.yaml").joined(separator: "\n")))" }
    var runner = CaseRunner(set, definitions)
    let results = cases.map { runner.run($0, covering: true) }
    let failed = results.count { !$0.isPassed }
    return
      "\(results.count - failed) \(failed) \(hex(TAPReport.text(results))) \(hex(runner.uncovered.joined(separator: "\n")))"
  }

  private func json(_ node: DocumentNode) -> String {
    switch node.content {
    case .scalar(let text, let isPlain): "{\"text\":\(quoted(text)),\"plain\":\(isPlain)}"
    case .list(let elements): "[" + elements.map(json).joined(separator: ",") + "]"
    case .map(let members):
      "{\"map\":{" + members.map { "\(quoted($0.key)):\(json($0.value))" }.joined(separator: ",") + "}}"
    case .refused: "null"
    }
  }

  private func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      if scalar == "\"" || scalar == "\\" {
        quoted += "\\\(scalar)"
      } else if scalar.value < 0x20 {
        quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      } else {
        quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  private func bytes(_ word: String) -> [UInt8] {
    if word == "-" { return [] }
    let digits = word.utf8.map { ($0 & 0x0F) + ($0 >= 0x40 ? 9 : 0) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  private func hex(_ text: String) -> String { hex(Array(text.utf8)) }

  private func hex(_ bytes: [UInt8]) -> String {
    if bytes.isEmpty { return "-" }
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}
