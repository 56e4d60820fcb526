// All settings of the gateway as typed, checked values. No text is read here (SettingsTable.swift does that), and
// nothing outside this module can change a value.

/// Who may come in: the setting `require`.
public enum RequiredIdentity: String, Equatable, Sendable, CaseIterable {
  /// A user, that is a token with `email`.
  case identity
  /// A service token, that is one with `common_name`.
  case service
  case any
}

/// The setting `listen_shared`: what a process does that finds another one at its port.
public enum SharedListening: String, Equatable, Sendable, CaseIterable {
  /// Says so, and shares the port.
  case warn
  /// Says so, and ends.
  case refuse
}

/// The setting `log_level`: lines below it are not written.
public enum LogThreshold: String, Equatable, Sendable, CaseIterable {
  case debug, info, warning, error
}

/// The setting `log_format`.
public enum LogStyle: String, Equatable, Sendable, CaseIterable {
  case text, json
}

/// The setting `socket_owner`: names or numbers, which nobody has looked up yet.
public struct SocketOwner: Equatable, Sendable, CustomStringConvertible {
  public let user: String?
  public let group: String?

  /// Reads `user`, `user:group` or `:group`; nil if it is none.
  init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    func isName(_ part: String) -> Bool {
      (1...64).contains(part.utf8.count) && part.utf8.first != UInt8(ascii: "-")
        && part.utf8.allSatisfy { isLetter($0) || isDigit($0) || "._-".utf8.contains($0) }
    }
    guard let user = parts.first, isName(user) || user.isEmpty && parts.count == 2 else { return nil }
    self.user = user.isEmpty ? nil : user
    group = parts.count == 2 ? parts[1] : nil
    guard group.map(isName) ?? true else { return nil }
  }

  public var description: String { (user ?? "") + (group.map { ":" + $0 } ?? "") }
}

/// The machine that the defaults depend on.
public struct Surroundings: Equatable, Sendable {
  /// CPUs that this process may use.
  public var cores: Int
  /// Whether stderr is a terminal.
  public var stderrIsTerminal: Bool

  public init(cores: Int, stderrIsTerminal: Bool) {
    self.cores = cores
    self.stderrIsTerminal = stderrIsTerminal
  }
}

/// One immutable set of settings, each within its range (SPEC.md, "The process"). Made by `SettingsTable.resolve`.
///
/// Durations are whole seconds, sizes are bytes.
public struct GatewaySettings: Equatable, Sendable {
  /// The teams' hosts, such as `acme.cloudflareaccess.com`; empty where only `issuer` is given.
  public internal(set) var teamDomains: [String]
  /// Those whose tokens are accepted: 1 to 16, no two with the same `issuer`.
  public internal(set) var issuers: [IssuerSettings]
  /// Absolute path of PEM certificates to trust for key servers in place of the system's; nil: the system's.
  public internal(set) var caFile: String?
  /// Whether keys may come over http from a private network.
  public internal(set) var allowHTTPKeys: Bool
  /// One or more, none colliding with another or with `admin`.
  public internal(set) var listen: [NetworkAddress]
  public internal(set) var listenShared: SharedListening
  /// Where `/livez`, `/readyz` and `/metrics` are; nil means off.
  public internal(set) var admin: NetworkAddress?
  /// Permission bits of `unix:` sockets, 0...0o777.
  public internal(set) var socketMode: UInt32
  /// Owner of `unix:` sockets; nil leaves the process's own.
  public internal(set) var socketOwner: SocketOwner?
  /// Absolute path of the folder for the last good key set; nil means that none is kept.
  public internal(set) var stateDirectory: String?
  /// 401, 403 or 503: the status of `keys_unavailable`, `overloaded` and a refusal for want of room.
  public internal(set) var unavailableStatus: Int
  public internal(set) var exposeReason: Bool
  /// 1...86,400, at most `keysMaxAgeSeconds`.
  public internal(set) var keysRefreshSeconds: Int
  /// 1...30 days.
  public internal(set) var keysMaxAgeSeconds: Int
  /// 0 (never)...10.
  public internal(set) var unknownKidWaitSeconds: Int
  /// 1...64.
  public internal(set) var eventLoops: Int
  /// 1...64.
  public internal(set) var verifyWorkers: Int
  /// 1 MiB...16 GiB, over all loops.
  public internal(set) var maxPartialBytes: Int
  /// 1...1,048,576, over all loops.
  public internal(set) var maxConnections: Int
  /// 8 KiB...128 KiB.
  public internal(set) var maxHeadBytes: Int
  /// 1...60.
  public internal(set) var headerTimeoutSeconds: Int
  /// 1...3,600.
  public internal(set) var idleTimeoutSeconds: Int
  /// 0...600.
  public internal(set) var drainTimeoutSeconds: Int
  /// Over all loops; 0 (nothing is remembered) or 64 KiB...16 GiB.
  public internal(set) var tokenCacheBytes: Int
  /// Whether the process may be dumped, and traced by other processes of its user.
  public internal(set) var coreDumps: Bool
  public internal(set) var logLevel: LogThreshold
  public internal(set) var logFormat: LogStyle
}

/// Settings while they are being read: what may still be missing, or follows from another setting, is nil.
struct UnfinishedSettings {
  var teamDomains: [String] = []
  var issuers: [String] = []
  // One for all issuers, or one each.
  var keysLocations: [KeysLocation] = []
  var algorithms: [[SignatureName]] = []
  var tokenTypes: [String] = []
  var leeways: [Int] = []
  var requires: [RequiredIdentity] = []
  var caFile: String?
  var allowHTTPKeys = false
  var listen: [NetworkAddress] = []
  var listenShared = SharedListening.warn
  var admin: NetworkAddress?
  var socketMode: UInt32 = 0
  var socketOwner: SocketOwner?
  var stateDirectory: String?
  var unavailableStatus = 503
  var exposeReason = false
  var keysRefreshSeconds = 0
  var keysMaxAgeSeconds = 0
  var unknownKidWaitSeconds = 0
  var eventLoops: Int?
  var verifyWorkers: Int?
  var maxPartialBytes = 0
  var maxConnections = 0
  var maxHeadBytes = 0
  var headerTimeoutSeconds = 0
  var idleTimeoutSeconds = 0
  var drainTimeoutSeconds = 0
  var tokenCacheBytes = 0
  var coreDumps = false
  var logLevel = LogThreshold.info
  var logFormat: LogStyle?
}
