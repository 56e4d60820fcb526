// What is kept of a token, what leaves of it in headers, and the revocation list.

import Testing

@testable import Policy

private func headers(_ list: [HeaderDefinition], _ identity: CaseIdentity?, global: [HeaderDefinition] = []) throws
  -> String?
{
  var definitions = wiki(nil, headers: list)
  definitions.headers = global
  let set = try definitions.compile()
  var writer = IdentityRecordWriter()
  identity?.write(to: &writer, plan: set.claimPlan)
  let record = identity == nil ? [] : writer.bytes
  var buffer: [UInt8] = []
  return set.appendHeaders(of: 0, identity: record.span, to: &buffer) ? String(decoding: buffer, as: UTF8.self) : nil
}

private func claim(_ name: String, join: String? = nil) -> HeaderDefinition {
  HeaderDefinition(name: "X-A", content: .claim(path: name, join: join))
}

private func member(_ value: ClaimValue) -> CaseIdentity {
  CaseIdentity(email: "a@b.c", claims: [ClaimValue.Member("c", value)])
}

@Test func `a header holds its claim, escaped, and a comma inside an element is no separator`() throws {
  let list = ClaimValue.list([
    .text("a,b"), .text("\u{e9}%\r\nX: y"), .number("1.50"), .boolean(true), .null, .object([]),
  ])
  #expect(try headers([claim("c", join: ",")], member(list)) == "X-A: a%2Cb,%C3%A9%25%0D%0AX: y,1.50,true\r\n")
  #expect(try headers([claim("c")], member(list)) == "X-A: \r\n")
  #expect(try headers([claim("c", join: ",")], member(.text("a,b"))) == "X-A: a,b\r\n")
  #expect(try headers([claim("c")], member(.number("1e2"))) == "X-A: 1e2\r\n")
  #expect(try headers([claim("c")], member(.object([]))) == "X-A: \r\n")
  #expect(try headers([claim("c")], CaseIdentity(email: "a@b.c")) == "X-A: \r\n")
  #expect(try headers([claim("c")], nil) == "X-A: \r\n")
}

@Test func `an application's header wins over the global one, and a constant leaves without an identity`() throws {
  let global = [
    HeaderDefinition(name: "x-a", content: .value("global")), HeaderDefinition(name: "X-B", content: .value("b")),
  ]
  let own = [HeaderDefinition(name: "X-A", content: .value("o\u{e9}"))]
  #expect(try headers(own, nil, global: global) == "X-B: b\r\nX-A: o%C3%A9\r\n")
}

@Test func `headers over their bounds leave nobody in`() throws {
  func text(_ count: Int) -> CaseIdentity { member(.text(String(repeating: "a", count: count))) }
  #expect(try headers([claim("c")], text(4096)) != nil)
  #expect(try headers([claim("c")], text(4097)) == nil)
  let three = ["X-A", "X-B", "X-C"].map { HeaderDefinition(name: $0, content: .claim(path: "c", join: nil)) }
  #expect(try headers(Array(three.prefix(2)), text(4096)) != nil)
  #expect(try headers(three, text(4096)) == nil)
}

@Test func `a record is bounded, and what was cut is unknown and no header`() throws {
  let selector = SelectorDefinition(.claim, claimPath: "c", values: ["last"])
  let set = try wiki(
    [policy("one", .deny, [selector])], headers: [HeaderDefinition(name: "X-A", content: .claim(path: "c", join: ","))]
  ).compile()
  var writer = IdentityRecordWriter()
  let long = ClaimValue.list((0..<5000).map { .text("element \($0)") } + [.text("last")])
  member(long).write(to: &writer, plan: set.claimPlan)
  let record = writer.bytes
  #expect(record.count <= IdentityRecord.maximumBytes)
  let result = set.holds(set.selectors[0], record.span)
  #expect(result == .unknown)
  var buffer: [UInt8] = []
  let fits = set.appendHeaders(of: 0, identity: record.span, to: &buffer)
  #expect(!fits)
  // Each of many slots gets its mark.
  let paths = (0..<ClaimPlan.mostSlots).compactMap { ClaimPath("c\($0)") }
  let claims = paths.map { ClaimValue.Member($0.text, .text(String(repeating: "x", count: 500))) }
  let plan = ClaimPlan(paths)
  CaseIdentity(email: "a@b.c", claims: claims).write(to: &writer, plan: plan)
  #expect(writer.bytes.count <= IdentityRecord.maximumBytes)
  let full = writer.bytes
  let isUsable = IdentityRecord.isUsable(full.span, for: plan)
  #expect(isUsable)
}

@Test(arguments: [
  ("1", "1.0", true), ("1", "1e0", true), ("100", "1E+2", true), ("0.001", "1e-3", true), ("-0", "0", true),
  ("0e999999999999", "0", true), ("1", "-1", false), ("12", "1", false), ("10", "1", false),
]) func `numbers are equal exactly when their canonical forms are`(_ one: String, _ other: String, _ isEqual: Bool) {
  func canonical(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    let source = Array(text.utf8)
    let isNumber = DecimalNumber.appendCanonical(source.span, 0..<source.count, to: &bytes)
    return isNumber ? bytes : [255]
  }
  #expect((canonical(one) == canonical(other)) == isEqual)
}

