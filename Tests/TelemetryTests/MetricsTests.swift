// Counters and the page made from them.

import Foundation
import Telemetry
import Testing

private let names = MetricNames(reasons: ["missing", "expired"], refusals: ["bare_lf", "a\"b\\c\nd"])

private func page(
  _ loops: [LoopCounters] = [], _ shared: SharedCounters = SharedCounters(), issuers: [IssuerFigures] = [],
  dropped: Int = 0, process: ProcessFigures = ProcessFigures()
) -> [String] {
  let bytes = MetricsPage.render(
    loops: loops, shared: shared, issuers: issuers, names: names, logLinesDropped: dropped, process: process,
    version: "1.2.3")
  return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
}

private func busyLoop() -> LoopCounters {
  let loop = LoopCounters()
  for _ in 0..<3 { loop.countAllowed() }
  loop.countDenied(reason: 1)
  loop.countRefusedHead(refusal: 1)
  loop.countNotFound()
  loop.countCacheHit()
  loop.countCacheMiss()
  loop.countCacheEvictions(4)
  loop.setCache(entries: 5, bytes: 6000)
  loop.countCoalescedWait()
  for _ in 0..<4 { loop.countConnectionAccepted() }
  loop.countConnectionClosed()
  loop.countClientGone()
  for nanoseconds in [0, 5_000, 5_001, 1_000_000_000, 1_000_000_001] as [UInt64] {
    loop.observeDuration(nanoseconds: nanoseconds)
  }
  return loop
}

@Test func `the page sums the loops`() {
  let lines = Set(page([busyLoop(), busyLoop(), LoopCounters()], dropped: 7))
  for line in [
    #"access_gateway_build_info{version="1.2.3"} 1"#,
    #"access_gateway_requests_total{verdict="allow",reason=""} 6"#,
    #"access_gateway_requests_total{verdict="deny",reason="missing"} 0"#,
    #"access_gateway_requests_total{verdict="deny",reason="expired"} 2"#,
    #"access_gateway_heads_refused_total{refusal="bare_lf"} 0"#,
    #"access_gateway_heads_refused_total{refusal="a\"b\\c\nd"} 2"#,
    "access_gateway_requests_not_found_total 2",
    "access_gateway_clients_gone_total 2",
    "access_gateway_connections_accepted_total 8",
    "access_gateway_connections_closed_total 2",
    "access_gateway_connections_open 6",
    "access_gateway_token_cache_hits_total 2",
    "access_gateway_token_cache_misses_total 2",
    "access_gateway_token_cache_evictions_total 8",
    "access_gateway_token_cache_entries 10",
    "access_gateway_token_cache_bytes 12000",
    "access_gateway_coalesced_waits_total 2",
    "access_gateway_log_lines_dropped_total 7",
    #"access_gateway_request_duration_seconds_bucket{le="0.000005"} 4"#,
    #"access_gateway_request_duration_seconds_bucket{le="0.00001"} 6"#,
    #"access_gateway_request_duration_seconds_bucket{le="0.25"} 6"#,
    #"access_gateway_request_duration_seconds_bucket{le="1"} 8"#,
    #"access_gateway_request_duration_seconds_bucket{le="+Inf"} 10"#,
    "access_gateway_request_duration_seconds_count 10",
    "access_gateway_request_duration_seconds_sum 4.000020004",
    "# TYPE access_gateway_request_duration_seconds histogram",
  ] {
    #expect(lines.contains(line), "\(line)")
  }
}

@Test func `shared counters and gauges are on the page`() {
  let shared = SharedCounters()
  shared.countVerification(ok: true)
  shared.countVerification(ok: false)
  shared.countVerification(ok: false)
  shared.countPoolOverload()
  let before = page([], shared)
  #expect(before.contains("access_gateway_ready 0"))
  shared.setReady(true)
  let lines = page([], shared)
  for line in [
    #"access_gateway_verifications_total{result="ok"} 1"#,
    #"access_gateway_verifications_total{result="failed"} 2"#,
    "access_gateway_pool_overloads_total 1",
    "access_gateway_ready 1",
  ] {
    #expect(lines.contains(line), "\(line)")
  }
}

private func issuer() -> IssuerFigures {
  var figures = IssuerFigures(issuer: "https://a.example")
  figures.keys = [.init(kid: "k\"1", verified: 3, failed: 1)]
  figures.skippedKeys = 2
  figures.fetchedAtSeconds = 1_700_000_000
  figures.ageSeconds = 10
  figures.secondsLeft = 604_790
  for outcome in KeyRefreshOutcome.allCases { figures.refreshes[outcome.rawValue] = UInt64(outcome.rawValue + 1) }
  figures.unknownKids = 9
  figures.unknownKidRefetches = 1
  figures.unknownKidRefetchesLimited = 8
  figures.stateFaults = 4
  return figures
}

