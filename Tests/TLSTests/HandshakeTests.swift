// Which clients come in, and as what.

import COpenSSL
import Glibc
import TLS
import Testing

@Suite struct HandshakeTests {
  private let folder = Folder()

  private func context(_ change: (inout TLSServerSettings) -> Void = { _ in }) throws -> TLSServerContext {
    var settings = settings(selfSigned(folder))
    change(&settings)
    return try TLSServerContext(settings)
  }

  @Test(arguments: [(TLS1_2_VERSION, "TLSv1.2"), (TLS1_3_VERSION, "TLSv1.3")])
  func `TLS 1.2 and 1.3 are spoken, and the certificate has its names`(version: Int32, name: String) throws {
    let context = try context()
    for host in ["gateway.internal", "127.0.0.1"] {
      var behaviour = ClientBehaviour(lowest: version, highest: version)
      behaviour.authority = SelfSignedFiles(in: folder.path).authority
      if host == "gateway.internal" { behaviour.host = host }
      var pair = PairedClient(context, behaviour)
      let hands = pair.shakeHands()
      #expect(hands.server == .done && hands.client)
      let spoken = pair.server.version
      #expect(spoken == name)
    }
    var behaviour = ClientBehaviour()
    behaviour.authority = SelfSignedFiles(in: folder.path).authority
    behaviour.host = "other.internal"
    var pair = PairedClient(context, behaviour)
    #expect(!pair.shakeHands().client)
  }

  @Test(arguments: [TLS1_VERSION, TLS1_1_VERSION])
  func `older versions are refused`(version: Int32) throws {
    var pair = PairedClient(try context(), ClientBehaviour(lowest: version, highest: version))
    let hands = pair.shakeHands()
    guard case .failed(let reason) = hands.server else {
      Issue.record("not refused: \(hands.server)")
      return
    }
    #expect(reason.contains("unsupported protocol") && !hands.client)
  }