@Test(arguments: [
  "", "-", "01", "1.", ".5", "1e", "+1", "1 ", "0x1", "NaN", "1e9999999", String(repeating: "1", count: 65),
])
func `what is no number that can be compared has no canonical form`(_ text: String) {
  var bytes: [UInt8] = [7]
  let source = Array(text.utf8)
  let isNumber = DecimalNumber.appendCanonical(source.span, 0..<source.count, to: &bytes)
  #expect(!isNumber)
  #expect(bytes == [7])
}

@Test(arguments: [
  "0123456789abcdef0123456789abcdef.access", "0123456789ABCDEF0123456789abcdef.access.acme.com",
]) func `a Client ID is one`(_ text: String) { #expect(ClientID.isClientID(text)) }

@Test(arguments: [
  "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef.access.",
  "0123456789abcdef0123456789abcde.access",
  "g123456789abcdef0123456789abcdef.access", "0123456789abcdef0123456789abcdef.accessx",
  "0123456789abcdef0123456789abcdef.access.a..b", "x.0123456789abcdef0123456789abcdef.access", "",
]) func `another shape is no Client ID`(_ text: String) { #expect(!ClientID.isClientID(text)) }

// MARK: - Revocations

private func isRevoked(
  _ list: [Revocation], _ identity: CaseIdentity, issuedAt: Double = 1000, now: Double = 2000, issuer: Int = 0
)
  -> Bool
{
  let plan = ClaimPlan([])
  var writer = IdentityRecordWriter()
  identity.write(
    to: &writer, plan: plan, issuer: issuer, issuedAt: issuedAt, tokenDigest: [UInt8](repeating: 0xAB, count: 32))
  let record = writer.bytes
  return RevocationTable(list).revokes(record.span, now: now)
}

@Test func `an entry revokes by each of its keys`() {
  let who = CaseIdentity(email: "Lea@acme.com", subject: "7", nonce: "n")
  #expect(isRevoked([Revocation(.email, Array("lea@ACME.com".utf8))], who))
  #expect(isRevoked([Revocation(.subject, Array("7".utf8))], who))
  #expect(isRevoked([Revocation(.nonce, Array("n".utf8))], who))
  #expect(isRevoked([Revocation(.tokenDigest, [UInt8](repeating: 0xAB, count: 32))], who))
  #expect(isRevoked([Revocation(.serviceToken, Array(ci.commonName!.utf8))], ci))
  // The same text under another key is another thing.
  #expect(!isRevoked([Revocation(.subject, Array("n".utf8)), Revocation(.nonce, Array("7".utf8))], who))
  #expect(!isRevoked([Revocation(.subject, Array("77".utf8))], who))
  #expect(!isRevoked([], who))
}

@Test func `a later sign-in counts again, and an entry past its time is void`() {
  let before = Revocation(.subject, Array("7".utf8), issuedBefore: 1000)
  #expect(isRevoked([before], lea, issuedAt: 999.5) && !isRevoked([before], lea, issuedAt: 1000))
  let until = Revocation(.subject, Array("7".utf8), until: 2000)
  #expect(isRevoked([until], lea, now: 1999) && !isRevoked([until], lea, now: 2000))
  let issuer = Revocation(.subject, Array("7".utf8), issuer: 1)
  #expect(isRevoked([issuer], lea, issuer: 1) && !isRevoked([issuer], lea, issuer: 0))
  // A void entry does not hide one that is in force.
  #expect(isRevoked([until, Revocation(.subject, Array("7".utf8))], lea, now: 3000))
}

@Test func `100,000 entries are found, and nothing else`() {
  let table = RevocationTable((0..<100_000).map { Revocation(.email, Array("user-\($0)@acme.com".utf8)) })
  #expect(table.count == 100_000)
  var writer = IdentityRecordWriter()
  let plan = ClaimPlan([])
  for number in stride(from: 0, to: 200_000, by: 997) {
    CaseIdentity(email: "USER-\(number)@acme.com").write(to: &writer, plan: plan)
    let record = writer.bytes
    let isRevoked = table.revokes(record.span, now: 0)
    #expect(isRevoked == (number < 100_000))
  }
}

@Test(arguments: [
  ("1970-01-01T00:00:00Z", 0), ("2026-11-25T13:42:00Z", 1_795_614_120),
  ("2026-11-25t14:42:00.5+01:00", 1_795_614_120.5),
  ("2024-02-29 00:00:00z", 1_709_164_800), ("1969-12-31T23:59:59Z", -1), ("2026-11-25T13:42:00-00:30", 1_795_615_920),
]) func `a time is read`(_ text: String, _ seconds: Double) { #expect(Timestamp.seconds(text) == seconds) }

@Test(arguments: [
  "", "2026-11-25", "2026-11-25T13:42Z", "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
  "2026-11-25T24:00:00Z", "2026-11-25T13:42:60Z", "2026-11-25T13:42:00", "2026-11-25T13:42:00.Z",
  "2026-11-25T13:42:00+1:00",
  "2026-11-25T13:42:00Zx", "20261125T134200Z-----",
]) func `what is no time of RFC 3339 is refused`(_ text: String) { #expect(Timestamp.seconds(text) == nil) }
