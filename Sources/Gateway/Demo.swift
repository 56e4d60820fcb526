// Stand-in and gateway in one process.

import Settings

enum Demo {
  /// Runs until a signal ends it.
  ///
  /// - Returns: the exit code.
  static func run(listen: NetworkAddress, admin: NetworkAddress, issuer: NetworkAddress, audience: String) -> Int32 {
    printError("access-gateway: demo: this build has no stand-in: \(issuer)")
    return 1
  }
}
