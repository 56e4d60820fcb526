// The stand-in for a team.

import Settings

enum Issuer {
  /// Runs until a signal ends it.
  ///
  /// - Parameter listen: a loopback TCP address.
  /// - Returns: the exit code.
  static func run(listen: NetworkAddress) -> Int32 {
    printError("access-gateway: issuer: this build has no stand-in: \(listen)")
    return 1
  }
}
