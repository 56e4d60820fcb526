// The metrics as a page in the Prometheus text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Reads counters, changes none. Every label's values
// come from fixed lists: nothing that a client sends can make a new series.

/// The names behind the indices that loops count by.
public struct MetricNames: Sendable {
  /// Names of the deny reasons, by index; at most `LoopCounters.indexLimit`.
  public var reasons: [String]
  /// Names of the refusals of a head, by index; at most `LoopCounters.indexLimit`.
  public var refusals: [String]
  /// Those of the reasons that say that nothing could be decided.
  public var undecided: Set<String>

  /// Names of the reasons for which a connection's HTTP/2 is ended, by index; at most `LoopCounters.indexLimit`.
  public var sessionFailures: [String]

  public init(
    reasons: [String], refusals: [String], undecided: Set<String> = [], sessionFailures: [String] = []
  ) {
    self.sessionFailures = sessionFailures
    self.reasons = reasons
    self.refusals = refusals
    self.undecided = undecided
  }
}

/// The certificate of the TLS listeners.
public struct CertificateFigures: Sendable {
  public var daysLeft: Int
  /// How often changed files could not be used; the certificate before them is kept then.
  public var failedReloads: Int

  public init(daysLeft: Int, failedReloads: Int) {
    self.daysLeft = daysLeft
    self.failedReloads = failedReloads
  }
}

/// Renders one page.
public struct MetricsPage {
  /// The page's `Content-Type`.
  public static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

  private var bytes: [UInt8] = []

  /// The whole page, summed over the loops. Counters are read one by one: a page is no snapshot of one moment.
  ///
  /// - Parameters:
  ///   - issuers: one entry an issuer of the settings.
  ///   - names: bounded lists; a count without a name goes to `other`.
  ///   - logLinesDropped: `Log.droppedLines`.
  ///   - certificate: of the TLS listeners; nil where there are none.
  ///   - reloads: what is known of the settings file, revocations and decisions.
  package static func render(
    loops: [LoopCounters], shared: SharedCounters, issuers: [IssuerFigures], names: MetricNames, logLinesDropped: Int,
    certificate: CertificateFigures? = nil, process: ProcessFigures, version: String,
    reloads: ReloadFigures = ReloadFigures()
  ) -> [UInt8] {
    var page = MetricsPage()
    page.bytes.reserveCapacity(16 * 1024)
    page.info(version: version)
    page.requests(loops, names)
    page.protocols(loops, names)
    page.certificate(certificate)
    page.durations(loops)
    page.tokens(loops, shared)
    page.keys(issuers)
    page.gauge(
      "ready", "1 if every issuer has a usable key set and every listener accepts connections.",
      shared.ready.load(ordering: .relaxed) ? 1 : 0)
    page.counter(
      "log_lines_dropped_total", "Log lines dropped because their reader was slow.", UInt64(max(logLinesDropped, 0)))
    page.reloads(reloads)
    page.process(process)
    return page.bytes
  }

  private mutating func info(version: String) {
    head("access_gateway_build_info", "The program's version, as a label; always 1.", "gauge")
    sample("access_gateway_build_info", ("version", version), "1")
  }

  private mutating func requests(_ loops: [LoopCounters], _ names: MetricNames) {
    head(
      "access_gateway_requests_total", "Auth requests answered, by verdict (allow, deny, undecided) and reason.",
      "counter")
    sample(
      "access_gateway_requests_total", labels: [("verdict", "allow"), ("reason", "")],
      String(sum(loops) { $0.allowed.value }))
    indexed("access_gateway_requests_total", names.reasons) { reason in
      [("verdict", names.undecided.contains(reason) ? "undecided" : "deny"), ("reason", reason)]
    } value: { index in
      sum(loops) { $0.deniedByReason[index].value }
    }
    head("access_gateway_heads_refused_total", "Request heads refused as no HTTP that is accepted.", "counter")
    indexed("access_gateway_heads_refused_total", names.refusals) {
      [("refusal", $0)]
    } value: { index in
      sum(loops) { $0.refusedByRefusal[index].value }
    }
    counter("requests_not_found_total", "Well-formed requests for another path.", sum(loops) { $0.notFound.value })
    counter(
      "clients_gone_total", "Requests whose client left before the reply.", sum(loops) { $0.clientsGone.value })
    // Closed is read before accepted: the other way round, open could come out below zero.
    let closed = sum(loops) { $0.connectionsClosed.value }
    let accepted = sum(loops) { $0.connectionsAccepted.value }
    counter("connections_accepted_total", "Connections accepted.", accepted)
    counter("connections_closed_total", "Connections closed.", closed)
    gauge("connections_open", "Connections open now.", accepted > closed ? accepted - closed : 0)
  }

