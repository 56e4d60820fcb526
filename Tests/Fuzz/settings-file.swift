// Fuzzed: the readers of the settings file and the revocation file, and policies made of what they take.

import Policy
import SettingsFile

private let reader = SettingsFileReader(settings: [
  KnownSetting("team_domain"), KnownSetting("leeway"), KnownSetting("listen", isList: true),
])
private let limits = DocumentLimits(bytes: 16_384, levels: 16, nodes: 1000)

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  let document = DocumentReading.read(bytes, limits: limits)
  if let root = document.root {
    var nodes = 0
    visit(root, level: 1, &nodes)
    precondition(nodes <= limits.nodes, "more nodes than the limit")
  }
  let reading = reader.read(bytes, limits: limits)
  precondition((reading.value == nil) == !reading.mistakes.isEmpty, "a value beside mistakes, or neither")
  for line in reading.lines(file: "f.yaml") {
    precondition(line.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "a line that is no printable ASCII")
    precondition(line.hasPrefix("f.yaml:") && line.contains(" is refused; allowed: "))
  }
  // What was taken can be compiled and asked, and nobody without a token gets further than a bypass.
  if let policies = reading.value?.policies {
    guard let set = try? policies.compile() else { preconditionFailure("a file that was taken and cannot be compiled") }
    ask(set)
    _ = policies.notes
  }
  let revoked = RevocationFileReader(issuers: ["default"], serviceTokens: []).read(bytes, limits: limits)
  if let list = revoked.value { precondition(RevocationTable(list).count == list.count) }
  return 0
}

private func visit(_ node: DocumentNode, level: Int, _ nodes: inout Int) {
  nodes += 1
  precondition(node.position.line >= 1 && node.position.column >= 1)
  for element in node.elements { visit(element, level: level + 1, &nodes) }
  for member in node.members {
    nodes += 1
    visit(member.value, level: level + 1, &nodes)
  }
  if !node.elements.isEmpty || !node.members.isEmpty { precondition(level <= limits.levels, "deeper than the limit") }
  precondition(Set(node.members.map(\.key)).count == node.members.count, "a key twice")
}

private func ask(_ set: PolicySet) {
  let source = Array("GETwiki.acme.com/share/x".utf8)
  var facts = RequestFacts()
  facts.method = RequestFact(0..<3)
  facts.host = RequestFact(3..<16)
  facts.target = RequestFact(16..<24)
  let request = OriginalRequest(facts, in: source.span, trusted: set.trustedProxies)
  var writer = IdentityRecordWriter()
  CaseIdentity(email: "a@b.c").write(to: &writer, plan: set.claimPlan)
  let record = writer.bytes
  for application in 0..<set.applicationCount {
    if let decision = set.decisionWithoutToken(application: application, request: request, in: source.span) {
      precondition(decision.verdict == .allow && (decision.reason == .bypass || decision.reason == .preflight))
    }
    let decision = set.decision(
      application: application, request: request, in: source.span, identity: record.span, revocations: .empty, now: 0)
    precondition(decision.verdict != .allow || decision.policy != nil || !set.hasPolicies(application))
    // A record of another plan opens nothing.
    let none = set.decision(
      application: application, request: request, in: source.span, identity: [UInt8](repeating: 0, count: 80).span,
      revocations: .empty, now: 0)
    precondition(none.verdict == .deny)
  }
}
