// Policy tests, explanations and notes.

import Testing

@testable import Policy

private let share = policy("public", .bypass, match: MatchDefinition(paths: ["/share/**"]))
private let people = policy(
  "people", .allow, [SelectorDefinition(.emailDomains, values: ["acme.com"])],
  require: [SelectorDefinition(.countries, values: ["CH"])])

private func run(_ cases: [PolicyCase], covering: Bool = false) throws -> (results: [CaseResult], uncovered: [String]) {
  let definitions = wiki([share, people], hosts: ["*.acme.com"])
  var runner = CaseRunner(try definitions.compile(), definitions)
  let results = cases.map { runner.run($0, covering: covering) }
  return (results, runner.uncovered)
}

private func test(_ identity: CaseIdentity?, _ path: String?, _ expectation: CaseExpectation) -> PolicyCase {
  PolicyCase(
    title: "a # b\nc", application: "wiki", identity: identity, request: CaseRequest(path: path),
    expectation: expectation)
}

@Test func `a case passes when all that it expects came about`() throws {
  let (results, _) = try run([
    test(
      lea, nil, CaseExpectation(.allow, reason: "-", policy: "people", headers: [.init("x-auth-user", "lea@acme.com")])),
    test(lea, "/share/x", CaseExpectation(.allow, reason: "bypass", headers: [.init("X-Auth-User", "")])),
    test(nil, nil, CaseExpectation(.deny, reason: "missing")),
    test(ci, nil, CaseExpectation(.deny, reason: "not_allowed", policy: "-")),
  ])
  #expect(results.map(\.failures) == [[], [], [], []])
}

@Test func `a case that is not as expected says what differs`() throws {
  let (results, _) = try run([
    test(lea, nil, CaseExpectation(.deny)), test(lea, nil, CaseExpectation(.allow, policy: "public")),
    test(lea, nil, CaseExpectation(.allow, headers: [.init("X-Auth-Kind", "service")])),
  ])
  #expect(results.map(\.isPassed) == [false, false, false])
  #expect(results[0].failures[0] == "verdict: expected 'deny', got 'allow'")
  #expect(
    TAPReport.text([results[0]])
      == "TAP version 13\n1..1\nnot ok 1 - a \\# b\\u{a}c\n# verdict: expected 'deny', got 'allow'\n"
      + "# decided by: allow, reason -, policy people\n")
}

@Test func `coverage names what no case decided`() throws {
  let one = test(lea, nil, CaseExpectation(.allow))
  #expect(
    try run([one], covering: true).uncovered == [
      "wiki: policy 'public' decided no case", "wiki: policy 'people': require countries decided no case",
    ])
  let all = [
    one, test(nil, "/share/x", CaseExpectation(.allow)),
    test(CaseIdentity(email: "x@acme.com", country: "DE"), nil, CaseExpectation(.deny)),
  ]
  #expect(try run(all, covering: true).uncovered == [])
}

@Test func `an explanation names each selector and why`() throws {
  let set = try wiki([share, people]).compile()
  var source: [UInt8] = []
  let request = Question(target: "/x").request(&source)
  var writer = IdentityRecordWriter()
  CaseIdentity(email: "lea@acme.com").write(to: &writer, plan: set.claimPlan)
  let record = writer.bytes
  let (explanation, policies) = set.explanation(
    application: 0, request: request, in: source.span, identity: record.span, revocations: .empty, now: 0)
  #expect(explanation?.decision.verdict == .deny)
  #expect(
    policies.map { $0.parts.map { "\($0.part) \($0.title): \($0.result), \($0.why)" } } == [
      ["match paths: no, path is /x"],
      [
        "action allow: yes, the token is a person's", "include email_domains: yes, email is lea@acme.com",
        "require countries: unknown, country is missing",
      ],
    ])
}

@Test func `notes name what may not be meant`() {
  var definitions = wiki(
    [
      policy("open", .bypass), policy("later", .bypass, match: MatchDefinition(methods: ["GET"])),
      policy("maybe", .deny, report: true),
      policy("all", .allow, [everyone], match: MatchDefinition(methods: ["GET", "POST"])),
      policy(
        "some", .allow, [SelectorDefinition(.emails, values: ["a@b.c"])],
        require: [SelectorDefinition(.countries, values: ["CH", "DE"])],
        exclude: [SelectorDefinition(.claim, claimPath: "groups", values: ["x"])],
        match: MatchDefinition(methods: ["GET"])),
    ], groups: [GroupDefinition(name: "g", who: SelectorsDefinition(include: [everyone]))], report: true)
  definitions.applications[0].hosts = []
  definitions.applications.append(
    ApplicationDefinition(
      name: "two", audiences: ["b"], hosts: [Positioned("a.b", at: .start), Positioned("A.b", at: .start)]))
  let notes = definitions.notes.map(\.text)
  for wanted in [
    "has no hosts", "application wiki is in mode report", "'maybe' is in mode report",
    "'open' is a bypass without match",
    "'later' never decides: 'open'", "'some' never decides: 'open'", "require countries has several values",
    "exclude claims.groups looks at a claim that Access drops", "group g is used nowhere",
    "service token ci is used nowhere",
    "host A.b is of this application already",
  ] {
    #expect(notes.contains { $0.contains(wanted) }, "\(wanted)")
  }
}

@Test func `a policy is hidden only by one that always decides before it`() {
  let get = MatchDefinition(methods: ["GET"])
  let mails = SelectorDefinition(.emails, values: ["a@b.c", "d@e.f"])
  let one = SelectorDefinition(.emails, values: ["a@b.c"])
  #expect(policy("a", .allow, [everyone]).hides(policy("b", .allow, [one], match: get)))
  #expect(!policy("a", .allow, [everyone], match: get).hides(policy("b", .allow, [one])))
  #expect(!policy("a", .allow, [everyone]).hides(policy("b", .serviceAuth, [everyone])))
  #expect(!policy("a", .allow, [everyone]).hides(policy("b", .bypass, match: get)))
  #expect(policy("a", .allow, [mails]).hides(policy("b", .allow, [one])))
  #expect(!policy("a", .allow, [one]).hides(policy("b", .allow, [mails])))
  #expect(!policy("a", .allow, [mails], exclude: [one]).hides(policy("b", .allow, [one])))
  #expect(policy("a", .deny).hides(policy("b", .bypass)))
  #expect(!policy("a", .deny, report: true).hides(policy("b", .bypass)))
}
