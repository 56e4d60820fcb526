// Judges one token with all checks shown.

import Settings

enum Explain {
  /// - Parameters:
  ///   - token: nil means standard input, to its end, one line.
  ///   - nowSeconds: nil means the real-time clock.
  /// - Returns: the exit code: 0 if it would be allowed, 1 if not.
  static func run(token: String?, audience: String, nowSeconds: Int?, settings: GatewaySettings) -> Int32 {
    printError("access-gateway: explain: this build judges no tokens")
    return 1
  }
}