@Test func `each issuer's keys are on the page under its name`() {
  let lines = page(issuers: [issuer(), IssuerFigures(issuer: "https://b.example")])
  for line in [
    #"access_gateway_key_refreshes_total{issuer="https://a.example",outcome="success"} 1"#,
    #"access_gateway_key_refreshes_total{issuer="https://a.example",outcome="too_large"} 7"#,
    #"access_gateway_key_refreshes_total{issuer="https://b.example",outcome="file"} 0"#,
    #"access_gateway_unknown_kids_total{issuer="https://a.example"} 9"#,
    #"access_gateway_unknown_kid_refetches_total{issuer="https://a.example"} 1"#,
    #"access_gateway_unknown_kid_refetches_limited_total{issuer="https://a.example"} 8"#,
    #"access_gateway_keys{issuer="https://a.example"} 1"#,
    #"access_gateway_keys{issuer="https://b.example"} 0"#,
    #"access_gateway_keys_skipped{issuer="https://a.example"} 2"#,
    #"access_gateway_keys_fetched_timestamp_seconds{issuer="https://a.example"} 1700000000"#,
    #"access_gateway_keys_fetched_timestamp_seconds{issuer="https://b.example"} 0"#,
    #"access_gateway_keys_age_seconds{issuer="https://a.example"} 10"#,
    #"access_gateway_keys_too_old_in_seconds{issuer="https://a.example"} 604790"#,
    #"access_gateway_key_state_faults_total{issuer="https://a.example"} 4"#,
    #"access_gateway_key_verifications_total{issuer="https://a.example",kid="k\"1",result="ok"} 3"#,
    #"access_gateway_key_verifications_total{issuer="https://a.example",kid="k\"1",result="failed"} 1"#,
  ] {
    #expect(lines.contains(line), "\(line)")
  }
  #expect(!lines.contains { $0.hasPrefix(#"access_gateway_keys_age_seconds{issuer="https://b"#) })
}

@Test func `an index beyond the names counts as other and makes no new series`() {
  let loop = LoopCounters()
  for reason in [-1, 2, 31, 32, Int.max, Int.min] { loop.countDenied(reason: reason) }
  let lines = page([loop]).filter { $0.hasPrefix("access_gateway_requests_total") }
  #expect(lines.count == 4)
  #expect(lines.last == #"access_gateway_requests_total{verdict="deny",reason="other"} 6"#)
  let tooMany = MetricNames(reasons: (0..<40).map { "r\($0)" }, refusals: [])
  let bytes = MetricsPage.render(
    loops: [loop], shared: SharedCounters(), issuers: [], names: tooMany, logLinesDropped: 0, process: ProcessFigures(),
    version: "1"
  )
  #expect(String(decoding: bytes, as: UTF8.self).contains(#"{verdict="deny",reason="r31"} 5"#))
}

@Test func `figures of this process are plausible, and left out where unknown`() throws {
  let figures = ProcessFigures.current()
  let start = try #require(figures.startSeconds)
  let now = Date().timeIntervalSince1970
  #expect(start > now - 86_400 && start < now + 1)
  #expect(try #require(figures.residentBytes) > 1 << 20)
  #expect(try #require(figures.openDescriptors) >= 3)
  let pipes = (0..<40).map { _ in Pipe() }
  #expect(try #require(ProcessFigures.current().openDescriptors) >= 80)
  withExtendedLifetime(pipes) {}
  #expect(page(process: ProcessFigures(startSeconds: 1.5)).contains("process_start_time_seconds 1.5"))
  #expect(!page().contains { $0.contains("process_") })
}

@Test func `another thread reads what the loop's thread counted`() async {
  let loop = LoopCounters()
  await Task.detached {
    for _ in 0..<10_000 {
      loop.countAllowed()
      loop.observeDuration(nanoseconds: 1)
    }
  }.value
  let lines = page([loop])
  #expect(lines.contains(#"access_gateway_requests_total{verdict="allow",reason=""} 10000"#))
  #expect(lines.contains("access_gateway_request_duration_seconds_sum 0.00001"))
}

@Test func `promtool finds nothing wrong with the page`() throws {
  let tool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first(where: FileManager.default.isExecutableFile)
  guard let tool else {
    print("skipped: promtool is not installed")
    return
  }
  let bytes = MetricsPage.render(
    loops: [busyLoop()], shared: SharedCounters(), issuers: [issuer()], names: names, logLinesDropped: 1,
    process: .current(), version: "1.2.3")
  let process = Process()
  process.executableURL = URL(filePath: tool)
  process.arguments = ["check", "metrics"]
  let input = Pipe()
  let output = Pipe()
  process.standardInput = input
  process.standardOutput = output
  process.standardError = output
  try process.run()
  try input.fileHandleForWriting.write(contentsOf: bytes)
  try input.fileHandleForWriting.close()
  let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  #expect(process.terminationStatus == 0, "\(said)")
  #expect(said.isEmpty, "\(said)")
}
