// A flag for each setting of the table. Only text is taken here; the table reads it.

import ArgumentParser
import HTTPFetch
import POSIX
import Settings

/// All settings as flags, for the commands that need them.
struct SettingsFlags: ParsableArguments {
  @Option(name: flag(.teamDomain), help: help(.teamDomain)) var teamDomain: String?
  @Option(name: flag(.issuer), help: help(.issuer)) var issuer: String?
  @Option(name: flag(.keysURL), help: help(.keysURL)) var keysURL: String?
  @Option(name: flag(.algorithms), help: help(.algorithms)) var algorithms: String?
  @Option(name: flag(.tokenTypes), help: help(.tokenTypes)) var tokenTypes: String?
  @Option(name: flag(.caFile), help: help(.caFile)) var caFile: String?
  @Option(name: flag(.allowHTTPKeys), help: help(.allowHTTPKeys)) var allowHTTPKeys: String?
  @Option(name: flag(.listen), help: help(.listen)) var listen: String?
  @Option(name: flag(.listenShared), help: help(.listenShared)) var listenShared: String?
  @Option(name: flag(.admin), help: help(.admin)) var admin: String?
  @Option(name: flag(.socketMode), help: help(.socketMode)) var socketMode: String?
  @Option(name: flag(.socketOwner), help: help(.socketOwner)) var socketOwner: String?
  @Option(name: flag(.stateDir), help: help(.stateDir)) var stateDir: String?
  @Option(name: flag(.leeway), help: help(.leeway)) var leeway: String?
  @Option(name: flag(.require), help: help(.require)) var require: String?
  @Option(name: flag(.unavailableStatus), help: help(.unavailableStatus)) var unavailableStatus: String?
  @Option(name: flag(.exposeReason), help: help(.exposeReason)) var exposeReason: String?
  @Option(name: flag(.keysRefresh), help: help(.keysRefresh)) var keysRefresh: String?
  @Option(name: flag(.keysMaxAge), help: help(.keysMaxAge)) var keysMaxAge: String?
  @Option(name: flag(.unknownKidWait), help: help(.unknownKidWait)) var unknownKidWait: String?
  @Option(name: flag(.eventLoops), help: help(.eventLoops)) var eventLoops: String?
  @Option(name: flag(.verifyWorkers), help: help(.verifyWorkers)) var verifyWorkers: String?
  @Option(name: flag(.maxPartialBytes), help: help(.maxPartialBytes)) var maxPartialBytes: String?
  @Option(name: flag(.maxConnections), help: help(.maxConnections)) var maxConnections: String?
  @Option(name: flag(.maxHeadBytes), help: help(.maxHeadBytes)) var maxHeadBytes: String?
  @Option(name: flag(.headerTimeout), help: help(.headerTimeout)) var headerTimeout: String?
  @Option(name: flag(.idleTimeout), help: help(.idleTimeout)) var idleTimeout: String?
  @Option(name: flag(.drainTimeout), help: help(.drainTimeout)) var drainTimeout: String?
  @Option(name: flag(.tokenCacheBytes), help: help(.tokenCacheBytes)) var tokenCacheBytes: String?
  @Option(name: flag(.coreDumps), help: help(.coreDumps)) var coreDumps: String?
  @Option(name: flag(.logLevel), help: help(.logLevel)) var logLevel: String?
  @Option(name: flag(.logFormat), help: help(.logFormat)) var logFormat: String?

  /// The flags that were given, by setting name.
  var given: [String: String] {
    var given: [String: String] = [:]
    for name in SettingName.allCases {
      given[name.rawValue] = text(of: name)
    }
    return given
  }

  private func text(of name: SettingName) -> String? {
    switch name {
    case .teamDomain: teamDomain
    case .issuer: issuer
    case .keysURL: keysURL
    case .algorithms: algorithms
    case .tokenTypes: tokenTypes
    case .caFile: caFile
    case .allowHTTPKeys: allowHTTPKeys
    case .listen: listen
    case .listenShared: listenShared
    case .admin: admin
    case .socketMode: socketMode
    case .socketOwner: socketOwner
    case .stateDir: stateDir
    case .leeway: leeway
    case .require: require
    case .unavailableStatus: unavailableStatus
    case .exposeReason: exposeReason
    case .keysRefresh: keysRefresh
    case .keysMaxAge: keysMaxAge
    case .unknownKidWait: unknownKidWait
    case .eventLoops: eventLoops
    case .verifyWorkers: verifyWorkers
    case .maxPartialBytes: maxPartialBytes
    case .maxConnections: maxConnections
    case .maxHeadBytes: maxHeadBytes
    case .headerTimeout: headerTimeout
    case .idleTimeout: idleTimeout
    case .drainTimeout: drainTimeout
    case .tokenCacheBytes: tokenCacheBytes
    case .coreDumps: coreDumps
    case .logLevel: logLevel
    case .logFormat: logFormat
    }
  }

  /// Reads all settings from flags and environment; a mistake ends the command with its one line and 78. So does a
  /// `ca_file` that holds no certificates: every fetch of keys would fail by it.
  ///
  /// - Parameter overrides: texts by setting name that win over the flags.
  func resolved(overrides: [String: String] = [:]) throws -> ResolvedSettings {
    let flags = given.merging(overrides) { $1 }
    let environment = processEnvironment()
    do throws(SettingsError) {
      let resolved = try SettingsTable.resolve(
        flags: flags, environment: environment, surroundings: processSurroundings())
      if let path = resolved.settings.caFile, let fault = TrustedCertificates.fault(inFile: path) {
        throw SettingsTable.mistake(
          in: .caFile, allowed: "a file of PEM certificates, and system; \(fault)", flags: flags,
          environment: environment)
      }
      return resolved
    } catch {
      throw Failure.configuration(error)
    }
  }
}

/// `--team-domain`.
func flag(_ name: SettingName) -> NameSpecification { .customLong(name.flagName) }

/// The row's help with its variable, default and what is allowed.
func help(_ name: SettingName) -> ArgumentHelp {
  let row = SettingsTable.setting(name)
  return ArgumentHelp(stringLiteral: row.fullHelp).named(row.placeholder)
}

extension ArgumentHelp {
  fileprivate func named(_ valueName: String) -> ArgumentHelp {
    var help = self
    help.valueName = valueName
    return help
  }
}
