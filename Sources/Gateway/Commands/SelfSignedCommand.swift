// `tls-selfsigned`: a certificate authority and a pair for people who have none, and what to write into the proxies.

import ArgumentParser
import POSIX
import TLS

struct SelfSignedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tls-selfsigned", abstract: "Make a certificate authority and a certificate for tls:// addresses.",
    discussion: """
      Writes ca.pem, ca-key.pem, server.pem and server-key.pem into a folder, over nothing that is there, and prints the \
      lines for the gateway, Traefik and Caddy.
      """)

  @Argument(help: "The folder; it is made where it is missing.") var folder: String
  @Argument(help: "What the proxies call the gateway: host names or IP addresses.")
  var names: [String] = ["access-gateway", "localhost", "127.0.0.1"]

  func run() throws {
    var servers: [ServerName] = []
    for name in names {
      guard let server = ServerName(name) else {
        throw ValidationError("\(name) is no host name and no IP address")
      }
      servers.append(server)
    }
    let files = SelfSignedFiles(in: folder)
    do throws(TLSFileError) {
      try files.make(names: servers, now: Int(Clock.wallSeconds))
    } catch {
      throw Failure.failed(error.description)
    }
    print(Self.instructions(files, name: names.first ?? "access-gateway"))
  }

  /// - Parameter name: one that the certificate holds.
  static func instructions(_ files: SelfSignedFiles, name: String) -> String {
    let host = name.utf8.contains(UInt8(ascii: ":")) ? "[\(name)]" : name
    return """
      Made \(files.certificate) and \(files.key), signed by \(files.authority).
      Keep \(files.authorityKey) elsewhere: whoever has it can make certificates that your proxies trust.

      # The gateway; paths must be absolute
      GATEWAY_LISTEN=tls://0.0.0.0:8443
      GATEWAY_TLS_CERT=\(files.certificate)
      GATEWAY_TLS_KEY=\(files.key)

      # Traefik: a middleware of the dynamic configuration
      http:
        middlewares:
          access:
            forwardAuth:
              address: https://\(host):8443/auth/<AUD tag>
              tls:
                ca: \(files.authority)

      # Caddy: in the site's block
      forward_auth https://\(host):8443 {
        uri /auth/<AUD tag>
        transport http {
          tls_trust_pool file \(files.authority)
        }
      }
      """
  }
}
