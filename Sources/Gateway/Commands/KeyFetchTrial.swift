// Fetches each issuer's key set once and says what is in it.

import IssuerKeys
import HTTPFetch
import Telemetry
import POSIX
import Settings
import Verification

enum KeyFetchTrial {
  /// Returns the exit code: 0 if every issuer has a usable key, else 1.
  static func keys(_ settings: GatewaySettings) -> Int32 {
    settings.issuers.map { keys(of: $0) }.max() ?? 1
  }

  private static func keys(of settings: IssuerSettings) -> Int32 {
    switch KeySetReader(settings, caFile: settings.caFile).fetchBlocking() {
    case .failure(let failure):
      printError("access-gateway: no keys from \(settings.keysLocation): \(failure)")
      return 1
    case .success(let fetched):
      let set = fetched.set
      for key in set.keys {
        print("key \(Printable.text(key.kid)): \(key.algorithm.name), \(key.bits) bits")
      }
      for key in set.skipped {
        printError("access-gateway: key \(Printable.text(key.kid)) skipped: \(key.refusal.explanation)")
      }
      print("\(set.keys.count) usable key\(set.keys.count == 1 ? "" : "s") from \(settings.keysLocation)")
      return 0
    }
  }
}
