// What is made of a request's fields, each with what an attacker would send.

import Testing

@testable import Policy

@Test(
  arguments: [
    ("wiki.acme.com", "wiki.acme.com"), ("wiki.acme.com:443", "wiki.acme.com"), ("wiki.acme.com.", "wiki.acme.com"),
    ("wiki.acme.com.:443", "wiki.acme.com"), ("wiki.acme.com:", "wiki.acme.com"), ("[::1]:80", "[::1]"),
    ("[::1]", "[::1]"),
    ("", nil), (".", nil), ("a..b", nil), ("a.b..", nil), ("wiki.acme.com,evil.com", nil), ("evil@wiki.acme.com", nil),
    ("wiki.acme.com/x", nil), ("wiki.acme.com:80:90", nil), ("wiki.acme.com:x", nil), ("wiki acme", nil), ("[::1", nil),
    ("[wiki]", nil), ("\u{fc}.acme.com", nil), (".acme.com", nil), ("a%2eb", nil),
  ] as [(String, String?)]) func `a host is what it names, or missing`(_ given: String, _ host: String?)
{
  let bytes = Array(given.utf8)
  let range = HostName.normalized(bytes.span, 0..<bytes.count)
  #expect(range.map { String(decoding: bytes[$0], as: UTF8.self) } == host)
}

@Test(arguments: [
  ("wiki.acme.com", "wiki.acme.com", true), ("wiki.acme.com", "WIKI.acme.com:1", true),
  ("wiki.acme.com", "a.wiki.acme.com", false),
  ("*.docs.acme.com", "x.docs.acme.com", true), ("*.docs.acme.com", "docs.acme.com", false),
  ("*.docs.acme.com", "x.y.docs.acme.com", false), ("*.docs.acme.com", "xdocs.acme.com", false),
  ("*.docs.acme.com", ".docs.acme.com", false), ("[::1]", "[::1]:8000", true),
]) func `hosts are exact, or one label under a star`(_ pattern: String, _ host: String, _ isHeld: Bool) throws {
  let definitions = wiki([policy("all", .allow, [everyone])], hosts: [pattern])
  let answer = try ask(definitions, as: lea, Question(host: host))
  #expect(answer == (isHeld ? "allow - all" : "deny wrong_host -"))
}

