// What an issuer's state file holds, as bytes: the last good key set, whose it is, and when it was fetched. Pure: no
// file is opened here (KeyStateFile.swift), no key is judged (JWKSet).
//
//     access-gateway keys 1
//     issuer https://acme.cloudflareaccess.com
//     from https://acme.cloudflareaccess.com/cdn-cgi/access/certs
//     fetched 1800000000
//     seen 9f86…0a08 1790000000          (a line a key: thumbprint, and when it was first seen)
//     length 2711
//     sha256 2c26…66ae                   (of all lines above and the set)
//
//     {"keys":[…                         (the set as it was fetched)

import Verification

/// Why a state file is not used, or could not be written.
package enum KeyStateFault: Error, Equatable, Sendable, CustomStringConvertible {
  case malformed, version, checksum, issuer, source, future, tooOld
  /// A file that may not be trusted, or a call that failed; the words say which.
  case file(String)
  /// The set inside holds no usable key under the settings of now.
  case set(String)

  package var description: String {
    switch self {
    case .malformed: "the file is cut, or no state file"
    case .version: "the file is of another version"
    case .checksum: "the checksum does not match"
    case .issuer: "the file is another issuer's"
    case .source: "the keys came from another keys_url"
    case .future: "the file says that it was written in the future"
    case .tooOld: "the keys are older than keys_max_age"
    case .file(let words), .set(let words): words
    }
  }
}

/// A key set that was fetched, and where and when.
package struct KeyState: Equatable, Sendable {
  /// What a file may hold at most.
  static let maximumBytes = JWKSet.maximumBytes + maximumHead
  /// Clocks may have been set back by as much since the file was written.
  static let futureTolerance = 60

  private static let magic = "access-gateway keys "
  private static let version = "1"
  private static let maximumHead = 16 * 1024

  /// As in `iss`.
  package var issuer: String
  /// The keys URL.
  package var source: String
  /// Seconds since 1970.
  package var fetchedAt: Int
  /// When each key was first seen, in seconds since 1970, by the thumbprint's hex digits.
  package var seen: [String: Int]
  /// The JWK set as it was fetched.
  package var set: [UInt8]

  /// The file's bytes.
  var encoded: [UInt8] {
    var head = "\(Self.magic)\(Self.version)\nissuer \(issuer)\nfrom \(source)\nfetched \(fetchedAt)\n"
    for (thumbprint, time) in seen.sorted(by: { $0.key < $1.key }) { head += "seen \(thumbprint) \(time)\n" }
    head += "length \(set.count)\n"
    let sum = Self.checksum(Array(head.utf8), set)
    return Array(head.utf8) + Array("sha256 \(sum)\n\n".utf8) + set
  }

  /// Reads a whole file. Whose keys it holds and how old they are is for ``fault(issuer:source:now:maxAge:)``.
  package init(decoding bytes: [UInt8]) throws(KeyStateFault) {
    var lines = HeadLines(bytes)
    guard let first = lines.next(), first.hasPrefix(Self.magic) else { throw .malformed }
    guard first.dropFirst(Self.magic.count) == Self.version else { throw .version }
    guard let issuer = lines.value(of: "issuer"), let source = lines.value(of: "from"),
      let fetchedAt = lines.value(of: "fetched").flatMap(Self.number)
    else { throw .malformed }
    self.issuer = issuer
    self.source = source
    self.fetchedAt = fetchedAt
    seen = [:]
    while let line = lines.value(of: "seen") {
      let parts = line.split(separator: " ", omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0].utf8.count == 64, let time = Self.number(String(parts[1])) else {
        throw .malformed
      }
      seen[String(parts[0])] = time
    }
    guard let length = lines.value(of: "length").flatMap(Self.number) else { throw .malformed }
    let summed = Array(bytes[..<lines.position])
    guard let sum = lines.value(of: "sha256"), lines.next() == "", lines.position <= Self.maximumHead else {
      throw .malformed
    }
    set = Array(bytes[lines.position...])
    guard set.count == length else { throw .malformed }
    // Against accidents; against people there are owner and mode, since who can write here can sign the sum too.
    guard Self.checksum(summed, set) == sum else { throw .checksum }
  }

  init(issuer: String, source: String, fetchedAt: Int, seen: [String: Int], set: [UInt8]) {
    self.issuer = issuer
    self.source = source
    self.fetchedAt = fetchedAt
    self.seen = seen
    self.set = set
  }

  /// Why the keys may not be used; nil: they may.
  ///
  /// - Parameters:
  ///   - now: seconds since 1970.
  ///   - maxAge: seconds.
  func fault(issuer: String, source: String, now: Int, maxAge: Int) -> KeyStateFault? {
    if self.issuer != issuer { return .issuer }
    if self.source != source { return .source }
    // A time to come would keep the keys trusted for as long as somebody likes.
    if fetchedAt > now + Self.futureTolerance { return .future }
    return now - fetchedAt >= maxAge ? .tooOld : nil
  }

  private static func checksum(_ head: [UInt8], _ set: [UInt8]) -> String {
    let both = head + set
    return SHA256Digest(of: both.span).hex
  }

  /// A whole number as it is written above: digits alone, as many as fit.
  private static func number(_ text: String) -> Int? {
    guard (1...15).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(text)
  }
}

/// The lines of a head, one after the other.
private struct HeadLines {
  private let bytes: [UInt8]
  /// Where the next line starts.
  private(set) var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The next line without its end; nil when there is no whole one, or it is no UTF-8.
  mutating func next() -> String? {
    guard let end = bytes[position...].prefix(4096).firstIndex(of: 10) else { return nil }
    guard let line = String(validating: bytes[position..<end], as: UTF8.self) else { return nil }
    position = end + 1
    return line
  }

  /// The rest of the next line, if it begins with the word; otherwise the line is left.
  mutating func value(of word: String) -> String? {
    let start = position
    guard let line = next(), line.hasPrefix(word + " ") else {
      position = start
      return nil
    }
    return String(line.dropFirst(word.count + 1))
  }
}

extension SHA256Digest {
  /// 64 lower-case digits.
  var hex: String {
    [words.0, words.1, words.2, words.3].map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }.joined()
  }
}
