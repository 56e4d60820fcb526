"""TLS in front of HTTP/1.1 and HTTP/2: versions, ALPN, certificates of clients, files that change, connections that end in
every way. The client is Python's ssl, which is OpenSSL, and PyPI's h2."""

import datetime
import os
import shutil
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from http2_client import Client
from minting import AUD, EMAIL, certificate_authority
from running import PATIENCE, eventually, run
from wire import Wire, ask, asserted, head, sample

AUTH = f"/auth/{AUD}"
ASSERTION = "cf-access-jwt-assertion"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What `tls-selfsigned` makes."""
    folder = tmp_path_factory.mktemp("tls") / "pair"
    done = run("tls-selfsigned", folder, "localhost", "127.0.0.1")
    assert done.returncode == 0, done.stderr
    assert f"ca: {folder}/ca.pem" in done.stdout and "tls_trust_pool" in done.stdout
    assert os.stat(folder / "server-key.pem").st_mode & 0o777 == 0o600
    return folder


def serve(launch, team, files, **settings):
    """A gateway with a TLS port, `secure`, beside its plain one."""
    return launch.gateway(team.issuer, tls=files, expose_reason="on", **settings)


def trust(files, alpn=("h2",)):
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class SecureWire(Wire):
    """HTTP/1.1 by raw bytes under TLS."""

    def __init__(self, port, context):
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")


@pytest.fixture(scope="module")
def gateway(team, files):
    from conftest import Launch
    launch = Launch()
    yield serve(launch, team, files)
    launch.close()


def test_http2_by_alpn(gateway, team, files):
    with Client(gateway.secure, trust(files, ("h2", "http/1.1"))) as client:
        reply = client.ask(AUTH, [(ASSERTION, team.mint())])
        assert (reply.status, reply["x-auth-email"]) == (200, EMAIL)
        assert client.ask(AUTH)["x-auth-reason"] == "missing"


@pytest.mark.parametrize("alpn", [("http/1.1",), (), ("http/1.1", "h2")])
def test_http1_where_the_client_offers_no_http2(gateway, team, files, alpn):
    context = trust(files, alpn)
    if "h2" in alpn:
        # The server's preference counts.
        with Client(gateway.secure, context) as client:
            assert client.ask(AUTH).status != 200
        return
    with SecureWire(gateway.secure, context) as wire:
        for token in (team.mint(), team.mint(sub="other"), team.mint()):
            wire.send(head(AUTH, asserted(token)))
            assert wire.reply().status == 200
        wire.send(head(AUTH, method="HEAD"))
        assert wire.reply(head=True).status != 200
        # Pipelined, with tokens that must be verified between.
        tokens = [team.mint(sub=str(number)) for number in range(20)]
        wire.send(b"".join(head(AUTH, asserted(token)) + head(AUTH) for token in tokens))
        assert [wire.reply().status == 200 for _ in range(40)] == [True, False] * 20
        wire.send(head(AUTH, "Connection: close"))
        assert wire.reply()["Connection"] == "close"
        wire.assert_closed()


def test_a_protocol_that_is_not_spoken_ends_the_handshake(gateway, files):
    with pytest.raises(ssl.SSLError):
        SecureWire(gateway.secure, trust(files, ("spdy/3",)))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_today(gateway, team, files, version):
    context = trust(files)
    context.minimum_version = context.maximum_version = version
    with Client(gateway.secure, context) as client:
        assert client.ask(AUTH, [(ASSERTION, team.mint())]).status == 200
        assert not client.socket.session_reused and client.socket.session.has_ticket is False


def test_tls_1_1_is_refused(gateway, files):
    context = trust(files)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        SecureWire(gateway.secure, context)


def test_clear_text_on_the_tls_port_gets_no_reply(gateway):
    with Wire(gateway.secure) as wire:
        wire.send(head(AUTH))
        # An alert, perhaps, and no HTTP.
        assert b"HTTP" not in wire.rest()


def test_heads_in_pieces_and_refusals_over_tls(gateway, team, files):
    with SecureWire(gateway.secure, trust(files, ())) as wire:
        for byte in head(AUTH, "Cookie: a=b"):
            wire.send(bytes([byte]))
        assert wire.reply()["X-Auth-Reason"] == "missing"
        wire.send(b"GET / HTTP/1.1\r\n folded: x\r\n\r\n")
        assert wire.reply().status == 400
        wire.assert_closed()


def test_much_at_once_over_tls(gateway, team, files):
    """More than a TLS record and more than the server reads at once."""
    with SecureWire(gateway.secure, trust(files, ())) as wire:
        one = head(AUTH, "X-Padding: " + "x" * 20_000)
        # In one thread: OpenSSL's session is not for two at once. The replies wait in the socket meanwhile.
        wire.send(one * 40)
        assert all(wire.reply()["X-Auth-Reason"] == "missing" for _ in range(40))
    with Client(gateway.secure, trust(files)) as client:
        streams = [client.start(AUTH, [("x-padding", "x" * 9_000)]) for _ in range(12)]
        assert all(client.reply(stream)["x-auth-reason"] == "missing" for stream in streams)


def test_a_client_that_closes_its_side_gets_its_answers(gateway, team, files):
    """close_notify behind a request whose token is new."""
    context = trust(files, ())
    raw = socket.create_connection(("127.0.0.1", gateway.secure), timeout=PATIENCE)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def step(call):
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                data = raw.recv(65536)
                if data:
                    incoming.write(data)
                else:
                    incoming.write_eof()

    with raw:
        step(tls.do_handshake)
        tls.write(head(AUTH, asserted(team.mint(jti="half-closed"))))
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        raw.sendall(outgoing.read())
        seen = b""
        while data := raw.recv(65536):
            seen += data
        assert len(seen) > 100, "an answer came back"


def test_ends_without_a_word(gateway, team, files):
    for alpn in (("h2",), ()):
        for _ in range(3):
            wire = SecureWire(gateway.secure, trust(files, alpn))
            wire.socket.close()
            raw = socket.create_connection(("127.0.0.1", gateway.secure))
            raw.sendall(b"\x16\x03\x01\x02\x00\x01")
            raw.close()
    with Client(gateway.secure, trust(files)) as client:
        assert client.ask(AUTH, [(ASSERTION, team.mint())]).status == 200


def test_late_handshakes_and_heads_end(launch, team, files):
    gateway = serve(launch, team, files, header_timeout="1s", idle_timeout="1s")
    with Wire(gateway.secure) as wire:
        wire.send(b"\x16\x03\x01\x02\x00\x01")
        wire.assert_closed()
    with SecureWire(gateway.secure, trust(files, ())) as wire:
        wire.send(b"GET / HT")
        assert wire.reply().status == 408
        wire.assert_closed()
    with Client(gateway.secure, trust(files)) as client:
        assert client.ask(AUTH).status != 200
        assert client.until_closed() == [0]


def test_connections_over_tls_count_and_make_room(launch, team, files):
    gateway = serve(launch, team, files, max_connections="8", event_loops="1")
    kept = [Client(gateway.secure, trust(files)) for _ in range(8)]
    for client in kept:
        assert client.ask(AUTH).status != 200
    with Client(gateway.secure, trust(files)) as client:
        assert client.ask(AUTH, [(ASSERTION, team.mint())]).status == 200
    assert sum(bool(client.until_closed()) for client in kept[:1]) == 1
    for client in kept:
        client.socket.close()


# Certificates of clients


def client_pair(folder, authority, *names):
    """A client's certificate with the given subject alternative names; its file."""
    issuer_key, issuer = authority
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "traefik.example")]))
        .issuer_name(issuer.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1)))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = folder / f"client-{len(os.listdir(folder))}.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return pem


