// One application, one question: what the tests of decisions share.

import Policy
import Testing

struct Question {
  var method: String? = "GET"
  var host: String? = "wiki.acme.com"
  var target: String? = "/"
  var client: String?
  var isDoubled = false
  var throughCloudflare = false
  var isPreflight = false
  var issuedAt = 1000.0
  var now = 2000.0
  var issuer = 0
  var digest: [UInt8] = []
  var revocations = RevocationTable.empty

  func request(_ source: inout [UInt8], trusted: [Network] = []) -> OriginalRequest {
    func fact(_ text: String?) -> RequestFact {
      if isDoubled { return .doubled }
      guard let text else { return .missing }
      let start = source.count
      source += text.utf8
      return RequestFact(start..<source.count)
    }
    var facts = RequestFacts()
    facts.method = fact(method)
    facts.host = fact(host)
    facts.target = fact(target)
    facts.forwardedFor = fact(client)
    facts.cameThroughCloudflare = throughCloudflare
    facts.hasPreflightFields = isPreflight
    return OriginalRequest(facts, in: source.span, trusted: trusted)
  }
}

/// `allow - engineers`, or `token` where one is needed.
func ask(_ definitions: PolicyDefinitions, as identity: CaseIdentity?, _ question: Question = Question()) throws
  -> String
{
  let set = try definitions.compile()
  var source: [UInt8] = []
  let request = question.request(&source, trusted: set.trustedProxies)
  func words(_ decision: Decision) -> String {
    "\(decision.verdict.name) \(decision.reason.name) \(decision.policy.map { set.policyName($0) } ?? "-")"
  }
  if let decision = set.decisionWithoutToken(application: 0, request: request, in: source.span) {
    return words(decision)
  }
  guard let identity else { return "token" }
  var writer = IdentityRecordWriter()
  identity.write(
    to: &writer, plan: set.claimPlan, issuer: question.issuer, issuedAt: question.issuedAt, tokenDigest: question.digest
  )
  let record = writer.bytes
  return words(
    set.decision(
      application: 0, request: request, in: source.span, identity: record.span, revocations: question.revocations,
      now: question.now))
}

/// An application `wiki` with these policies.
func wiki(
  _ policies: [PolicyDefinition]?, hosts: [String] = [], groups: [GroupDefinition] = [], preflight: Bool = false,
  report: Bool = false, headers: [HeaderDefinition] = []
) -> PolicyDefinitions {
  PolicyDefinitions(
    serviceTokens: [ServiceTokenDefinition(name: "ci", clientID: "0123456789abcdef0123456789abcdef.access")],
    groups: groups,
    applications: [
      ApplicationDefinition(
        name: "wiki", audiences: ["aud"], hosts: hosts.map { Positioned($0, at: .start) }, allowsPreflight: preflight,
        isReport: report, headers: headers, policies: policies)
    ])
}

func policy(
  _ name: String, _ action: PolicyAction, _ include: [SelectorDefinition] = [], require: [SelectorDefinition] = [],
  exclude: [SelectorDefinition] = [], match: MatchDefinition = MatchDefinition(), report: Bool = false
) -> PolicyDefinition {
  PolicyDefinition(
    name: name, action: action, isReport: report, match: match,
    who: SelectorsDefinition(include: include, require: require, exclude: exclude))
}

let everyone = SelectorDefinition(.everyone)
let lea = CaseIdentity(email: "lea@acme.com", subject: "7", country: "CH")
let ci = CaseIdentity(commonName: "0123456789abcdef0123456789abcdef.access")
let certificate = CaseIdentity(commonName: "host-1")
