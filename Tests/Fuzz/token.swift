// Fuzzed: compact tokens, from their form to the verdict. The input is a whole token; or, where it starts with `{`, a
// header and a payload with a zero byte between them, so that JSON is reached without base64.

import Token
import Verification

private let issuer = Array("https://acme.cloudflareaccess.com".utf8)
private let audience = Array("aud".utf8)

/// RFC 7515 appendix A.2's key: nobody who writes an input here can sign with it.
private let keys: KeySet = {
  let text = Array(
    ("{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\""
      + "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgN"
      + "MsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsm"
      + "tdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
      + "\"}]}").utf8)
  guard let set = try? JWKSet.read(text.span, issuer: issuer, algorithms: .rs256) else { fatalError("no key") }
  return KeySet(set, generation: 1)
}()

/// libFuzzer calls from one thread.
private final class State: @unchecked Sendable {
  var reader = TokenReader()
  var verifier: SignatureVerifier
  let expectations = Expectations(issuer: issuer, require: .any)
  let judge: Judge

  init(_ verifier: consuming SignatureVerifier) {
    self.verifier = verifier
    judge = Judge(expectations)
  }

  func judge(_ token: [UInt8]) {
    let screened = reader.screen(token.span)
    precondition(reader.hasToken == (screened == .settled))
    precondition(screened == .settled || (reader.kind == nil && reader.expires == nil), "an unread token speaks")
    precondition(reader.isList(token.span) == (token.contains(0x2C) && token.count <= TokenReader.maximumTokenLength))
    let first = judge.screen(
      token: token.span, audience: audience.span, now: 1_700_000_000, keys: [keys], reader: &reader)
    let form = reader.read(token.span)
    precondition(reader.hasToken == (form == nil))
    precondition(reader.hasKeyIdentifier || reader.withKeyIdentifier { $0.isEmpty })
    var written: [UInt8] = []
    reader.appendUser(to: &written)
    reader.appendEmail(to: &written)
    reader.appendSubject(to: &written)
    precondition(written.allSatisfy { $0 >= 0x20 && $0 <= 0x7E }, "a raw byte leaves")
    if screened == .settled { precondition(form == nil, "settled and refused") }
    if case .refused(let reason) = screened { precondition(form == reason, "one token, two forms") }
    if form != nil {
      precondition(written.isEmpty && reader.expires == nil && reader.kind == nil, "a refused token speaks")
    } else {
      precondition(token.filter { $0 == 0x2E }.count == 2 && token.count <= TokenReader.maximumTokenLength)
      precondition(reader.signingInput.upperBound < token.count)
      if let expires = reader.expiresFloored { precondition(expires >= 0 && expires < 1 << 53) }
    }
    let reason = reader.check(expectations, audience: audience.span, now: 1_700_000_000)
    if reason == nil { precondition(reader.kind != nil && reader.expires != nil) }
    let verdict = judge.verdict(
      token: token.span, audience: audience.span, now: 1_700_000_000, keys: [keys], reader: &reader, verifier: &verifier
    )
    precondition(verdict != .allowed, "a forgery")
    if let form { precondition(verdict == .denied(form), "one token, two verdicts") }
    let later = judge.confirm(
      token: token.span, audience: audience.span, now: 1_700_000_000, keys: [keys], verifiedBy: keys.keys[0],
      reader: &reader)
    // But for the signature, behind which some is judged, a loop says what a verdict says.
    switch first {
    case .refused(let reason):
      if screened == .settled { precondition(verdict == .denied(reason)) }
      precondition(later != .allowed || reason == .signature)
    case .needsSignature: precondition(later == .allowed ? verdict == .denied(.signature) : later == verdict)
    }
  }
}

private func newState() -> State {
  guard let verifier = SignatureVerifier() else { fatalError("no SHA-2") }
  return State(verifier)
}

private let state = newState()

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  guard bytes.first == 0x7B else {
    state.judge(bytes)
    return 0
  }
  let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
  let header = encoded(parts[0])
  let payload = encoded(parts.count > 1 ? parts[1] : [])
  // 256 bytes: the length that the key's signatures have.
  state.judge(header + [0x2E] + payload + [0x2E] + encoded([UInt8](repeating: 1, count: 256)[...]))
  return 0
}

private func encoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
  let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  var out: [UInt8] = []
  var bits = 0
  var held = 0
  for byte in bytes {
    bits = (bits << 8 | Int(byte)) & 0xFFFF
    held += 8
    while held >= 6 {
      held -= 6
      out.append(alphabet[bits >> held & 63])
    }
  }
  if held > 0 { out.append(alphabet[bits << (6 - held) & 63]) }
  return out
}
