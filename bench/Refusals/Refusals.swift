// What it costs to refuse a token, kind by kind, and what a verification allocates: started by bench/refusals.

import COpenSSL
import Glibc
import DevIssuer
import Token
import Verification

@main struct Refusals {
  /// What may be spent on a token before its signature is verified, in µs.
  static let bound = 5.0

  static func main() throws {
    // Before anything of OpenSSL is called.
    let allocations = Allocations()
    if CommandLine.arguments.dropFirst() == ["--allocations"] {
      guard let allocations else { exit(failing: "bench/count_allocations.c is not preloaded") }
      try AllocationReport(allocations: allocations).write()
      return
    }
    guard CommandLine.arguments.count == 1 else { exit(failing: "usage: refusals [--allocations]") }
    guard try measure() else { exit(failing: "a token breaks the bound of \(Self.bound) µs") }
  }

  static func exit(failing message: String) -> Never {
    print("error: \(message)")
    Glibc.exit(1)
  }

  /// Prints the tables; false where something exceeds the bound.
  private static func measure() throws -> Bool {
    let workshop = try Workshop()
    let bench = Bench(try workshop.keys(), try Bench.verifier())
    let verification = bench.signature(of: [workshop.token()])
    print("one verification (RS256, 2048 bits): \(verification.formatted) µs, whatever comes before it apart\n")
    var isWithin = true
    for (title, cases) in [
      ("one kind of refusal each", workshop.refusals), ("tokens of 8 KiB", workshop.costliest),
      ("headers of 1 KiB, tokens of 8 KiB", workshop.headers),
      ("8 KiB, hardly put off", workshop.barelySettled),
    ] {
      print(Bench.row("refused before the signature: " + title, ["least", "median"]) + "   µs")
      for measured in cases { isWithin = bench.show(measured) && isWithin }
      print()
    }
    print(Bench.row("unsettled: 8 KiB, wrong signature", ["before", "hash", "signature", "sum", "later"]) + "   µs")
    for measured in workshop.unsettled { isWithin = bench.showUnsettled(measured) && isWithin }
    print("\nlater: the full reading that a good signature alone leads to")
    return isWithin
  }
}

extension Double {
  /// Two digits behind the point.
  var formatted: String {
    let hundredths = Int((self * 100).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }
}
