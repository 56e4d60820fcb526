// swift-tools-version: 6.2
import PackageDescription

// libevent's headers define _GNU_SOURCE and Swift's own Glibc module does not: every target that sees both
// must agree, or debug builds find two fd_set (docs/architecture.md, "Traps").
let gnuSource = CSetting.define("_GNU_SOURCE")

let strict: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatWarning("StrictMemorySafety", as: .error),
  ] + (Context.environment["WARNINGS_AS_ERRORS"] == "1" ? [.treatAllWarnings(as: .error)] : [])

/// A room of the house (docs/architecture.md): it may import what is listed, which stands on lower floors only.
func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, cSettings: [gnuSource], swiftSettings: strict)
}

/// Tests of a room; what else they need is listed. All have `Seeding`, the one source of randomness.
func tests(of name: String, _ others: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.byName(name: name), "Seeding"] + others, cSettings: [gnuSource],
    swiftSettings: strict)
}

/// A program that measures or tests, outside of `Sources`.
func tool(_ name: String, in path: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(
    name: name, dependencies: dependencies, path: "\(path)/\(name)", cSettings: [gnuSource], swiftSettings: strict)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "access-gateway",
  products: [
    .executable(name: "access-gateway", targets: ["Gateway"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // The ground floor: C, the operating system, and what is pure.
    .systemLibrary(name: "CEvent", pkgConfig: "libevent_openssl", providers: [.apt(["libevent-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CLinux"),
    room("POSIX", ["CLinux"]),
    room("HTTPSyntax"),
    room("Token"),
    room("Wording"),
    room("Policy"),
    room("EnvoyAuthorization", ["HTTPSyntax"]),

    room("Settings", ["Policy", "Wording"]),
    room("SettingsFile", ["Policy", "Wording", "CYAML"]),
    room("HTTP2", ["CNGHTTP2", "HTTPSyntax"]),
    room("TLS", ["COpenSSL", "POSIX"]),
    room("Telemetry", ["POSIX"]),
    room("EventLoops", ["CEvent", "POSIX"]),
    room("Verification", ["Token", "COpenSSL", "POSIX"]),

    room("Authorization", ["Verification", "Token", "Telemetry", "Policy", "POSIX"]),
    room("HTTPServing", ["HTTP2", "TLS", "EventLoops", "HTTPSyntax", "POSIX", "CEvent", "COpenSSL"]),
    room("HTTPFetch", ["EventLoops", "POSIX", "CEvent", "COpenSSL"]),

    room(
      "ForwardAuth",
      [
        "Authorization", "HTTPServing", "HTTP2", "HTTPSyntax", "Verification", "Token", "Telemetry", "Policy",
        "EventLoops", "POSIX",
      ]),
    room("Admin", ["HTTPServing", "HTTPSyntax", "Telemetry", "POSIX"]),
    room("IssuerKeys", ["HTTPFetch", "EventLoops", "Verification", "Token", "Telemetry", "Settings", "POSIX"]),
    room("DevIssuer", ["HTTPServing", "Telemetry", "HTTPSyntax", "EventLoops", "POSIX", "COpenSSL"]),

    .executableTarget(
      name: "Gateway",
      dependencies: [
        "ForwardAuth", "Authorization", "Admin", "IssuerKeys", "DevIssuer", "HTTPServing", "HTTPFetch", "HTTPSyntax",
        "Verification", "Token", "EventLoops", "Telemetry", "Settings", "SettingsFile", "Policy", "Wording", "POSIX",
        "TLS", "HTTP2", argumentParser,
      ], cSettings: [gnuSource], swiftSettings: strict),

    tool("Refusals", in: "bench", ["Token", "Verification", "DevIssuer", "COpenSSL"]),
    tool("RoomJudge", in: "Tests", ["Token", "Verification"]),
    tool("EnvoyAuthorizationPipe", in: "Tests", ["EnvoyAuthorization", "HTTPSyntax"]),
    tool("PolicyJudge", in: "Tests", ["Policy", "SettingsFile"]),

    .target(name: "Seeding", path: "Tests/Seeding", swiftSettings: strict),
    tests(of: "POSIX"),
    tests(of: "HTTPSyntax"),
    tests(of: "Token"),
    tests(of: "EnvoyAuthorization", ["HTTPSyntax"]),
    tests(of: "Policy"),
    tests(of: "Settings"),
    tests(of: "SettingsFile", ["Policy"]),
    tests(of: "Telemetry", ["POSIX"]),
    tests(of: "EventLoops", ["CEvent", "POSIX"]),
    tests(of: "Verification", ["Token", "DevIssuer", "POSIX"]),
    tests(of: "Authorization", ["Verification", "Token", "Telemetry", "Policy", "DevIssuer", "POSIX"]),
    tests(of: "HTTPServing", ["EventLoops", "HTTPSyntax", "POSIX", "CEvent"]),
    tests(of: "HTTP2", ["HTTPSyntax", "CNGHTTP2"]),
    tests(of: "TLS", ["POSIX", "COpenSSL"]),
    tests(of: "HTTPFetch", ["EventLoops", "POSIX", "CEvent"]),
    tests(of: "ForwardAuth", ["EventLoops", "HTTPServing", "HTTPSyntax", "Token", "Telemetry", "POSIX"]),
    tests(of: "IssuerKeys", ["Settings", "Verification", "DevIssuer", "EventLoops", "Telemetry", "POSIX"]),
    tests(
      of: "Gateway",
      [
        "ForwardAuth", "Admin", "DevIssuer", "HTTPServing", "HTTPFetch", "HTTPSyntax", "Token", "Telemetry", "Settings",
        "SettingsFile", "Policy", "POSIX",
        argumentParser,
      ]),
  ]
)