def is_let_in(gateway, files, pem, token):
    context = trust(files)
    if pem:
        context.load_cert_chain(pem)
    try:
        with Client(gateway.secure, context) as client:
            stream = client.start(AUTH, [(ASSERTION, token)])
            client.until(lambda: client.replies[stream].ended or client.closed, "an end")
            return client.replies[stream].status == 200
    except (OSError, AssertionError):
        return False


def test_only_clients_with_a_certificate_and_a_name_may_ask(launch, team, files, tmp_path):
    authority = certificate_authority()
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(authority[1].public_bytes(serialization.Encoding.PEM))
    token, spiffe = team.mint(), "spiffe://example.com/traefik"
    right = client_pair(tmp_path, authority, x509.DNSName("traefik.example"))
    by_uri = client_pair(tmp_path, authority, x509.UniformResourceIdentifier(spiffe))
    other = client_pair(tmp_path, authority, x509.DNSName("other.example"))
    by_common_name = client_pair(tmp_path, authority)
    stranger = client_pair(tmp_path, certificate_authority(), x509.DNSName("traefik.example"))

    gateway = serve(launch, team, files, tls_client_ca=trusted, tls_client_names=f"dns:traefik.example,uri:{spiffe}")
    rows = [(right, True), (by_uri, True), (other, False), (by_common_name, False), (stranger, False), (None, False)]
    assert [is_let_in(gateway, files, pem, token) for pem, _ in rows] == [good for _, good in rows]
    metrics = ask(gateway.admin_port, "/metrics").body.decode()
    assert sample(metrics, "access_gateway_tls_handshakes_failed_total") >= 4
    assert sample(metrics, "access_gateway_http2_requests_total") == 2, "nothing of a request is read before"

    gateway = serve(launch, team, files, tls_client_ca=trusted)
    assert [is_let_in(gateway, files, pem, token) for pem in (other, stranger, None)] == [True, False, False]


