// The certificate of the TLS listeners, read anew when its files change. Thread: the control loop's.

import EventLoops
import POSIX
import Settings
import TLS
import Telemetry

/// Keeps the TLS listeners' certificate current. A pair that can't be used changes nothing: the one before it stays.
final class ServerCertificate {
  private(set) var context: TLSServerContext
  private let settings: TLSServerSettings
  private let log: Log
  private let changed: (TLSServerContext) -> Void
  private var stamps: [FileMark?]
  private var timer: LoopTimer?
  private var failures = 0

  /// Reads the files once.
  ///
  /// - Parameters:
  ///   - changed: called with each later context, on the loop's thread.
  /// - Throws: what is wrong with the files, as a failure to start.
  init(
    _ settings: TLSServerSettings, on loop: EventLoop, _ log: Log, changed: @escaping (TLSServerContext) -> Void
  ) throws(SystemError) {
    self.settings = settings
    self.log = log
    self.changed = changed
    stamps = settings.stamps
    do throws(TLSFileError) {
      context = try TLSServerContext(settings)
    } catch {
      throw SystemError("tls: \(error)", code: 0)
    }
    tell("tls_certificate")
    timer = LoopTimer(on: loop) { [unowned self] in look() }
    timer?.schedule(afterMilliseconds: 1000)
  }

  /// For the metrics.
  var figures: CertificateFigures {
    CertificateFigures(daysLeft: context.daysLeft(now: Int(Clock.wallSeconds)), failedReloads: failures)
  }

  /// Reads the files now, changed or not.
  func reload() {
    // Before the files: what changes while they are read is seen the next time.
    stamps = settings.stamps
    do throws(TLSFileError) {
      context = try TLSServerContext(settings)
      changed(context)
      tell("tls_certificate_changed")
    } catch {
      failures += 1
      log.error(
        "tls_certificate_refused", ("error", .string(error.description)),
        ("days_left", .int(context.daysLeft(now: Int(Clock.wallSeconds)))),
        ("note", "the certificate in use stays"))
    }
  }

  private func look() {
    if settings.stamps != stamps { reload() }
    timer?.schedule(afterMilliseconds: 1000)
  }

  private func tell(_ event: StaticString) {
    let days = context.daysLeft(now: Int(Clock.wallSeconds))
    let level: LogLevel = days < 7 ? .warning : .info
    log.line(level, event, [("file", .string(settings.certificate)), ("days_left", .int(days))])
  }
}

extension TLSServerSettings {
  /// What the settings say; nil where there is no certificate.
  init?(_ settings: GatewaySettings) {
    guard let certificate = settings.tlsCertificate, let key = settings.tlsKey else { return nil }
    let names = settings.tlsClientNames?.compactMap { ClientName($0) }
    // The setting has taken nothing that is no name; were it otherwise, no name would mean any name.
    precondition(names?.count == settings.tlsClientNames?.count && names?.isEmpty != true)
    self.init(
      certificate: certificate, key: key, clientCA: settings.tlsClientCA, clientNames: names ?? [],
      offersHTTP2: settings.http2)
  }
}