  private mutating func protocols(_ loops: [LoopCounters], _ names: MetricNames) {
    let name = "access_gateway_connections_by_protocol_total"
    head(name, "Connections that speak something else than HTTP/1 in clear, by protocol.", "counter")
    for (index, speech) in ["h2c", "https/1.1", "h2"].enumerated() {
      sample(name, ("protocol", speech), String(sum(loops) { $0.speech[index].value }))
    }
    counter("http2_requests_total", "Requests that came over HTTP/2.", sum(loops) { $0.streams.value })
    head("access_gateway_http2_failures_total", "Connections of which the HTTP/2 was ended, by reason.", "counter")
    indexed("access_gateway_http2_failures_total", names.sessionFailures) {
      [("reason", $0)]
    } value: { index in
      sum(loops) { $0.sessionFailures[index].value }
    }
    counter(
      "tls_handshakes_failed_total", "TLS handshakes that failed.", sum(loops) { $0.handshakeFailures.value })
  }

  private mutating func certificate(_ figures: CertificateFigures?) {
    guard let figures else { return }
    let name = "access_gateway_tls_certificate_days_left"
    head(name, "Whole days until the certificate of the TLS listeners ends; below 0: it has ended.", "gauge")
    sample(name, nil, String(figures.daysLeft))
    counter(
      "tls_reloads_failed_total", "Changed certificates, keys or CAs that could not be used.",
      UInt64(max(figures.failedReloads, 0)))
  }

  private mutating func durations(_ loops: [LoopCounters]) {
    let name = "access_gateway_request_duration_seconds"
    head(name, "Time from a complete request head to its reply.", "histogram")
    var total: UInt64 = 0
    for bucket in 0..<LoopCounters.bounds.count {
      total &+= sum(loops) { $0.durations[bucket].value }
      sample(name + "_bucket", ("le", inSeconds(LoopCounters.bounds[bucket])), String(total))
    }
    total &+= sum(loops) { $0.durations[LoopCounters.bounds.count].value }
    sample(name + "_bucket", ("le", "+Inf"), String(total))
    sample(name + "_sum", nil, inSeconds(sum(loops) { $0.durationNanoseconds.value }))
    // The same number as the last bucket, whatever was counted meanwhile.
    sample(name + "_count", nil, String(total))
  }

  private mutating func tokens(_ loops: [LoopCounters], _ shared: SharedCounters) {
    counter("token_cache_hits_total", "Tokens found among the remembered.", sum(loops) { $0.cacheHits.value })
    counter("token_cache_misses_total", "Tokens not found there.", sum(loops) { $0.cacheMisses.value })
    counter(
      "token_cache_evictions_total", "Tokens forgotten to make room.", sum(loops) { $0.cacheEvictions.value })
    gauge("token_cache_entries", "Tokens remembered now.", sum(loops) { $0.cacheEntries.value })
    gauge("token_cache_bytes", "Memory of the remembered tokens.", sum(loops) { $0.cacheBytes.value })
    counter(
      "coalesced_waits_total", "Requests that waited for the verification of an equal token.",
      sum(loops) { $0.coalescedWaits.value })
    counter(
      "unknown_kid_waits_total", "Requests that waited for a fetch of keys, because of an unknown kid.",
      sum(loops) { $0.keyWaits.value })
    head("access_gateway_verifications_total", "Signatures verified, by result.", "counter")
    sample(
      "access_gateway_verifications_total", ("result", "ok"), String(shared.verificationsOK.load(ordering: .relaxed)))
    sample(
      "access_gateway_verifications_total", ("result", "failed"),
      String(shared.verificationsFailed.load(ordering: .relaxed)))
    counter(
      "pool_overloads_total", "Requests that found the verification pool full.",
      shared.poolOverloads.load(ordering: .relaxed))
  }

