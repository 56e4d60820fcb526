// What each verdict but "allow" looks like on the wire, made once at start (SPEC.md, "The answer").

import Authorization
import EventLoops
import HTTPServing
import POSIX
import Token

package struct ReplyTexts {
  private struct Text {
    var status: UInt16
    var fieldLines: [UInt8]
    var body: [UInt8]
  }

  private let byReason: [Text]
  private let notFound: Text
  private let referenceName = Array("X-Request-Id: ".utf8)
  private let lineEnd = Array("\r\n".utf8)

  init(_ rules: Rules) {
    self.init(unavailableStatus: UInt16(rules.unavailableStatus), exposesReason: rules.exposesReason)
  }

  /// - Parameters:
  ///   - unavailableStatus: 401, 403 or 503, for what can't be decided.
  ///   - exposesReason: adds `X-Auth-Reason`.
  init(unavailableStatus: UInt16, exposesReason: Bool) {
    notFound = Text(
      status: 404, fieldLines: Array("Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n".utf8),
      body: Array("use: /auth/<audience>".utf8))
    byReason = Reason.allCases.map { reason in
      let status = Self.status(of: reason, unavailable: unavailableStatus)
      var lines = ""
      if status == 401 {
        let error = reason == .missing || Self.isUndecided(reason) ? "" : ", error=\"invalid_token\""
        lines += "WWW-Authenticate: Bearer realm=\"access-gateway\"\(error)\r\n"
      }
      if Self.isUndecided(reason) { lines += "Retry-After: \(reason == .overloaded ? 1 : 5)\r\n" }
      lines += "Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\n"
      if exposesReason { lines += "X-Auth-Reason: \(reason.name)\r\n" }
      return Text(status: status, fieldLines: Array(lines.utf8), body: Array(Self.body(of: reason).utf8))
    }
  }

  /// Writes the reply to a request that was denied, or could not be decided.
  ///
  /// - Parameter reference: what its log line says too, so that whoever was denied can name the line.
  func write(_ reason: Reason, _ reference: RequestReference, to reply: inout Reply) {
    write(byReason[Int(reason.rawValue)], to: &reply)
    reply.append(fieldLines: referenceName)
    reference.withBytes { reply.append(fieldLines: $0) }
    reply.append(fieldLines: lineEnd)
  }

  /// Writes the reply to a well-formed request for another path.
  func writeNotFound(to reply: inout Reply) { write(notFound, to: &reply) }

  /// Writes the answer to a probe on a listener that is everybody's: the status alone.
  static func writeProbe(isGood: Bool, to reply: inout Reply) {
    reply.status = isGood ? 200 : 503
    reply.append(fieldLines: noStore)
  }

  /// The field lines of a refusal for want of room, which the server writes itself.
  package static func fieldLines(forWantOfRoomWith status: UInt16) -> [UInt8] {
    Array(((status == 401 ? "WWW-Authenticate: Bearer realm=\"access-gateway\"\r\n" : "") + "Retry-After: 1\r\n").utf8)
  }

  private static let noStore = Array("Cache-Control: no-store\r\n".utf8)

  private func write(_ text: Text, to reply: inout Reply) {
    reply.status = text.status
    reply.append(fieldLines: text.fieldLines)
    reply.append(body: text.body)
  }

  private static func isUndecided(_ reason: Reason) -> Bool { reason == .keysUnavailable || reason == .overloaded }

  private static func status(of reason: Reason, unavailable: UInt16) -> UInt16 {
    switch reason {
    case .keysUnavailable, .overloaded: unavailable
    case .notAllowed, .wrongHost, .revoked, .unknownApplication: 403
    default: 401
    }
  }

  private static func body(of reason: Reason) -> String {
    switch reason {
    case .missing: "Token is missing."
    case .expired: "Token is expired."
    case .notAllowed: "Access is not allowed."
    case .wrongHost: "Host is not one of the application's."
    case .revoked: "Access has been revoked."
    case .unknownApplication: "Application is unknown."
    case .keysUnavailable: "Keys are unavailable."
    case .overloaded: "Too many requests."
    default: "Token is invalid."
    }
  }
}
