// Bytes of a policy test file → cases, or every mistake: an identity, application or policy that is not there is one.

import Policy
import Wording

/// Reads policy tests for a settings file that was read.
public struct PolicyTestsReader: Sendable {
  private let definitions: PolicyDefinitions

  public init(_ definitions: PolicyDefinitions) { self.definitions = definitions }

  /// Reads the bytes of a file.
  public func read(_ bytes: [UInt8], limits: DocumentLimits = .settings) -> FileReading<[PolicyCase]> {
    let document = DocumentReading.read(bytes, limits: limits)
    guard let root = document.root else {
      let empty = FileMistake(at: .start, key: nil, value: "", allowed: "a file that is not empty")
      return FileReading(nil, document.mistakes.isEmpty ? [empty] : document.mistakes)
    }
    var check = ShapeCheck()
    check.check(root, Self.shape, key: nil)
    var extraction = PolicyTestsExtraction(definitions, root)
    let cases = extraction.cases()
    return FileReading(cases, document.mistakes + check.mistakes + extraction.mistakes)
  }

  private static let reasons = [
    "-", "bypass", "preflight", "not_allowed", "wrong_host", "revoked", "identity", "missing",
  ]

  private static let identity = RecordShape(
    fields: [
      .init("email", .email), .init("service_token", .name), .init("common_name", .commonName),
      .init("subject", .anyText), .init("country", .someText), .init("nonce", .someText),
      .init("claims", .map(keys: .someText, values: .anything)),
    ], exactlyOne: [["email", "service_token", "common_name"]])

  private static let request = Shape.record(
    RecordShape(fields: [
      .init("host", .someText), .init("method", .someText), .init("path", .someText), .init("client_ip", .someText),
      .init("preflight", .words(["true", "false"])),
    ]))

  private static let verdict = TextRule.words(["allow", "deny", "report"])

  private static let expectation = Shape.either(
    verdict,
    .record(
      RecordShape(fields: [
        .init("verdict", .text(verdict), isRequired: true), .init("reason", .words(reasons)),
        .init("policy", .title), .init("headers", .map(keys: .someText, values: .text(.anyText))),
      ])))

  private static let who = Shape.either(.name, .record(identity))

  static let shape = Shape.record(
    RecordShape(fields: [
      .init("version", .words(["1"]), isRequired: true),
      .init("identities", .map(keys: .name, values: .record(identity))),
      .init(
        "tests",
        .list(
          .record(
            RecordShape(
              fields: [
                .init("name", .title, isRequired: true), .init("application", .name, isRequired: true),
                .init("as", who), .init("request", request), .init("expect", expectation),
                .init(
                  "cases",
                  .list(
                    .record(
                      RecordShape(fields: [
                        .init("name", .title), .init("as", who), .init("request", request),
                        .init("expect", expectation, isRequired: true),
                      ])))),
              ], exactlyOne: [["expect", "cases"]], atMostOne: [["request", "cases"]]))), isRequired: true),
    ]))
}

private struct PolicyTestsExtraction {
  private let definitions: PolicyDefinitions
  private let root: DocumentNode
  private(set) var mistakes: [FileMistake] = []
  private var identities: [String: CaseIdentity] = [:]

  init(_ definitions: PolicyDefinitions, _ root: DocumentNode) {
    self.definitions = definitions
    self.root = root
  }