@Test(arguments: ["a:80", "a.", "*", "*.", "a*.b", "*.*.b", "", "a/b", "a b", "*.[::1]"])
func `what is no host pattern is refused`(_ pattern: String) { #expect(HostName.pattern(pattern) == nil) }

@Test(arguments: [
  "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a//b", "//a", "/a/.", "/a/..", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/.%2e",
  "/a/%2E", "/a%", "/a%2", "/a%zz", "/a%00", "/a\u{1}", "/a\u{7f}", "/a%0d%0a", "/%c0%af", "/%ed%a0%80", "/%ff", "/%c3",
  "/a/..?x", "/%f5%80%80%80",
]) func `a path that two programs could read in two ways is hostile`(_ target: String) {
  let bytes = Array(target.utf8)
  let path = RequestPath(bytes.span, 0..<bytes.count)
  #expect(path == .hostile)
}

@Test(arguments: [
  "/", "/a/", "/a/...", "/a/..b", "/a?x=//../%2f", "/%c3%bc", "/\u{fc}", "/a%252fb", "/a%3fb", "/.well-known/x",
])
func `other paths are clean`(_ target: String) {
  let bytes = Array(target.utf8)
  guard case .clean = RequestPath(bytes.span, 0..<bytes.count) else {
    Issue.record("\(target) is not clean")
    return
  }
}

@Test(arguments: ["", "a", "*", "http://wiki.acme.com/a", "?x"]) func `without a slash in front a path is missing`(
  _ target: String
) {
  let bytes = Array(target.utf8)
  let path = RequestPath(bytes.span, 0..<bytes.count)
  #expect(path == .missing)
}

@Test(arguments: [
  ("/x", "/x", true), ("/x", "/%78", true), ("/x", "/x/", false), ("/x", "/X", false), ("/x", "/x?y", true),
  ("/x/*", "/x/a", true), ("/x/*", "/x/", false), ("/x/*", "/x", false), ("/x/*", "/x/a/", false),
  ("/x/*", "/x/a/b", false),
  ("/x/**", "/x/", true), ("/x/**", "/x/a/b", true), ("/x/**", "/x", false), ("/x/**", "/xa", false),
  ("/**", "/", true),
  ("/*", "/a", true), ("/*", "/", false), ("/\u{fc}/*", "/%C3%BC/a", true), ("/x/**", "/%78%2fa", false),
]) func `a pattern fits what it says`(_ pattern: String, _ target: String, _ isHeld: Bool) throws {
  let definitions = wiki([policy("one", .allow, [everyone], match: MatchDefinition(paths: [pattern]))])
  let answer = try ask(definitions, as: lea, Question(target: target))
  #expect(answer == (isHeld ? "allow - one" : "deny not_allowed -"))
}

@Test(arguments: ["", "x", "/a*", "/*/a", "/***", "/a%20", "/a?b", "/a//b", "/a/../b", "/a\\b", "/a/**/b", "*"])
func `what is no pattern is refused`(_ pattern: String) { #expect(!PathPattern.isPattern(pattern)) }

@Test(
  arguments: [
    ("10.1.2.3", "10.1.2.3"), ("evil, 10.1.2.3", "10.1.2.3"), ("192.168.1.1, 10.1.2.3, 127.0.0.1", "10.1.2.3"),
    ("::ffff:10.1.2.3", "10.1.2.3"), ("10.1.2.3,::1", "10.1.2.3"), ("fd00::1", "fd00:0:0:0:0:0:0:1"),
    (" 10.1.2.3\t", "10.1.2.3"), ("127.0.0.1", nil), ("127.0.0.1, ::1", nil), ("10.1.2.3:80", nil), ("[fd00::1]", nil),
    ("fe80::1%eth0", nil), ("10.1.2.3,", nil), ("", nil), ("010.1.2.3", nil), ("10.1.2", nil),
    ("10.1.2.3, unknown", nil),
    ("1:2:3:4:5:6:7::8", nil), ("::1::", nil),
  ] as [(String, String?)]) func `the client is the last address that is no proxy's`(_ list: String, _ address: String?)
{
  var source: [UInt8] = []
  let trusted = PolicyDefinitions.defaultTrustedProxies.compactMap { Network($0) }
  let request = Question(client: list).request(&source, trusted: trusted)
  if case .address(let found) = request.client {
    #expect("\(found)" == address)
  } else {
    #expect(address == nil)
  }
}

@Test(arguments: [
  ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("0.0.0.0/0", "1.2.3.4", true),
  ("::/0", "1.2.3.4", false), ("::/0", "fd00::1", true), ("0.0.0.0/0", "fd00::1", false),
  ("10.1.2.3", "10.1.2.3", true),
  ("fd00::/8", "fdff::1", true), ("fd00::/8", "fe00::1", false), ("::ffff:10.0.0.0/104", "10.1.1.1", true),
  ("2001:db8::/33", "2001:db8:8000::1", false),
]) func `a network holds its addresses`(_ network: String, _ address: String, _ isHeld: Bool) throws {
  #expect(try #require(Network(network)).contains(#require(IPAddress(address))) == isHeld)
}

@Test(arguments: [
  "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "::1/64", "a/8", "", "10.0.0.0/8/8", "fe80::1%1",
])
func `what is no network is refused`(_ text: String) { #expect(Network(text) == nil) }

private let office = MatchDefinition(clientAddresses: ["10.0.0.0/8"])

@Test func `a tunnel's address opens nothing and closes nothing`() throws {
  let question = Question(client: "10.1.2.3", throughCloudflare: true)
  #expect(try ask(wiki([policy("lan", .bypass, match: office)]), as: nil, question) == "token")
  #expect(
    try ask(wiki([policy("lan", .bypass, match: office)]), as: nil, Question(client: "10.1.2.3")) == "allow bypass lan")
  let denying = wiki([policy("lan", .deny, match: office), policy("all", .allow, [everyone])])
  #expect(try ask(denying, as: lea, question) == "allow - all")
}

@Test(arguments: [
  MatchDefinition(methods: ["GET"]), MatchDefinition(paths: ["/**"]), MatchDefinition(hosts: ["wiki.acme.com"]), office,
]) func `a field that is missing or doubled matches no rule but a deny`(_ match: MatchDefinition) throws {
  let missing = Question(method: nil, host: nil, target: nil)
  for question in [missing, Question(client: "10.1.2.3", isDoubled: true)] {
    #expect(try ask(wiki([policy("one", .allow, [everyone], match: match)]), as: lea, question) == "deny not_allowed -")
    #expect(try ask(wiki([policy("one", .bypass, match: match)]), as: nil, question) == "token")
    let denying = wiki([policy("one", .deny, match: match), policy("all", .allow, [everyone])])
    #expect(try ask(denying, as: lea, question) == "deny not_allowed one")
  }
}

@Test func `a definite no wins over something missing`() throws {
  let match = MatchDefinition(methods: ["POST"], clientAddresses: ["10.0.0.0/8"])
  let denying = wiki([policy("one", .deny, match: match), policy("all", .allow, [everyone])])
  #expect(try ask(denying, as: lea) == "allow - all")
  #expect(try ask(denying, as: lea, Question(method: "POST")) == "deny not_allowed one")
}
