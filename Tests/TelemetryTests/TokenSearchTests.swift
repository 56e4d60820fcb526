// What looks like a token in a log line, and what does not.

import Foundation
import Telemetry
import Testing

/// The parts of a token as Access makes them (RS256, a kid of 64 hex digits), with a signature of random bytes.
private let header =
  "eyJhbGciOiJSUzI1NiIsImtpZCI6IjM4YWQ2ZjUwOWNkMGU0MDk2YWMwNWVmMzJlNmI4M2E5In0"
private let payload =
  "eyJhdWQiOlsiNGE3ZjBiM2MiXSwiZW1haWwiOiJhZGFAZXhhbXBsZS5jb20iLCJleHAiOjE4MDAwMDAwMDAsImlhdCI6MTc5OTk5OTk0MH0"
private let signature =
  "dK7mQ2hV0sY9pXb1Rz4Lw8NcTf6Ju3Ge5Ao_HiEq-ZvByPk2MxD7SnWlUaCtIr0jFg9Oh3Kd5Qe8Vb1Yx4Lz6Tp2Nw7Mc0RuSfJiGaHo"
private let token = "\(header).\(payload).\(signature)"

/// The value of the one field of a line with `text` in it.
private func logged(_ value: LogValue, _ format: LogFormat = .json) throws -> String {
  let pipe = Pipe()
  let log = Log(level: .debug, format: format, descriptor: pipe.fileHandleForWriting.fileDescriptor)
  log.info("e", ("v", value))
  #expect(log.flush(milliseconds: 10_000))
  try pipe.fileHandleForWriting.close()
  let line = pipe.fileHandleForReading.readDataToEndOfFile()
  guard format == .json else { return String(decoding: line, as: UTF8.self) }
  return try #require((try JSONSerialization.jsonObject(with: line) as? [String: Any])?["v"] as? String)
}

private func percentEncoded(_ text: String, all: Bool = false, times: Int = 1) -> String {
  var text = text
  for _ in 0..<times {
    text = text.utf8.map { byte in
      all || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "%")
        ? "%" + String(format: "%02X", byte) : String(UnicodeScalar(byte))
    }.joined()
  }
  return text
}

@Test(
  arguments: [
    ("/x/\(token)", "/x/[redacted]"), ("/x/\(token)/page", "/x/[redacted]"),
    ("/cb;CF_Authorization=\(token)", "/cb;CF_Authorization=[redacted]"), ("/auth/\(token)", "/auth/[redacted]"),
    ("/x%3Ft%3D\(token)", "/x%3Ft%3D[redacted]"), (token, "[redacted]"), ("eyJ", "[redacted]"),
    ("/x/\(percentEncoded(token))", "/x/[redacted]"), ("/x/\(percentEncoded(token, times: 3))", "/x/[redacted]"),
    ("/x/\(percentEncoded(token).lowercased().replacing("eyj", with: "eyJ"))", "/x/[redacted]"),
    ("/x/\(percentEncoded(token, all: true))", "/x/[redacted]"), ("/x/%65yJhbGci", "/x/[redacted]"),
    ("/x/\(percentEncoded(token, all: true, times: 2))", "/x/[redacted]"),
    ("/x/\(payload)", "/x/[redacted]"), ("/x/\(signature)", "/x/[redacted]"), ("/x/.\(signature)", "/x/[redacted]"),
    ("/x/\(signature)/y/\(signature)?", "/x/[redacted]/y/[redacted]?"), ("\(signature),b", "[redacted],b"),
    ("/x/\(token.prefix(100))…", "/x/[redacted]"), ("/x/\(signature.prefix(40))", "/x/[redacted]"),
    ("/x/\(payload.dropFirst(60))", "/x/[redacted]"), ("/x/\(signature.dropFirst(3).prefix(9))…", "/x/[redacted]…"),
    ("/a-long-slug-of-words-that-says-much-\(signature.prefix(30))", "/[redacted]"),
    ("the peer said: Bearer \(token)\r\n", "the peer said: Bearer [redacted]"),
    ("a\n\(signature)\u{1b}", "a\n[redacted]\u{1b}"),
    ("%", "%"), ("%2", "%2"), ("%25", "%25"), ("%252", "%252"), ("%2525", "%2525"), ("%zz", "%zz"),
  ] as [(String, String)])
func `no part of a token is logged`(_ text: String, _ expected: String) throws {
  #expect(try logged(.string(text)) == expected)
  let line = try logged(.string(text), .text)
  for start in stride(from: 0, to: token.count - 12, by: 6) {
    let part = token.dropFirst(start).prefix(12)
    #expect(!line.contains(part))
  }
}

@Test func `each window of a signature, of 40 characters, is found`() throws {
  for start in 0...(signature.count - 40) {
    let part = signature.dropFirst(start).prefix(40)
    #expect(try logged(.string("/x/\(part)")) == "/x/[redacted]", "\(part)")
  }
}

@Test(arguments: [
  "/", "/dashboard/api/overview", "wiki.example.com", "/Getting-Started-With-Kubernetes-2024/part-1.html",
  "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2", "8c1f2a3b4d5e6f70-IAD",
  "5f3c1b9e-7c7e-4f6c-9a55-0d8f3f6f1c2b", "ada.lovelace@analytical-engine.example", "203.0.113.7, 2001:db8::1",
  "https://acme.cloudflareaccess.com/cdn-cgi/access/certs", "/var/lib/access-gateway/MyFavouriteFolder2024",
  "TLS failed: certificate verify failed (self-signed certificate in certificate chain)", "01JD9XK3T0M5N8Q2RVWYZAB4CD",
  "/v1/organizations/acme/projects/Website-Relaunch-Q4/issues/1234", "/api/…", "/dashboard/settings…", "money",
  "keyJar",
]) func `other texts are logged as they are`(_ text: String) throws {
  if text == "keyJar" {
    // The price of the one sure sign.
    #expect(try logged(.string(text)) == "[redacted]")
  } else {
    #expect(try logged(.string(text)) == text)
  }
}

@Test func `a key's identifier is logged, unless it is a token`() throws {
  let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
  #expect(try logged(.keyIdentifier(Array(thumbprint.utf8))) == thumbprint)
  #expect(try logged(.string(thumbprint)) == "[redacted]")
  #expect(try logged(.keyIdentifier(Array(token.utf8))) == "[redacted]")
}

@Test func `a token is left out before a value is cut`() throws {
  let text = String(repeating: "a/", count: 120) + signature + "/" + String(repeating: "b", count: 5000)
  #expect(try logged(.string(text)) == String(repeating: "a/", count: 120) + "[redacted]/bbbbb...")
}
