// The parser against the files of JSONTestSuite (RFC 8259). The files stay where they are: ../shared/vectors, or
// $EXTERNAL_VECTORS.

import Foundation
import Testing

import Token

@Suite struct JSONSuiteTests {
  /// Our limits refuse these two, which RFC 8259 leaves to the reader: a name twice in an object.
  static let duplicates: Set = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"]

  /// The folder with other people's vectors, or nil (with a line that says so) where it is missing.
  static func files() throws -> [(name: String, bytes: [UInt8])]? {
    let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let vectors =
      ProcessInfo.processInfo.environment["EXTERNAL_VECTORS"].map { URL(filePath: $0) }
      ?? package.deletingLastPathComponent().appending(path: "shared/vectors")
    let folder = vectors.appending(path: "JSONTestSuite/test_parsing")
    guard FileManager.default.fileExists(atPath: folder.path) else {
      print("SKIPPED: no JSONTestSuite at \(folder.path)")
      return nil
    }
    return try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".json") }.sorted()
      .map { ($0, [UInt8](try Data(contentsOf: folder.appending(path: $0)))) }
  }

  @Test func `every file of JSONTestSuite gets the verdict of its name`() throws {
    guard let files = try Self.files() else { return }
    var document = JSONDocument(nodeCapacity: 4096)
    var refused = 0
    var accepted = 0
    var either = 0
    for (name, bytes) in files {
      let isAccepted = document.parse(bytes.span)
      #expect((document.root != nil) == isAccepted, "\(name)")
      if name.hasPrefix("n_") || Self.duplicates.contains(name) {
        #expect(!isAccepted, "\(name)")
      } else if name.hasPrefix("y_") {
        #expect(isAccepted, "\(name)")
      }
      switch name.first {
      case "n": refused += 1
      case "y": accepted += 1
      default: either += 1
      }
    }
    print("JSONTestSuite: \(refused) to refuse, \(accepted) to accept (less 2 duplicates), \(either) either way")
    #expect(refused >= 188)
    #expect(accepted >= 95)
    #expect(either >= 35)
  }

  @Test func `every number of JSONTestSuite converts without a trap, as Foundation does`() throws {
    guard let files = try Self.files() else { return }
    var document = JSONDocument(nodeCapacity: 4096)
    var seen = 0
    for (name, bytes) in files where document.parse(bytes.span) {
      guard let root = document.root, root.kind == .array else { continue }
      var cursor = document.children(of: root)
      while let element = document.nextElement(&cursor) {
        guard element.kind == .number else { continue }
        seen += 1
        let expected = Double(String(decoding: bytes[element.range], as: UTF8.self)) ?? .infinity
        if let number = element.number(in: bytes.span) {
          #expect(abs(number - expected) <= 4 * expected.ulp, "\(name)")
        } else {
          #expect(!expected.isFinite, "\(name)")
        }
      }
    }
    #expect(seen >= 35)
  }
}
