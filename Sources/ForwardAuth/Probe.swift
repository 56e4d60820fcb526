// The probes that load balancers send to the port that they send requests to: `/livez` and `/readyz` on `listen`.

import HTTPSyntax

/// What is asked. Only the status is told: this port is everybody's, and what is missing is the operator's to know.
enum Probe {
  case live, ready

  /// Nil where the request is none: another path, or a method other than GET and HEAD. A query changes nothing.
  init?(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
    let target = bytes.extracting(head.target)
    guard head.isHEAD || Self.equal(bytes.extracting(head.method), "GET") else { return nil }
    var end = 0
    while end < target.count, end <= 8, target[end] != UInt8(ascii: "?") { end += 1 }
    let path = target.extracting(0..<end)
    if Self.equal(path, "/livez") {
      self = .live
    } else if Self.equal(path, "/readyz") {
      self = .ready
    } else {
      return nil
    }
  }

  private static func equal(_ bytes: Span<UInt8>, _ text: String) -> Bool {
    bytes.count == text.utf8.count && zip(bytes.indices, text.utf8).allSatisfy { bytes[$0] == $1 }
  }
}
