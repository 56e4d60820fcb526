// What `serve` does before it serves, done for a moment: `check` finds what would fail then.

import EventLoops
import Glibc
import HTTPFetch
import HTTPServing
import POSIX
import IssuerKeys
import Settings
import TLS

/// Tries what a start with these settings needs of the machine. Nothing of it stays.
enum ServeTrial {
  /// What failed, a sentence each; empty where a start would get as far as fetching keys.
  static func failures(_ settings: GatewaySettings, _ options: ListenOptions) -> [String] {
    [stateFolder(settings), certificate(settings), sockets(settings, options)].compactMap(\.self)
  }

  /// Writes a file as a state is written, the folder made, lock and rename included, and takes it all away again.
  private static func stateFolder(_ settings: GatewaySettings) -> String? {
    guard let folder = settings.stateDirectory else { return nil }
    let file = KeyStateFile(folder: folder, name: "check-\(getpid())")
    // Safe, all: access(2), unlink(2) and rmdir(2) only read the bridged string, during the call.
    let wasThere = unsafe access(folder, F_OK) == 0
    // Made here, it could belong to another user than the gateway's.
    defer { if !wasThere { _ = unsafe rmdir(folder) } }
    do throws(KeyStateFault) {
      try file.write([])
      _ = unsafe unlink(file.path)
      return nil
    } catch {
      return "state_dir: \(error)"
    }
  }

  private static func certificate(_ settings: GatewaySettings) -> String? {
    guard let tls = TLSServerSettings(settings) else { return nil }
    do throws(TLSFileError) {
      let days = try TLSServerContext(tls).daysLeft(now: Int(Clock.wallSeconds))
      return days < 0 ? "tls_cert: \(tls.certificate) has ended" : nil
    } catch {
      return "tls_cert, tls_key or tls_client_ca: \(error)"
    }
  }

  private static func sockets(_ settings: GatewaySettings, _ options: ListenOptions) -> String? {
    do throws(SystemError) {
      let bound = try ListeningSockets(settings, options, inherited: [], nil)
      withExtendedLifetime(bound) {}
      for case .unix(let path) in settings.listen + (settings.admin.map { [$0] } ?? []) {
        // Safe: unlink(2) only reads the bridged string, during the call. Bound means that nobody else listens there.
        _ = unsafe unlink(path)
      }
      return nil
    } catch {
      return "listen or admin: \(error); where the gateway runs already, that is why"
    }
  }
}
