// Fetches the key set once and says what is in it.

import Settings

enum Check {
  /// - Returns: the exit code: 0 if there is a usable key.
  static func keys(_ settings: GatewaySettings) -> Int32 {
    printError("access-gateway: check: keys are not fetched by this build: \(settings.keysLocation)")
    return 1
  }
}
