// An issuer's keys for people: what `access-gateway keys` and the admin listener's `/keys` print.

import POSIX
import Telemetry
import Verification

/// An issuer's keys for people.
package struct KeyListing: Equatable, Sendable {
  /// A key. Texts are printable ASCII.
  package struct Row: Equatable, Sendable {
    package var kid: String
    package var algorithm: String
    package var bits: Int
    /// Seconds since 1970; nil: not known.
    package var firstSeen: Int?
    /// When a signature of it was verified for the last time; nil: never, or not known.
    package var lastUsed: Int?
    /// Nil where only a running gateway could know.
    package var verified: UInt64?
  }

  package var issuer: String
  package var source: String
  /// Seconds since 1970; nil: there is no set.
  package var fetchedAt: Int?
  package var keys: [Row]

  package init(issuer: String, source: String, fetchedAt: Int?, keys: [Row]) {
    self.issuer = issuer
    self.source = source
    self.fetchedAt = fetchedAt
    self.keys = keys
  }

  /// Lines for a terminal, the last one ended too.
  package static func text(_ listings: [KeyListing]) -> String {
    listings.map(\.text).joined(separator: "\n")
  }

  private var text: String {
    var text = "issuer \(issuer)\nfrom   \(source)\nset    \(fetchedAt.map(Self.time) ?? "none")\n"
    guard !keys.isEmpty else { return text }
    let head = ["kid", "algorithm", "bits", "first seen", "last used", "verified"]
    let rows =
      [head]
      + keys.map { key in
        [
          key.kid, key.algorithm, String(key.bits), key.firstSeen.map(Self.time) ?? "-",
          key.lastUsed.map(Self.time) ?? "-", key.verified.map { String($0) } ?? "-",
        ]
      }
    let widths = head.indices.map { column in rows.map { $0[column].utf8.count }.max() ?? 0 }
    for row in rows {
      var line = ""
      for (column, cell) in row.enumerated() {
        line += "  " + cell
        if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.utf8.count) }
      }
      text += line + "\n"
    }
    return text
  }

  private static func time(_ seconds: Int) -> String {
    Timestamp(seconds: max(seconds, 0), milliseconds: 0).textInSeconds
  }
}

extension KeyListing.Row {
  package init(_ key: VerificationKey, firstSeen: [String: Int], isServing: Bool) {
    self.init(
      kid: Printable.text(key.kid), algorithm: "\(key.algorithm.name)", bits: key.bits,
      firstSeen: firstSeen[key.thumbprint.hex], lastUsed: isServing ? key.uses.lastGood.map { Int($0) } : nil,
      verified: isServing ? key.uses.goodCount : nil)
  }
}
