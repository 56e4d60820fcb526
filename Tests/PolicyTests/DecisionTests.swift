// The order of a decision.

import Testing

@testable import Policy

private let share = MatchDefinition(paths: ["/share/**"])

@Test func `a bypass counts only on the application's hosts`() throws {
  let definitions = wiki([policy("public", .bypass, match: share)], hosts: ["wiki.acme.com"])
  #expect(try ask(definitions, as: nil, Question(target: "/share/x")) == "allow bypass public")
  #expect(try ask(definitions, as: nil, Question(host: "evil.com", target: "/share/x")) == "token")
  #expect(try ask(definitions, as: nil, Question(host: nil, target: "/share/x")) == "token")
  #expect(try ask(definitions, as: lea, Question(host: "evil.com", target: "/share/x")) == "deny wrong_host -")
}

@Test func `a deny that may hold stands before a bypass until the token is seen`() throws {
  let office = MatchDefinition(clientAddresses: ["10.0.0.0/8"])
  let definitions = wiki([
    policy("bad", .deny, [SelectorDefinition(.emails, values: ["bad@acme.com"])], match: office),
    policy("public", .bypass, match: share),
  ])
  // The address is missing: the deny may hold.
  #expect(try ask(definitions, as: nil, Question(target: "/share/x")) == "token")
  #expect(try ask(definitions, as: lea, Question(target: "/share/x")) == "allow bypass public")
  #expect(
    try ask(definitions, as: CaseIdentity(email: "bad@acme.com"), Question(target: "/share/x"))
      == "deny not_allowed bad")
  #expect(try ask(definitions, as: nil, Question(target: "/share/x", client: "11.0.0.1")) == "allow bypass public")
}

@Test func `a hostile path is denied whatever policies say of it`() throws {
  let definitions = wiki(
    [policy("public", .bypass, match: share), policy("all", .allow, [everyone])], preflight: true)
  let hostile = Question(method: "OPTIONS", target: "/share/%2e%2e/admin", isPreflight: true)
  #expect(try ask(definitions, as: nil, hostile) == "token")
  #expect(try ask(definitions, as: lea, hostile) == "deny not_allowed -")
  // Where no policy looks at paths they are the application's own business.
  #expect(try ask(wiki([policy("all", .allow, [everyone])]), as: lea, hostile) == "allow - all")
}

@Test func `a preflight is OPTIONS with both of its fields`() throws {
  let definitions = wiki([policy("all", .allow, [everyone])], hosts: ["wiki.acme.com"], preflight: true)
  #expect(try ask(definitions, as: nil, Question(method: "OPTIONS", isPreflight: true)) == "allow preflight -")
  #expect(try ask(definitions, as: nil, Question(method: "OPTIONS")) == "token")
  #expect(try ask(definitions, as: nil, Question(method: "GET", isPreflight: true)) == "token")
  #expect(try ask(definitions, as: nil, Question(method: "OPTIONS", host: "evil.com", isPreflight: true)) == "token")
  let off = wiki([policy("all", .allow, [everyone])])
  #expect(try ask(off, as: nil, Question(method: "OPTIONS", isPreflight: true)) == "token")
}

@Test func `allow is for people and service_auth for machines`() throws {
  let any = wiki([policy("people", .allow, [everyone]), policy("machines", .serviceAuth, [everyone])])
  #expect(try ask(any, as: lea) == "allow - people")
  #expect(try ask(any, as: ci) == "allow - machines")
  #expect(try ask(any, as: certificate) == "allow - machines")
  #expect(try ask(wiki([policy("people", .allow, [everyone])]), as: ci) == "deny not_allowed -")
}

@Test func `without policies everyone with a good token comes in`() throws {
  #expect(try ask(wiki(nil), as: ci) == "allow - -")
  #expect(try ask(wiki(nil), as: nil) == "token")
  #expect(try ask(wiki([]), as: lea) == "deny not_allowed -")
}

@Test func `wrong host comes before revoked, and revoked before policies`() throws {
  let revoked = RevocationTable([Revocation(.email, Array("lea@acme.com".utf8))])
  let definitions = wiki([policy("all", .allow, [everyone])], hosts: ["wiki.acme.com"])
  #expect(try ask(definitions, as: lea, Question(host: "evil.com", revocations: revoked)) == "deny wrong_host -")
  #expect(try ask(definitions, as: lea, Question(revocations: revoked)) == "deny revoked -")
  #expect(try ask(wiki(nil), as: lea, Question(revocations: revoked)) == "deny revoked -")
}

