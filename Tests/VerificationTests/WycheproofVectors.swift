// Reads Wycheproof's files (C2SP/wycheproof, testvectors_v1) for the tests beside it. The files are not in this
// repository; where they are missing, the tests say so and pass.

import Foundation
import DevIssuer

enum Wycheproof {
  struct File {
    let name: String
    let groups: [Group]
  }

  struct Group {
    let fields: [String: Any]
    var tests: [[String: Any]] { fields["tests"] as? [[String: Any]] ?? [] }

    func text(_ name: String) -> String? { fields[name] as? String }
    func number(_ name: String) -> Int? { fields[name] as? Int }
    func publicKey(_ name: String) -> [UInt8] {
      Wycheproof.bytes((fields["publicKey"] as? [String: Any])?[name] as? String ?? "")
    }
  }

  /// The folder of the vectors, or nil after a printed line.
  static func folder() -> URL? {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let path = ProcessInfo.processInfo.environment["EXTERNAL_VECTORS"]
    let folder = (path.map { URL(filePath: $0) } ?? root.appending(path: "../shared/vectors"))
      .appending(path: "wycheproof")
    if FileManager.default.fileExists(atPath: folder.path) { return folder }
    print("SKIPPED: no Wycheproof vectors in \(folder.path)")
    return nil
  }

  static func file(_ name: String, in folder: URL) throws -> File {
    let data = try Data(contentsOf: folder.appending(path: "\(name).json"))
    let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    let groups = object?["testGroups"] as? [[String: Any]] ?? []
    return File(name: name, groups: groups.map(Group.init))
  }

  static func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.utf8.map { UInt8($0 & 0xf) + ($0 >= 0x40 ? 9 : 0) }
    return stride(from: 0, to: digits.count - digits.count % 2, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  /// A key set of one key made of a group's numbers, with `alg` as the group is to be run.
  static func keySet(of group: Group, alg: String) -> String {
    func text(_ bytes: some Sequence<UInt8>) -> String { Base64URLEncoding.encode(bytes) }
    let members: String
    switch alg.prefix(2) {
    case "RS", "PS":
      let n = group.publicKey("modulus").drop { $0 == 0 }
      let e = group.publicKey("publicExponent").drop { $0 == 0 }
      members = "\"kty\":\"RSA\",\"n\":\"\(text(n))\",\"e\":\"\(text(e))\""
    case "ES":
      let point = group.publicKey("uncompressed").dropFirst()
      let (x, y) = (point.prefix(point.count / 2), point.suffix(point.count / 2))
      let curve = ["ES256": "P-256", "ES384": "P-384", "ES512": "P-521"][alg] ?? ""
      members = "\"kty\":\"EC\",\"crv\":\"\(curve)\",\"x\":\"\(text(x))\",\"y\":\"\(text(y))\""
    default:
      let point = group.publicKey("pk")
      members = "\"kty\":\"OKP\",\"crv\":\"\(point.count == 57 ? "Ed448" : "Ed25519")\",\"x\":\"\(text(point))\""
    }
    return "{\"keys\":[{\"kid\":\"k\",\"alg\":\"\(alg)\",\(members)}]}"
  }
}