  @Test(arguments: ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256", "aNULL"])
  func `suites without ECDHE and AEAD are refused`(cipher: String) throws {
    var pair = PairedClient(try context(), ClientBehaviour(highest: TLS1_2_VERSION, ciphers: "\(cipher):@SECLEVEL=0"))
    let hands = pair.shakeHands()
    guard case .failed = hands.server else {
      Issue.record("not refused: \(hands.server)")
      return
    }
    #expect(!hands.client)
  }

  @Test(arguments: [
    (["h2", "http/1.1"], true, true), (["http/1.1", "h2"], true, true), (["http/1.1"], true, false),
    (nil, true, false), (["h2", "http/1.1"], false, false), (nil, false, false),
  ])
  func `ALPN picks HTTP 2 where both want it`(protocols: [String]?, offers: Bool, speaksHTTP2: Bool) throws {
    var behaviour = ClientBehaviour()
    behaviour.protocols = protocols
    var pair = PairedClient(try context { $0.offersHTTP2 = offers }, behaviour)
    #expect(pair.shakeHands().client)
    let speaks = pair.server.speaksHTTP2
    #expect(speaks == speaksHTTP2)
  }

  @Test(arguments: [(["spdy/1"], true), (["h2"], false)])
  func `no protocol in common is an alert`(protocols: [String], offers: Bool) throws {
    var behaviour = ClientBehaviour()
    behaviour.protocols = protocols
    var pair = PairedClient(try context { $0.offersHTTP2 = offers }, behaviour)
    let hands = pair.shakeHands()
    guard case .failed(let reason) = hands.server else {
      Issue.record("not refused: \(hands.server)")
      return
    }
    #expect(reason.contains("no application protocol") && !hands.client)
  }

  @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
  func `no session can be resumed`(version: Int32) throws {
    let context = try context()
    var pair = PairedClient(context, ClientBehaviour(lowest: version, highest: version))
    #expect(pair.shakeHands().client)
    // A ticket of TLS 1.3 would arrive with the first bytes.
    let word: [UInt8] = [1]
    _ = pair.server.write(word.span)
    #expect(pair.receive() == [1])
    let session = unsafe SSL_get1_session(pair.session)
    defer { unsafe SSL_SESSION_free(session) }
    #expect(unsafe SSL_SESSION_has_ticket(session) == 0)
    var again = PairedClient(context, ClientBehaviour(lowest: version, highest: version))
    unsafe SSL_set_session(again.session, session)
    #expect(again.shakeHands().client)
    #expect(unsafe SSL_session_reused(again.session) == 0)
  }

  @Test func `a client can't renegotiate`() throws {
    var pair = PairedClient(try context(), ClientBehaviour(highest: TLS1_2_VERSION))
    #expect(pair.shakeHands().client)
    unsafe SSL_renegotiate(pair.session)
    for _ in 0..<4 {
      _ = unsafe SSL_do_handshake(pair.session)
      _ = pair.read()
    }
    #expect(pair.send([7]) <= 0, "the client is in a handshake that does not end")
  }

  // MARK: - Client certificates

  private enum Shown: CaseIterable {
    case nothing, good, goodURI, otherName, commonNameOnly, wildcard, otherAuthority, server, expired
  }

  @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
  func `with tls_client_ca only certificates with a wanted name come in, before a request is read`(
    version: Int32
  ) throws {
    let files = selfSigned(folder)
    let authority = try SelfSignedAuthority(name: "clients", now: today)
    folder.write("other.pem", try authority.root.certificatePEM())
    var settings = settings(files)
    settings.clientCA = "\(folder.path)/other.pem"
    settings.clientNames = [ClientName("dns:Traefik.internal")!, ClientName("uri:spiffe://acme/proxy")!]
    let context = try TLSServerContext(settings)
    for shown in Shown.allCases {
      var behaviour = ClientBehaviour(lowest: version, highest: version)
      behaviour.certificate =
        switch shown {
        case .nothing: nil
        case .good: try authority.issueClient(.dns("TRAEFIK.internal"), now: today)
        case .goodURI: try authority.issueClient(.uri("spiffe://acme/proxy"), now: today)
        case .otherName: try authority.issueClient(.dns("caddy.internal"), now: today)
        // Its common name is "access-gateway client".
        case .commonNameOnly: try authority.issueClient(.uri("spiffe://acme/Proxy"), now: today)
        case .wildcard: try authority.issueClient(.dns("*.internal"), now: today)
        case .otherAuthority:
          try SelfSignedAuthority(name: "clients", now: today).issueClient(.dns("traefik.internal"), now: today)
        case .server: try authority.issueServer([.dns("traefik.internal")], now: today)
        case .expired: try authority.issueClient(.dns("traefik.internal"), now: today - 900 * 86_400)
        }
      var pair = PairedClient(context, behaviour)
      let hands = pair.shakeHands()
      if shown == .good || shown == .goodURI {
        #expect(hands.server == .done && hands.client, "\(shown)")
        continue
      }
      guard case .failed = hands.server else {
        Issue.record("\(shown) came in: \(hands.server)")
        continue
      }
      // TLS 1.3 lets a client think that it is in; what it sends is never read.
      _ = pair.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
      let (step, bytes) = pair.read()
      #expect(bytes.isEmpty && step == .failed("the connection has failed before"), "\(shown)")
    }
  }

  @Test func `with tls_client_ca and no names each certificate of that CA comes in`() throws {
    let files = selfSigned(folder)
    let authority = try SelfSignedAuthority(name: "clients", now: today)
    folder.write("other.pem", try authority.root.certificatePEM())
    var settings = settings(files)
    settings.clientCA = "\(folder.path)/other.pem"
    let context = try TLSServerContext(settings)
    var behaviour = ClientBehaviour()
    behaviour.certificate = try authority.issueClient(.dns("any"), now: today)
    var pair = PairedClient(context, behaviour)
    #expect(pair.shakeHands().server == .done)
    var without = PairedClient(context)
    #expect(without.shakeHands().server == .failed("peer did not return a certificate"))
  }
}
