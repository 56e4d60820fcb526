// The admin listener: `/livez`, `/readyz`, `/metrics`, `/keys`. On the control loop, behind the same gate as everything else.

import HTTPServing
import HTTPSyntax
import POSIX
import Telemetry
import Token

/// Thread: the control loop's.
package final class AdminHandler: RequestHandler {
  private static let plain = Array("Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n".utf8)
  private static let json = Array("Content-Type: application/json\r\nCache-Control: no-store\r\n".utf8)
  private static let metrics = Array("Content-Type: \(MetricsPage.contentType)\r\n".utf8)

  private let log: Log
  private let readiness: () -> Readiness
  private let keys: () -> String
  private let page: () -> [UInt8]
  private var acceptLimit = RateLimit(perSecond: 1, burst: 1)

  /// - Parameters:
  ///   - readiness: the state of now.
  ///   - keys: lists the keys in use, for people.
  ///   - page: renders the metrics.
  package init(
    log: Log, readiness: @escaping () -> Readiness, keys: @escaping () -> String, page: @escaping () -> [UInt8]
  ) {
    self.log = log
    self.readiness = readiness
    self.keys = keys
    self.page = page
  }

  package func answer(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, arrival: UInt64, exchange: Exchange, into reply: inout Reply
  ) -> Decision {
    let isRead = head.isHEAD || Self.equals(bytes.extracting(head.method), "GET")
    let target = bytes.extracting(head.target)
    switch true {
    case Self.isPath(target, "/livez"): write(&reply, isRead, 200, Self.plain, Array("alive\n".utf8))
    case Self.isPath(target, "/readyz"):
      let state = readiness()
      write(&reply, isRead, state.isReady ? 200 : 503, Self.json, state.json)
    case Self.isPath(target, "/metrics"): write(&reply, isRead, 200, Self.metrics, isRead ? page() : [])
    case Self.isPath(target, "/keys"): write(&reply, isRead, 200, Self.plain, isRead ? Array(keys().utf8) : [])
    default: write(&reply, true, 404, Self.plain, Array("use: /livez, /readyz, /metrics or /keys\n".utf8))
    }
    return .reply
  }

  private func write(
    _ reply: inout Reply, _ isRead: Bool, _ status: UInt16, _ fieldLines: [UInt8], _ body: [UInt8]
  ) {
    guard isRead else {
      reply.status = 405
      reply.append(fieldLines: Self.plain)
      reply.append(fieldLines: Array("Allow: GET, HEAD\r\n".utf8))
      return
    }
    reply.status = status
    reply.append(fieldLines: fieldLines)
    reply.append(body: body)
  }

  private static func equals(_ bytes: Span<UInt8>, _ text: String) -> Bool {
    guard bytes.count == text.utf8.count else { return false }
    return zip(bytes.indices, text.utf8).allSatisfy { bytes[$0] == $1 }
  }

  /// The path alone decides, whatever query stands behind it.
  private static func isPath(_ target: Span<UInt8>, _ path: String) -> Bool {
    var end = 0
    while end < target.count, target[end] != UInt8(ascii: "?") { end += 1 }
    return equals(target.extracting(0..<end), path)
  }

  package func refused(_ refusal: Refusal, _ bytes: Span<UInt8>) {}
  package func connectionOpened() {}
  package func connectionClosed() {}
  package func acceptFailed(_ error: SystemError) {
    guard case .write = acceptLimit.admit(atMilliseconds: Int(Clock.monotonicMilliseconds)) else { return }
    log.error("accept_failed", ("listener", "admin"), ("error", .string(error.description)))
  }
}

/// Whether requests can be decided, and if not, what is missing: `/readyz` and the log say it in the same words.
package struct Readiness {
  package var issuers: [IssuerReadiness]
  /// Every loop accepts connections.
  package var isAccepting: Bool
  package var isDraining: Bool

  package init(issuers: [IssuerReadiness], isAccepting: Bool, isDraining: Bool) {
    self.issuers = issuers
    self.isAccepting = isAccepting
    self.isDraining = isDraining
  }

  /// Every issuer has a usable key set, and every listener accepts connections.
  package var isReady: Bool { !issuers.isEmpty && issuers.allSatisfy { $0.keys > 0 } && isAccepting && !isDraining }

  /// One line of JSON.
  package var json: [UInt8] {
    var missing: [String] = []
    for state in issuers where state.keys == 0 {
      missing.append("keys of \(state.issuer)" + (state.lastFailure.map { ": \($0)" } ?? ""))
    }
    if isDraining {
      missing.append("the process is draining")
    } else if !isAccepting {
      missing.append("connections are not accepted yet")
    }
    let list = JSONString.array(missing)
    let states = issuers.map { state in
      let failure = state.lastFailure.map(JSONString.quoted) ?? "null"
      let age = state.ageSeconds.map { String($0) } ?? "null"
      return "{\"issuer\":\(JSONString.quoted(state.issuer)),\"keys\":\(state.keys),\"age_s\":\(age),"
        + "\"restored\":\(state.isRestored),\"last_failure\":\(failure)}"
    }
    let all = states.joined(separator: ",")
    return Array("{\"ready\":\(isReady),\"missing\":\(list),\"issuers\":[\(all)]}\n".utf8)
  }
}
