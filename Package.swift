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

let package = Package(
  name: "access-gateway",
  products: [
    .executable(name: "access-gateway", targets: ["Gateway"])
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .systemLibrary(name: "CEvent", pkgConfig: "libevent_openssl", providers: [.apt(["libevent-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),

    .target(name: "Locking", swiftSettings: strict),
    .target(name: "HTTPSyntax", swiftSettings: strict),
    .target(name: "EnvoyAuthorization", dependencies: ["HTTPSyntax"], swiftSettings: strict),
    .target(name: "Token", swiftSettings: strict),
    .target(
      name: "Verification", dependencies: ["Token", "COpenSSL"], cSettings: [gnuSource], swiftSettings: strict),
    .target(name: "Issuer", dependencies: ["COpenSSL", "Locking"], cSettings: [gnuSource], swiftSettings: strict),
    .target(
      name: "EventHTTP", dependencies: ["CEvent", "COpenSSL", "HTTPSyntax", "Locking"], cSettings: [gnuSource],
      swiftSettings: strict),
    .target(
      name: "VerificationPool", dependencies: ["Verification", "Locking"], cSettings: [gnuSource], swiftSettings: strict
    ),
    .target(name: "Settings", swiftSettings: strict),
    .target(name: "Telemetry", dependencies: ["Locking"], cSettings: [gnuSource], swiftSettings: strict),
    .executableTarget(
      name: "Gateway",
      dependencies: [
        "HTTPSyntax", "Token", "Verification", "EventHTTP", "VerificationPool", "Settings", "Telemetry",
        "Issuer", "Locking",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], cSettings: [gnuSource], swiftSettings: strict),

    .executableTarget(
      name: "Refusals", dependencies: ["Token", "Verification", "Issuer", "COpenSSL"], path: "bench/Refusals",
      cSettings: [gnuSource], swiftSettings: strict),
    .executableTarget(
      name: "RoomJudge", dependencies: ["Token", "Verification"], path: "Tests/RoomJudge", cSettings: [gnuSource],
      swiftSettings: strict),

    .executableTarget(
      name: "EnvoyAuthorizationPipe", dependencies: ["EnvoyAuthorization", "HTTPSyntax"],
      path: "Tests/EnvoyAuthorizationPipe", swiftSettings: strict),

    .testTarget(name: "HTTPSyntaxTests", dependencies: ["HTTPSyntax"], swiftSettings: strict),
    .testTarget(
      name: "EnvoyAuthorizationTests", dependencies: ["EnvoyAuthorization", "HTTPSyntax"], swiftSettings: strict),
    .testTarget(name: "TokenTests", dependencies: ["Token"], swiftSettings: strict),
    .testTarget(
      name: "VerificationTests", dependencies: ["Verification", "Token", "Issuer"], cSettings: [gnuSource],
      swiftSettings: strict),
    .testTarget(name: "SettingsTests", dependencies: ["Settings"], swiftSettings: strict),
    .testTarget(
      name: "EventHTTPTests", dependencies: ["EventHTTP", "CEvent"], cSettings: [gnuSource], swiftSettings: strict),
    .testTarget(
      name: "VerificationPoolTests", dependencies: ["VerificationPool", "Verification", "Token", "Issuer"],
      cSettings: [gnuSource], swiftSettings: strict),
    .testTarget(name: "TelemetryTests", dependencies: ["Telemetry"], cSettings: [gnuSource], swiftSettings: strict),
    .testTarget(
      name: "GatewayTests",
      dependencies: [
        "Gateway", "Settings", "EventHTTP", "Token", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      cSettings: [gnuSource], swiftSettings: strict),
  ]
)
