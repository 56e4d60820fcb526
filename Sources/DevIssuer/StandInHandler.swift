// The stand-in for a team, over HTTP: key set, tokens, rotation. It mints tokens for anyone who asks, so it only ever
// listens on loopback.

import EventLoops
import Glibc
import HTTPServing
import HTTPSyntax
import POSIX

/// Thread: its loop's.
final class StandInHandler: RequestHandler {
  private let issuer: StandInIssuer
  /// The hosts that it answers for, in lower case, IPv6 in brackets.
  private let hosts: [String]
  private let hostName: FieldName = "Host"

  /// - Parameter host: the loopback address that it listens on, IPv6 in brackets.
  init(_ issuer: StandInIssuer, host: String) {
    self.issuer = issuer
    hosts = ["localhost", host.lowercased()]
  }

  func answer(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, arrival: UInt64, exchange: Exchange, into reply: inout Reply
  ) -> Decision {
    // A page of anybody's can have its own name lead to loopback (DNS rebinding) and would then read tokens from here. Its
    // browser says that name.
    guard isForUs(head, bytes) else {
      refuse(&reply, 403, "the stand-in answers for \(hosts.joined(separator: " and ")) alone")
      return .reply
    }
    let method = text(bytes, head.method)
    let target = text(bytes, head.target)
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let query = parts.count > 1 ? String(parts[1]) : ""
    do throws(IssuerError) {
      switch (method, String(parts[0])) {
      case ("GET", "/cdn-cgi/access/certs"), ("HEAD", "/cdn-cgi/access/certs"):
        write(&reply, 200, "application/json", try issuer.keySet())
      case ("GET", "/token"), ("HEAD", "/token"):
        try mint(query, &reply)
      case ("POST", "/rotate"):
        try issuer.rotate()
        write(&reply, 200, "text/plain", Array("\(issuer.current.kid)\n".utf8))
      case (_, "/cdn-cgi/access/certs"), (_, "/token"): refuse(&reply, 405, "use GET")
      case (_, "/rotate"): refuse(&reply, 405, "use POST")
      default: refuse(&reply, 404, "use GET /cdn-cgi/access/certs, GET /token?aud=...&email=... or POST /rotate")
      }
    } catch {
      refuse(&reply, 500, "\(error)")
    }
    return .reply
  }

  /// Whether the Host is one of ours, whatever its port: a tunnel to here has its own.
  private func isForUs(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
    guard case .one(let range) = head.value(of: hostName, in: bytes) else { return false }
    var host = text(bytes, range).lowercased()
    if let colon = host.lastIndex(of: ":"), !host[colon...].contains("]") { host = String(host[..<colon]) }
    return hosts.contains(host)
  }

  private func mint(_ query: String, _ reply: inout Reply) throws(IssuerError) {
    guard let pairs = Query.decoded(query) else { return refuse(&reply, 400, "the query is not well formed") }
    var audience: [String] = []
    var email = "demo@example.com"
    var commonName: String?
    var lifetime = 86_400
    for (name, value) in pairs {
      switch name {
      case "aud": audience.append(value)
      case "email": email = value
      case "common_name", "service": commonName = value
      case "lifetime":
        // Seconds; negative ones make a token that has expired.
        guard let seconds = Int(value), (-31_536_000...31_536_000).contains(seconds) else {
          return refuse(&reply, 400, "lifetime: seconds, up to a year either way")
        }
        lifetime = seconds
      default: return refuse(&reply, 400, "unknown parameter; known: aud, email, common_name, lifetime")
      }
    }
    guard !audience.isEmpty, audience.allSatisfy(isAudience) else {
      return refuse(&reply, 400, "aud: 1 to 128 of A-Z a-z 0-9 . _ ~ -")
    }
    let now = Int(Clock.wallSeconds)
    let token =
      if let commonName {
        try issuer.serviceToken(audience: audience, commonName: commonName, now: now, lifetime: lifetime)
      } else {
        try issuer.userToken(audience: audience, email: email, now: now, lifetime: lifetime)
      }
    write(&reply, 200, "text/plain", token)
  }

  private func write(_ reply: inout Reply, _ status: UInt16, _ type: String, _ body: [UInt8]) {
    reply.status = status
    reply.append(fieldLines: Array("Content-Type: \(type)\r\nCache-Control: no-store\r\n".utf8))
    reply.append(body: body)
  }

  private func refuse(_ reply: inout Reply, _ status: UInt16, _ words: String) {
    write(&reply, status, "text/plain", Array("\(words)\n".utf8))
  }

  private func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    String(decoding: range.map { bytes[$0] }, as: UTF8.self)
  }

  func refused(_ refusal: Refusal, _ bytes: Span<UInt8>) {}
  func connectionOpened() {}
  func connectionClosed() {}
  func acceptFailed(_ error: SystemError) { printError("access-gateway: issuer: \(error)") }
}
