// swift-tools-version: 6.2
// A package of its own, so that the program never depends on what it is measured against.

import PackageDescription

let package = Package(
  name: "gate",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
    .package(url: "https://github.com/vapor/jwt-kit", exact: "5.7.1"),
  ],
  targets: [
    .executableTarget(
      name: "gate",
      dependencies: [
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "JWTKit", package: "jwt-kit"),
      ],
      path: "Sources/Gate")
  ]
)