# Files that change


def common_name(port):
    """The serial number of the certificate that the server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw:
        with context.wrap_socket(raw) as tls:
            return x509.load_der_x509_certificate(tls.getpeercert(True)).serial_number


def test_a_new_certificate_is_taken_under_load_and_a_bad_one_is_not(launch, team, files, tmp_path):
    folder, second = tmp_path / "live", tmp_path / "second"
    shutil.copytree(files, folder)
    assert run("tls-selfsigned", second, "localhost").returncode == 0
    gateway = serve(launch, team, folder)
    token, before, wrong, done = team.mint(), common_name(gateway.secure), [], threading.Event()

    def load():
        with Client(gateway.secure, trust(files)) as client:
            while not done.is_set():
                if client.ask(AUTH, [(ASSERTION, token)]).status != 200:
                    wrong.append("denied")

    workers = [threading.Thread(target=load) for _ in range(3)]
    for worker in workers:
        worker.start()
    # The certificate without its key: the one in use stays, and says so.
    (folder / "server.pem").write_bytes((second / "server.pem").read_bytes())
    eventually(lambda: "tls_certificate_refused" in gateway.log(), "the bad pair is told of")
    assert common_name(gateway.secure) == before
    metrics = ask(gateway.admin_port, "/metrics").body.decode()
    assert sample(metrics, "access_gateway_tls_reloads_failed_total") >= 1
    assert sample(metrics, "access_gateway_tls_certificate_days_left") > 80

    (folder / "server-key.pem").write_bytes((second / "server-key.pem").read_bytes())
    eventually(lambda: common_name(gateway.secure) != before, "the new certificate is shown")
    done.set()
    for worker in workers:
        worker.join()
    assert not wrong


def test_a_hang_up_reads_the_certificate_anew(launch, team, files):
    gateway = serve(launch, team, files)
    gateway.signal(1)
    eventually(lambda: "tls_certificate_changed" in gateway.log(), "SIGHUP reads the files")


def test_a_drain_over_tls(launch, team, files):
    gateway = serve(launch, team, files)
    with Client(gateway.secure, trust(files)) as client, SecureWire(gateway.secure, trust(files, ())) as wire:
        assert client.ask(AUTH, [(ASSERTION, team.mint())]).status == 200
        gateway.signal(15)
        assert client.until_closed()[0] == 0
        assert wire.rest() == b""
    assert gateway.wait() == 0


# Settings


@pytest.mark.parametrize("given, blamed", [
    ({"listen": "tls://127.0.0.1:0"}, "tls_cert"), ({"tls_key": "/x"}, "tls_key"), ({"tls_cert": "/x"}, "tls_key"),
    ({"tls_client_names": "dns:x"}, "tls_client_names"), ({"admin": "tls://127.0.0.1:0"}, "admin"),
    ({"tls_client_names": "cn:x"}, "tls_client_names"), ({"tls_client_ca": "/x"}, "tls_client_ca")])
def test_half_of_tls_is_a_mistake(given, blamed):
    flags = [part for name, value in given.items() for part in ("--" + name.replace("_", "-"), value)]
    done = run("check", "--offline", "--team-domain", "acme", *flags)
    assert done.returncode == 78 and blamed.replace("_", "-") in done.stderr.replace("_", "-"), done.stderr


def test_check_tries_the_pair(files, tmp_path):
    flags = ["--issuer", "http://127.0.0.1:9", "--listen", "tls://127.0.0.1:0", "--admin", "off"]
    done = run("check", *flags, "--tls-cert", files / "server.pem", "--tls-key", files / "ca-key.pem")
    assert done.returncode == 1 and "is not the key" in done.stderr


def test_tls_selfsigned_writes_over_nothing(files):
    done = run("tls-selfsigned", files)
    assert done.returncode == 1 and "exists" in done.stderr