  private mutating func keys(_ issuers: [IssuerFigures]) {
    head("access_gateway_key_refreshes_total", "Fetches of a key set, by outcome.", "counter")
    for issuer in issuers {
      for outcome in KeyRefreshOutcome.allCases {
        let labels = [("issuer", issuer.issuer), ("outcome", outcome.label.description)]
        sample("access_gateway_key_refreshes_total", labels: labels, String(issuer.refreshes[outcome.rawValue]))
      }
    }
    perIssuer("unknown_kids_total", "Tokens that named an unknown kid.", "counter", issuers) { $0.unknownKids }
    perIssuer(
      "unknown_kid_refetches_total", "Fetches of the key set that an unknown kid caused.", "counter", issuers
    ) { $0.unknownKidRefetches }
    perIssuer(
      "unknown_kid_refetches_limited_total", "Unknown kids that caused no fetch, because of the limit.", "counter",
      issuers
    ) { $0.unknownKidRefetchesLimited }
    perIssuer("keys", "Usable keys in the key set.", "gauge", issuers) { UInt64($0.keys.count) }
    perIssuer("keys_skipped", "Keys of the last set that are not usable.", "gauge", issuers) { UInt64($0.skippedKeys) }
    perIssuer(
      "keys_fetched_timestamp_seconds", "When the key set in use was fetched; 0: there is none.", "gauge", issuers
    ) { UInt64(max($0.fetchedAtSeconds ?? 0, 0)) }
    perIssuer("keys_age_seconds", "How long ago the key set in use was fetched; none: no series.", "gauge", issuers) {
      $0.ageSeconds.map { UInt64(max($0, 0)) }
    }
    perIssuer(
      "keys_too_old_in_seconds", "How long the key set in use may be trusted without a refresh; none: no series.",
      "gauge", issuers
    ) { $0.secondsLeft.map { UInt64(max($0, 0)) } }
    perIssuer(
      "key_state_faults_total", "State files that were not used, and failed writes of one.", "counter", issuers
    ) { $0.stateFaults }
    head("access_gateway_key_verifications_total", "Signatures verified, by the key in use and result.", "counter")
    for issuer in issuers {
      for key in issuer.keys {
        for (result, count) in [("ok", key.verified), ("failed", key.failed)] {
          let labels = [("issuer", issuer.issuer), ("kid", key.kid), ("result", result)]
          sample("access_gateway_key_verifications_total", labels: labels, String(count))
        }
      }
    }
  }

  private mutating func reloads(_ figures: ReloadFigures) {
    if let isGood = figures.configurationIsGood {
      gauge(
        "config_last_reload_successful", "1 if the settings file was good when it was last read.", isGood ? 1 : 0)
      gauge(
        "config_last_reload_success_timestamp_seconds", "When the settings in use were read, since 1970.",
        UInt64(max(figures.configurationTime, 0)))
    }
    if let areGood = figures.revocationsAreGood {
      gauge(
        "revocation_last_reload_successful", "1 if the revocation file was good when it was last read.",
        areGood ? 1 : 0)
      gauge("revocation_entries", "Entries of the revocation list in use.", UInt64(max(figures.revocationEntries, 0)))
    }
    if let decisions = figures.decisions {
      head(
        "access_gateway_decisions_total",
        "Decisions on applications, by policy, verdict (allow, deny, report) and reason.", "counter")
      for figure in decisions {
        let labels = [
          ("application", figure.labels.application), ("policy", figure.labels.policy),
          ("verdict", figure.labels.verdict), ("reason", figure.labels.reason),
        ]
        sample("access_gateway_decisions_total", labels: labels, String(figure.count))
      }
    }
  }

