// Reads the settings file and the revocation file anew, on SIGHUP and when they change, on a queue of its own: a large
// file takes hundreds of milliseconds, and a disk may take longer. What came of it is told as one value; nothing is
// exchanged here.

import Dispatch
import POSIX
import Policy

/// What reading anew gave.
enum ReloadOutcome: Sendable {
  /// A good configuration, with its revocations; the lists belong together.
  case configuration(Configuration, RevocationTable)
  /// Only the revocation file has changed, and it is good.
  case revocations(RevocationTable)
  /// Nothing of the file may be used.
  case badConfiguration(ConfigurationMistakes)
  /// The last good list stays.
  case badRevocations(ConfigurationMistakes)
}

/// One serial queue; any thread may call. Holds what was last taken from the files.
final class Reloader: Sendable {
  /// How often files are looked at, in milliseconds: with the time that one must stand still, and that of reading, well
  /// below 2 s.
  private static let pause = 250

  private let queue = DispatchQueue(label: "reload")
  private let load: ConfigurationLoader
  private let tell: @Sendable (ReloadOutcome) -> Void
  private let state: Locked<State>

  private struct State {
    var served: Configuration
    var settingsFile: FileWatch
    var revocationFile: FileWatch
    var isEnding = false
  }

  /// - Parameters:
  ///   - served: what is served now.
  ///   - settingsStamp: of the settings file, taken before it was read.
  ///   - revocationStamp: of the revocation file, taken before it was read.
  ///   - load: reads everything but the revocation file.
  ///   - tell: called on the queue.
  init(
    _ served: Configuration, settingsStamp: FileMark?, revocationStamp: FileMark?,
    load: @escaping ConfigurationLoader, tell: @escaping @Sendable (ReloadOutcome) -> Void
  ) {
    self.load = load
    self.tell = tell
    state = Locked(
      State(
        served: served, settingsFile: FileWatch(taken: settingsStamp),
        revocationFile: FileWatch(taken: revocationStamp)))
  }

  /// Looks at the files from now on.
  func start() { scheduleLook() }

  /// Nothing is read any more.
  func end() { state.withLock { $0.isEnding = true } }

  /// Reads everything anew, whether it has changed or not.
  func reload() {
    queue.async { [self] in readAll() }
  }

  private func scheduleLook() {
    queue.asyncAfter(deadline: .now() + .milliseconds(Self.pause)) { [weak self] in
      guard let self, !state.withLock({ $0.isEnding }) else { return }
      look()
      scheduleLook()
    }
  }

  private func look() {
    let served = state.withLock { $0.served }
    let now = Clock.monotonicMilliseconds
    let settingsStamp = served.file.flatMap { FileMark($0) }
    let revocationStamp = served.revocationFile.flatMap { FileMark($0) }
    let (settingsChanged, revocationsChanged) = state.withLock { state in
      (
        served.file != nil && state.settingsFile.observe(settingsStamp, at: now),
        served.revocationFile != nil && state.revocationFile.observe(revocationStamp, at: now)
      )
    }
    if settingsChanged {
      readAll()
    } else if revocationsChanged {
      readRevocations(served)
    }
  }

  private func readRevocations(_ served: Configuration) {
    switch served.revocationTable() {
    case .success(let table): tell(.revocations(table))
    case .failure(let mistakes): tell(.badRevocations(mistakes))
    }
  }

  private func readAll() {
    let served = state.withLock { $0.served }
    let settingsStamp = served.file.flatMap { FileMark($0) }
    switch load() {
    case .failure(let mistakes): return tell(.badConfiguration(mistakes))
    case .success(let loaded): take(loaded, settingsStamp, after: served)
    }
  }

  private func take(
    _ loaded: Configuration, _ settingsStamp: FileMark?, after served: Configuration
  ) {
    // A file cut short must not open the house: without applications every valid token comes in.
    if served.policies != nil, loaded.policies == nil {
      let file = loaded.file ?? served.file ?? "settings"
      return tell(
        .badConfiguration(
          ConfigurationMistakes(lines: [
            "\(file):1:1: applications: '' is refused; allowed: applications, until a restart"
          ])))
    }
    if case .failure(let mistakes) = loaded.rules() { return tell(.badConfiguration(mistakes)) }
    // Policies are bound to their issuers by place, and the issuers stay until a restart.
    if loaded.policies != nil, loaded.settings.issuers.map(\.issuer) != served.settings.issuers.map(\.issuer) {
      return tell(
        .badConfiguration(
          ConfigurationMistakes(lines: [
            "\(loaded.file ?? "settings"):1:1: issuers: the change needs a restart; nothing is taken"
          ])))
    }
    if served.revocationFile != nil, loaded.revocationFile == nil {
      // Whoever was revoked would be let in again.
      return tell(
        .badConfiguration(
          ConfigurationMistakes(lines: [
            "\(loaded.file ?? "settings"):1:1: revocation: '' is refused; allowed: a file, until a restart"
          ]
          )))
    }
    let revocationStamp = loaded.revocationFile.flatMap { FileMark($0) }
    switch loaded.revocationTable() {
    case .failure(let mistakes):
      tell(.badRevocations(mistakes))
      return tell(
        .badConfiguration(ConfigurationMistakes(lines: ["the revocation file of the new settings cannot be used"])))
    case .success(let table):
      state.withLock { state in
        state.served = loaded
        state.settingsFile = FileWatch(taken: settingsStamp)
        state.revocationFile = FileWatch(taken: revocationStamp)
      }
      tell(.configuration(loaded, table))
    }
  }
}
