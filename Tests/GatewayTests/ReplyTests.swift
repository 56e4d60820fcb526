// What the program writes: replies to denials, readiness, queries of the stand-in.

import Foundation
import Telemetry
import Testing
import Token

@testable import Admin
@testable import DevIssuer
@testable import ForwardAuth
@testable import HTTPServing

@Suite struct ReplyTests {
  private func written(_ reason: Reason, unavailable: UInt16 = 503, exposes: Bool = false) -> (UInt16, String, String) {
    var reply = Reply()
    var references = RequestReferences()
    let reference = references.next()
    ReplyTexts(unavailableStatus: unavailable, exposesReason: exposes).write(reason, reference, to: &reply)
    let (status, lines, body) = (reply.status, reply.fieldLines, reply.body)
    return (status, String(decoding: lines, as: UTF8.self), String(decoding: body, as: UTF8.self))
  }

  @Test(arguments: Reason.allCases) func `no reason leads to an allow, and each says no-store in one line`(
    _ reason: Reason
  ) {
    let (status, lines, body) = written(reason)
    #expect([401, 403, 503].contains(status))
    #expect(lines.contains("Cache-Control: no-store\r\n"))
    #expect(lines.hasSuffix("\r\n") && !lines.contains("X-Auth"))
    #expect(!body.isEmpty && !body.contains("\n"))
    #expect((status == 401) == lines.contains("WWW-Authenticate: Bearer realm=\"access-gateway\""))
  }

  @Test func `only a token that was there is called invalid`() {
    #expect(!written(.missing).1.contains("error="))
    #expect(written(.malformed).1.contains("error=\"invalid_token\""))
    #expect(written(.missing).2 == "Token is missing.")
    #expect(written(.expired).2 == "Token is expired.")
    #expect(written(.signature).2 == "Token is invalid.")
  }

  @Test(arguments: [Reason.keysUnavailable, .overloaded], [401, 403, 503] as [UInt16])
  func `what can't be decided has the status of the setting`(_ reason: Reason, _ status: UInt16) {
    let (written, lines, _) = written(reason, unavailable: status)
    #expect(written == status)
    #expect(lines.contains("Retry-After: "))
  }

  @Test func `the reason is told only when the setting says so`() {
    #expect(written(.audience, exposes: true).1.contains("X-Auth-Reason: audience\r\n"))
    #expect(!written(.audience).1.contains("audience"))
  }

  @Test func `a reply starts as an error, so that nothing allows by falling through`() {
    let status = Reply().status
    #expect(status == 500)
  }

  @Test func `readiness names what is missing, as JSON whatever the words are`() throws {
    let good = IssuerReadiness(issuer: "https://b", keys: 2, ageSeconds: 7, isRestored: true)
    let bad = IssuerReadiness(
      issuer: "https://a", keys: 0, lastFailure: "a \"quote\", a \\, a \u{1B}[0m, an ü and a 🙂")
    let state = Readiness(issuers: [bad, good], isAccepting: true, isDraining: true)
    #expect(!state.isReady)
    let json = try #require(try JSONSerialization.jsonObject(with: Data(state.json)) as? [String: Any])
    #expect(json["ready"] as? Bool == false)
    let missing = try #require(json["missing"] as? [String])
    #expect(missing.count == 2 && missing[0].hasSuffix("an ü and a 🙂"))
    let issuers = try #require(json["issuers"] as? [[String: Any]])
    #expect(issuers.map { $0["issuer"] as? String } == ["https://a", "https://b"])
    #expect(issuers[1]["age_s"] as? Int == 7 && issuers[1]["restored"] as? Bool == true)
    #expect(Readiness(issuers: [good], isAccepting: true, isDraining: false).isReady)
    #expect(!Readiness(issuers: [good], isAccepting: false, isDraining: false).isReady)
    #expect(!Readiness(issuers: [good], isAccepting: true, isDraining: true).isReady)
    #expect(!Readiness(issuers: [good, bad], isAccepting: true, isDraining: false).isReady)
    #expect(!Readiness(issuers: [], isAccepting: true, isDraining: false).isReady)
    #expect(state.json.last == 10 && state.json.filter { $0 == 10 }.count == 1)
  }

  @Test func `a query is decoded, and encoded so that it decodes again`() throws {
    let pairs = try #require(Query.decoded("aud=a&email=jo%40example.com&x=a+b%2B&y&z="))
    #expect(pairs.map(\.name) == ["aud", "email", "x", "y", "z"])
    #expect(pairs.map(\.value) == ["a", "jo@example.com", "a b+", "", ""])
    #expect(Query.decoded("a=%4") == nil && Query.decoded("a=%zz") == nil && Query.decoded("a=%FF") == nil)
    let odd = "jo+x@exämple.com & co=%"
    #expect(Query.decoded("a=" + Query.encoded(odd))?.first?.value == odd)
  }
}