  mutating func cases() -> [PolicyCase] {
    for member in root["identities"]?.members ?? [] { identities[member.key] = identity(member.value) }
    var cases: [PolicyCase] = []
    for test in root["tests"]?.elements ?? [] {
      let title = test["name"]?.text ?? ""
      let application = test["application"]
      let name = application?.text ?? ""
      let definition = definitions.applications.first { $0.name == name }
      if let application, definition == nil {
        refuse(application.position, "application", name, definitions.applications.map(\.name))
      }
      let shared = who(test["as"])
      func add(_ node: DocumentNode, _ title: String, _ identity: CaseIdentity?) {
        cases.append(
          PolicyCase(
            title: title, application: name, identity: identity, request: request(node["request"]),
            expectation: expectation(node["expect"]), at: node.position))
      }
      if let list = test["cases"] {
        for (index, node) in list.elements.enumerated() {
          let name = node["name"]?.text.map { ": \($0)" } ?? " (\(index + 1))"
          let identity = node["as"] == nil ? shared : who(node["as"])
          checkPolicy(node["expect"]?["policy"], definition)
          add(node, title + name, identity)
        }
      } else {
        checkPolicy(test["expect"]?["policy"], definition)
        add(test, title, shared)
      }
    }
    return cases
  }

  private mutating func checkPolicy(_ node: DocumentNode?, _ application: ApplicationDefinition?) {
    guard let node, let name = node.text, name != "-", let application else { return }
    let names = (application.policies ?? []).map(\.name)
    if !names.contains(name) { refuse(node.position, "policy", name, names) }
  }

  private mutating func who(_ node: DocumentNode?) -> CaseIdentity? {
    guard let node else { return nil }
    guard let name = node.text else { return identity(node) }
    guard let identity = identities[name] else {
      refuse(node.position, "as", name, identities.keys.sorted())
      return nil
    }
    return identity
  }

  private mutating func identity(_ node: DocumentNode) -> CaseIdentity {
    var identity = CaseIdentity(
      email: node["email"]?.text, commonName: node["common_name"]?.text, subject: node["subject"]?.text,
      country: node["country"]?.text, nonce: node["nonce"]?.text)
    if let token = node["service_token"], let name = token.text {
      let known = definitions.serviceTokens.first { $0.name == name }
      if known == nil { refuse(token.position, "service_token", name, definitions.serviceTokens.map(\.name)) }
      identity.commonName = known?.clientID
    }
    if case .object(let members) = node["claims"].map(claim) { identity.claims = members }
    return identity
  }

  private func claim(_ node: DocumentNode) -> ClaimValue {
    switch node.content {
    case .list(let elements): return .list(elements.map(claim))
    case .map(let members): return .object(members.map { ClaimValue.Member($0.key, claim($0.value)) })
    case .refused: return .null
    case .scalar(let text, let isPlain):
      guard isPlain else { return .text(text) }
      switch text {
      case "true": return .boolean(true)
      case "false": return .boolean(false)
      case "null", "~", "": return .null
      default:
        var canonical: [UInt8] = []
        let bytes = Array(text.utf8)
        let isNumber = DecimalNumber.appendCanonical(bytes.span, 0..<bytes.count, to: &canonical)
        return isNumber ? .number(text) : .text(text)
      }
    }
  }

  private func request(_ node: DocumentNode?) -> CaseRequest {
    CaseRequest(
      host: node?["host"]?.text, method: node?["method"]?.text, path: node?["path"]?.text,
      clientAddress: node?["client_ip"]?.text, isPreflight: node?["preflight"]?.text == "true")
  }

  private func expectation(_ node: DocumentNode?) -> CaseExpectation {
    let verdict: Verdict =
      switch node?.text ?? node?["verdict"]?.text {
      case "allow": .allow
      case "report": .report
      default: .deny
      }
    return CaseExpectation(
      verdict, reason: node?["reason"]?.text, policy: node?["policy"]?.text,
      headers: (node?["headers"]?.members ?? []).map { CaseExpectation.Pair($0.key, $0.value.text ?? "") })
  }

  private mutating func refuse(_ position: SourcePosition, _ key: String, _ value: String, _ known: [String]) {
    let near = nearestName(to: value, among: known).map { "; is \($0) meant?" } ?? ""
    let shown = known.prefix(8).joined(separator: ", ") + (known.count > 8 ? ", ..." : "")
    mistakes.append(
      FileMistake(
        at: position, key: key, value: value, allowed: known.isEmpty ? "none, for there is none" : shown + near))
  }
}