@Test func `report turns a denial into a report, and no token into nothing`() throws {
  let definitions = wiki([policy("none", .deny)], hosts: ["wiki.acme.com"], report: true)
  #expect(try ask(definitions, as: lea) == "report not_allowed none")
  #expect(try ask(definitions, as: lea, Question(host: "evil.com")) == "report wrong_host -")
  #expect(try ask(definitions, as: nil) == "token")
}

@Test func `a deny in mode report is noted and passed over`() throws {
  let set = try wiki([policy("maybe", .deny, report: true), policy("all", .allow, [everyone])]).compile()
  var source: [UInt8] = []
  let request = Question().request(&source)
  var writer = IdentityRecordWriter()
  lea.write(to: &writer, plan: set.claimPlan)
  let record = writer.bytes
  let decision = set.decision(
    application: 0, request: request, in: source.span, identity: record.span, revocations: .empty, now: 0)
  #expect(decision.verdict == .allow && decision.policy == 1)
  #expect(decision.noted.count == 1 && decision.noted[0] == 0)
}

@Test func `a record of another plan opens nothing`() throws {
  let set = try wiki([policy("all", .allow, [everyone])]).compile()
  let other = try wiki([policy("all", .allow, [SelectorDefinition(.claim, claimPath: "x", values: ["y"])])]).compile()
  var source: [UInt8] = []
  let request = Question().request(&source)
  var writer = IdentityRecordWriter()
  lea.write(to: &writer, plan: other.claimPlan)
  for record in [writer.bytes, [], [UInt8](repeating: 1, count: 100)] {
    let decision = set.decision(
      application: 0, request: request, in: source.span, identity: record.span, revocations: .empty, now: 0)
    #expect(decision.verdict == .deny)
  }
}

@Test func `an application has its name and its audiences, and a shared audience is nobody's`() throws {
  let definitions = PolicyDefinitions(
    issuers: ["a", "b"],
    applications: [
      ApplicationDefinition(name: "one", issuer: 0, audiences: ["x", "shared"]),
      ApplicationDefinition(name: "two", issuer: 1, audiences: ["y", "shared"]),
    ])
  let set = try definitions.compile()
  func place(_ name: String) -> Int? {
    let segment = Array(name.utf8)
    return set.application(named: segment.span)
  }
  #expect([place("one"), place("x"), place("two"), place("y")] == [0, 0, 1, 1])
  #expect([place("shared"), place("z"), place(""), place("onex")] == [nil, nil, nil, nil])
}

@Test func `a thousand applications and large sets are found`() throws {
  let many = (0..<1000).map { number in
    ApplicationDefinition(
      name: "app-\(number)", audiences: ["aud\(number)"],
      policies: [
        policy("p", .allow, [SelectorDefinition(.emails, values: (0..<50).map { "u\($0)@\(number).example" })])
      ])
  }
  let set = try PolicyDefinitions(applications: many).compile()
  for number in [0, 499, 999] {
    let segment = Array("aud\(number)".utf8)
    let place = set.application(named: segment.span)
    #expect(place == number)
    var writer = IdentityRecordWriter()
    for (email, isIn) in [("U49@\(number).example", true), ("u50@\(number).example", false)] {
      CaseIdentity(email: email).write(to: &writer, plan: set.claimPlan)
      let record = writer.bytes
      let result = set.holds(set.selectors[number], record.span)
      #expect(result == Ternary(isIn))
    }
  }
}

@Test func `a group that holds itself, and groups without end, do not compile`() {
  func group(_ name: String, _ inner: [String]) -> GroupDefinition {
    GroupDefinition(name: name, who: SelectorsDefinition(include: [SelectorDefinition(.groups, values: inner)]))
  }
  let cycle = wiki(nil, groups: [group("a", ["b"]), group("b", ["a"])])
  #expect(throws: CompileError.self) { try cycle.compile() }
  var doubling = [GroupDefinition(name: "g0", who: SelectorsDefinition(include: [everyone]))]
  for number in 1..<16 { doubling.append(group("g\(number)", ["g\(number - 1)", "g\(number - 1)", "g\(number - 1)"])) }
  #expect(throws: CompileError.self) { try wiki(nil, groups: doubling).compile() }
  var chain = [GroupDefinition(name: "g0", who: SelectorsDefinition(include: [everyone]))]
  for number in 1..<40 { chain.append(group("g\(number)", ["g\(number - 1)"])) }
  #expect(throws: CompileError.self) { try wiki(nil, groups: chain).compile() }
  #expect(throws: Never.self) { try wiki(nil, groups: Array(chain.prefix(16))).compile() }
}
