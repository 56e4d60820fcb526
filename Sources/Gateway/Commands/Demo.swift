// Stand-in and gateway in one process.

import EventLoops
import HTTPFetch
import HTTPServing
import POSIX
import DevIssuer
import Settings
import Telemetry
import Verification

enum Demo {
  /// Runs until a signal ends it. Call on the main thread. Returns the exit code.
  static func run(listen: NetworkAddress, admin: NetworkAddress, issuer: NetworkAddress, audience: String) -> Int32 {
    // Before the stand-in's thread makes its keys: an end of the process would take OpenSSL from under it.
    OpenSSLLibrary.keepThroughExit()
    do throws(SystemError) {
      let url = try StandInServer.start(listen: ListenAddress(issuer))
      let settings = try gatewaySettings(listen, admin, issuer: url)
      let configuration = Configuration(settings: settings)
      let code = Serve.run(
        configuration, ListenOptions(), Log(settings), reload: { .success(configuration) }
      ) { addresses in
        printCommands(issuer: url, gateway: "http://\(addresses[0])", admin: "http://\(admin)", audience)
      }
      return code
    } catch {
      printError("access-gateway: demo: \(error)")
      return 1
    }
  }

  private static func gatewaySettings(
    _ listen: NetworkAddress, _ admin: NetworkAddress, issuer: String
  ) throws(SystemError) -> GatewaySettings {
    let given = [
      "issuer": issuer, "listen": listen.description, "admin": admin.description, "require": "any",
      // Requests that another process took would be judged by other keys.
      "listen_shared": "refuse",
    ]
    do throws(SettingsError) {
      return try SettingsTable.resolve(flags: given, environment: [:], surroundings: processSurroundings()).settings
    } catch {
      throw SystemError(error.description, code: 0)
    }
  }

  private static func printCommands(issuer: String, gateway: String, admin: String, _ audience: String) {
    print(
      """

      The gateway is at \(gateway), a stand-in for a Cloudflare Access team at \(issuer).
      Try, in another terminal:

        TOKEN=$(curl -s '\(issuer)/token?aud=\(audience)&email=you@example.com')
        curl -i \(gateway)/auth/\(audience)                                          # 401, no token
        curl -i -H "Cf-Access-Jwt-Assertion: $TOKEN" \(gateway)/auth/\(audience)      # 200, who you are
        curl -i -H "Cf-Access-Jwt-Assertion: $TOKEN" \(gateway)/auth/other            # 401, another application's
        curl -i --cookie "CF_Authorization=$TOKEN" \(gateway)/auth/\(audience)        # 200, as browsers send it
        echo $TOKEN | access-gateway explain --audience \(audience) --issuer \(issuer)
        curl -X POST \(issuer)/rotate                                        # new keys
        curl -s \(admin)/metrics

      Ctrl-C ends it.

      """)
    flushOutput()
  }
}
