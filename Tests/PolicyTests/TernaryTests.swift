// Three-valued logic: the tables of Kleene, and how policies and groups read them.

import Testing

@testable import Policy

@Test func `and, or and not are those of Kleene`() {
  let values: [Ternary] = [.no, .unknown, .yes]
  let and: [[Ternary]] = [[.no, .no, .no], [.no, .unknown, .unknown], [.no, .unknown, .yes]]
  let or: [[Ternary]] = [[.no, .unknown, .yes], [.unknown, .unknown, .yes], [.yes, .yes, .yes]]
  for (row, one) in values.enumerated() {
    for (column, other) in values.enumerated() {
      #expect(one.and(other) == and[row][column])
      #expect(one.or(other) == or[row][column])
    }
  }
  #expect(values.map(\.negated) == [.yes, .unknown, .no])
}

/// An identity for which claims i, r and e say these values to a selector of `v`.
private func identity(_ include: Ternary, _ require: Ternary, _ exclude: Ternary) -> CaseIdentity {
  var claims: [ClaimValue.Member] = []
  for (name, value) in [("i", include), ("r", require), ("e", exclude)] {
    switch value {
    case .no: claims.append(ClaimValue.Member(name, .text("w")))
    case .yes: claims.append(ClaimValue.Member(name, .text("v")))
    case .unknown: break
    }
  }
  return CaseIdentity(email: "a@b.c", claims: claims)
}

private func claim(_ name: String) -> SelectorDefinition { SelectorDefinition(.claim, claimPath: name, values: ["v"]) }

private let combinations = Ternary.allCases.flatMap { include in
  Ternary.allCases.flatMap { require in Ternary.allCases.map { [include, require, $0] } }
}

@Test(arguments: combinations) func `missing data opens nothing, and counts towards a deny`(_ values: [Ternary]) throws
{
  let who = identity(values[0], values[1], values[2])
  let admits = values == [.yes, .yes, .no]
  let allowing = wiki([policy("one", .allow, [claim("i")], require: [claim("r")], exclude: [claim("e")])])
  #expect(try ask(allowing, as: who) == (admits ? "allow - one" : "deny not_allowed -"))
  let denies = values[0] != .no && values[1] != .no && values[2] != .yes
  let denying = wiki([
    policy("one", .deny, [claim("i")], require: [claim("r")], exclude: [claim("e")]), policy("all", .allow, [everyone]),
  ])
  #expect(try ask(denying, as: who) == (denies ? "deny not_allowed one" : "allow - all"))
}

@Test(arguments: combinations) func `a group stays three-valued, and the policy reads the result`(_ values: [Ternary])
  throws
{
  let who = identity(values[0], values[1], values[2])
  let group = GroupDefinition(
    name: "g", who: SelectorsDefinition(include: [claim("i")], require: [claim("r")], exclude: [claim("e")]))
  let member = SelectorDefinition(.groups, values: ["g"])
  let result = Ternary(rawValue: min(values[0].rawValue, values[1].rawValue, 2 - values[2].rawValue))
  let included = try ask(wiki([policy("one", .allow, [member])], groups: [group]), as: who)
  #expect(included == (result == .yes ? "allow - one" : "deny not_allowed -"))
  let excluded = try ask(wiki([policy("one", .allow, [everyone], exclude: [member])], groups: [group]), as: who)
  #expect(excluded == (result == .no ? "allow - one" : "deny not_allowed -"))
  let denied = try ask(
    wiki([policy("one", .deny, [member]), policy("all", .allow, [everyone])], groups: [group]), as: who)
  #expect(denied == (result == .no ? "allow - all" : "deny not_allowed one"))
  let spared = try ask(
    wiki([policy("one", .deny, exclude: [member]), policy("all", .allow, [everyone])], groups: [group]), as: who)
  #expect(spared == (result == .yes ? "allow - all" : "deny not_allowed one"))
}

private typealias Row = (title: String, selector: SelectorDefinition, who: CaseIdentity, result: Ternary)

private func value(_ value: ClaimValue, under name: String = "c") -> CaseIdentity {
  CaseIdentity(email: "a@b.c", claims: [ClaimValue.Member(name, value)])
}

private func c(_ values: String...) -> SelectorDefinition { SelectorDefinition(.claim, claimPath: "c", values: values) }