  private mutating func perIssuer(
    _ name: String, _ help: String, _ type: String, _ issuers: [IssuerFigures], _ value: (IssuerFigures) -> UInt64?
  ) {
    head("access_gateway_" + name, help, type)
    for issuer in issuers {
      guard let value = value(issuer) else { continue }
      sample("access_gateway_" + name, ("issuer", issuer.issuer), String(value))
    }
  }

  /// By the names that all Prometheus clients use for a process, without our prefix.
  private mutating func process(_ figures: ProcessFigures) {
    func rows() -> [(String, String, String?)] {
      [
        (
          "process_start_time_seconds", "When the process started, since 1970.",
          figures.startSeconds.map { inSeconds(UInt64(max($0, 0) * 1e3) * 1_000_000) }
        ),
        ("process_open_fds", "Open descriptors.", figures.openDescriptors.map { String($0) }),
        ("process_max_fds", "The soft limit of open descriptors.", figures.descriptorLimit.map { String($0) }),
        ("process_resident_memory_bytes", "Resident memory.", figures.residentBytes.map { String($0) }),
      ]
    }
    for (name, help, value) in rows() {
      guard let value else { continue }
      head(name, help, "gauge")
      sample(name, nil, value)
    }
  }

  private mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
    head("access_gateway_" + name, help, "counter")
    sample("access_gateway_" + name, nil, String(value))
  }

  private mutating func gauge(_ name: String, _ help: String, _ value: UInt64) {
    head("access_gateway_" + name, help, "gauge")
    sample("access_gateway_" + name, nil, String(value))
  }

  /// One series a name, and `other` where something was counted beyond the names.
  private mutating func indexed(
    _ name: String, _ names: [String], labels: (String) -> [(key: String, value: String)], value: (Int) -> UInt64
  ) {
    let named = min(names.count, LoopCounters.indexLimit)
    for index in 0..<named {
      sample(name, labels: labels(names[index]), String(value(index)))
    }
    var other: UInt64 = 0
    for index in named..<LoopCounters.indexLimit {
      other &+= value(index)
    }
    if other > 0 { sample(name, labels: labels("other"), String(other)) }
  }

  private mutating func head(_ name: String, _ help: String, _ type: String) {
    bytes += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n".utf8
  }

  private mutating func sample(_ name: String, _ label: (key: String, value: String)?, _ value: String) {
    sample(name, labels: label.map { [$0] } ?? [], value)
  }

  private mutating func sample(_ name: String, labels: [(key: String, value: String)], _ value: String) {
    bytes += name.utf8
    for (place, label) in labels.enumerated() {
      bytes += "\(place == 0 ? "{" : ",")\(label.key)=\"".utf8
      for byte in label.value.utf8 {
        switch byte {
        case UInt8(ascii: "\\"), UInt8(ascii: "\""): bytes += [UInt8(ascii: "\\"), byte]
        case UInt8(ascii: "\n"): bytes += "\\n".utf8
        default: bytes.append(byte)
        }
      }
      bytes.append(UInt8(ascii: "\""))
    }
    bytes += "\(labels.isEmpty ? "" : "}") \(value)\n".utf8
  }
}

private func sum(_ loops: [LoopCounters], _ value: (LoopCounters) -> UInt64) -> UInt64 {
  loops.reduce(0) { $0 &+ value($1) }
}

/// Nanoseconds as exact decimal seconds, without zeros at the end.
private func inSeconds(_ nanoseconds: UInt64) -> String {
  let (whole, part) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
  if part == 0 { return String(whole) }
  var digits = String(part)
  digits = String(repeating: "0", count: 9 - digits.utf8.count) + digits
  while digits.hasSuffix("0") { digits.removeLast() }
  return "\(whole).\(digits)"
}
