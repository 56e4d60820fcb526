// The server itself: event loops, verification pool, key source, admin.

import Observation
import Settings

enum Serve {
  /// Runs until a signal ends it.
  ///
  /// - Returns: the exit code.
  static func run(_ settings: GatewaySettings, _ log: Log) -> Int32 {
    log.error("serve_unavailable", ("issuer", .string(settings.issuer)))
    return 1
  }
}