private let rows: [Row] = [
  ("email without case", SelectorDefinition(.emails, values: ["LEA@acme.com"]), lea, .yes),
  ("another email", SelectorDefinition(.emails, values: ["x@acme.com"]), lea, .no),
  ("an email of a machine", SelectorDefinition(.emails, values: ["x@acme.com"]), ci, .no),
  ("a domain", SelectorDefinition(.emailDomains, values: ["ACME.com"]), lea, .yes),
  ("no sub-domains", SelectorDefinition(.emailDomains, values: ["com"]), lea, .no),
  ("a longer domain", SelectorDefinition(.emailDomains, values: ["cme.com"]), lea, .no),
  ("a country", SelectorDefinition(.countries, values: ["DE", "CH"]), lea, .yes),
  ("no country", SelectorDefinition(.countries, values: ["CH"]), CaseIdentity(email: "a@b.c"), .unknown),
  ("a country of a machine", SelectorDefinition(.countries, values: ["CH"]), ci, .no),
  ("a subject", SelectorDefinition(.subjects, values: ["7"]), lea, .yes),
  ("no subject", SelectorDefinition(.subjects, values: ["7"]), CaseIdentity(email: "a@b.c"), .unknown),
  ("a service token", SelectorDefinition(.serviceTokens, values: ["ci"]), ci, .yes),
  ("a service token of a person", SelectorDefinition(.serviceTokens, values: ["ci"]), lea, .no),
  ("any service token", SelectorDefinition(.anyValidServiceToken), ci, .yes),
  ("a certificate is no service token", SelectorDefinition(.anyValidServiceToken), certificate, .no),
  ("a certificate", SelectorDefinition(.commonNames, values: ["host-1"]), certificate, .yes),
  ("a Client ID is no certificate's", SelectorDefinition(.commonNames, values: [ci.commonName!]), ci, .no),
  ("a text", c("v"), value(.text("v")), .yes),
  ("a text's number", c("1.0"), value(.text("1")), .no),
  ("a number in another spelling", c("1.0"), value(.number("1")), .yes),
  ("a number with an exponent", c("1e2"), value(.number("100.00")), .yes),
  ("minus zero", c("-0"), value(.number("0.0")), .yes),
  ("numbers that are one Double", c("9007199254740993"), value(.number("9007199254740992")), .no),
  ("a fraction exactly", c("0.1"), value(.number("0.1")), .yes),
  ("a switch", c("true"), value(.boolean(true)), .yes),
  ("the other switch", c("true"), value(.boolean(false)), .no),
  ("null", c("v"), value(.null), .unknown),
  ("an object", c("v"), value(.object([])), .unknown),
  ("an empty array", c("v"), value(.list([])), .no),
  ("an array with it", c("v"), value(.list([.text("x"), .text("v")])), .yes),
  ("an array with it behind an object", c("v"), value(.list([.object([]), .text("v")])), .yes),
  ("an array without it", c("v"), value(.list([.text("x"), .number("1")])), .no),
  ("an array without it and with an object", c("v"), value(.list([.text("x"), .object([])])), .unknown),
  ("an array in an array", c("v"), value(.list([.list([.text("v")])])), .unknown),
  ("a number with too many digits", c("v"), value(.number(String(repeating: "9", count: 65))), .unknown),
  ("under custom", c("v"), value(.object([ClaimValue.Member("c", .text("v"))]), under: "custom"), .yes),
  (
    "a path through objects", SelectorDefinition(.claim, claimPath: "a.b", values: ["v"]),
    value(.object([ClaimValue.Member("b", .text("v"))]), under: "a"), .yes
  ),
  (
    "the top wins over custom", c("v"),
    CaseIdentity(
      email: "a@b.c",
      claims: [
        ClaimValue.Member("c", .text("w")),
        ClaimValue.Member("custom", .object([ClaimValue.Member("c", .text("v"))])),
      ]), .no
  ),
]

@Test(arguments: rows.indices) func `a selector says yes, no or unknown`(_ index: Int) throws {
  let row = rows[index]
  let set = try wiki([policy("one", .deny, [row.selector])]).compile()
  var writer = IdentityRecordWriter()
  row.who.write(to: &writer, plan: set.claimPlan)
  let record = writer.bytes
  let result = set.holds(set.selectors[0], record.span)
  #expect(result == row.result, "\(row.title)")
}
