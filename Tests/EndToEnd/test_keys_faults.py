"""Each way in which a key server can fail, while a gateway serves: tokens under known keys go on being allowed, tokens
under unknown keys are refused, and the number of fetches stays within its budget."""

import gzip
import json
import ssl
import time
import warnings

import pytest

import faults
from faults import FaultServer, answering, chunked, http
from minting import AUD, Key, certificate_authority, server_tls
from running import eventually, reload
from test_keys_state import write_state
from wire import ask, asserted, get, sample

AUTH = f"/auth/{AUD}"
ISSUER = "https://team.test"
STRANGER = Key(kid="stranger")
# Made once: keys cost more than all else here.
FIRST, SECOND = Key(), Key()


def status(gateway, token):
    return ask(gateway.port, AUTH, asserted(token)).status


def metrics(gateway):
    return get(gateway.admin_port, "/metrics")[1].decode()


def outcomes(gateway):
    """How often fetches have ended, by outcome."""
    found = {}
    for line in metrics(gateway).splitlines():
        if line.startswith("access_gateway_key_refreshes_total{"):
            found[line.split('outcome="')[1].split('"')[0]] = int(float(line.rsplit(" ", 1)[1]))
    return found


def failures(gateway):
    return {name: count for name, count in outcomes(gateway).items() if name != "success" and count}


@pytest.fixture(scope="module")
def authority():
    return certificate_authority()


@pytest.fixture
def server(launch):
    """Makes fault servers, and ends them."""
    made = []

    def make(team, tls=None):
        made.append(FaultServer(team, tls))
        return made[-1]

    yield make
    for one in made:
        one.close()


def serves_through(gateway, team, server):
    """Known keys go on, unknown ones do not come in, and hardly anybody asks the server."""
    known = team.mint(iss=ISSUER)
    before = server.connections
    began = time.monotonic()
    for i in range(10):
        assert status(gateway, known) == 200
        assert status(gateway, team.mint(iss=ISSUER)) == 200
        made_up = {"kid": f"made-up-{i}"}
        assert status(gateway, team.mint(key=STRANGER, header=made_up, iss=ISSUER)) == 401
    took = time.monotonic() - began
    # Three for the unknown kids and one in 10 s, and the retries: the first after 0.75 s, then the wait doubles.
    assert server.connections - before <= 4 + took, f"{server.connections - before} fetches in {took} s"
    assert get(gateway.admin_port, "/readyz")[0] == 200


GOOD = b'{"keys":[]}'
EVIL = http(200, json.dumps({"keys": [STRANGER.jwk]}).encode())

# What goes wrong, and how the fetch must have ended.
FAULTS = {
    "an empty body": (answering(http(200)), "invalid"),
    "an empty object": (answering(http(200, b"{}")), "invalid"),
    "an empty set": (answering(http(200, GOOD)), "invalid"),
    "a list": (answering(http(200, b"[]")), "invalid"),
    "a sign-in page": (answering(http(200, b"<html>Sign in</html>", "Content-Type: text/html")), "invalid"),
    "a cut set": (answering(http(200, b'{"keys":[{"kid":"a","kty":"RSA"')), "invalid"),
    "two sets": (lambda s, c: c.sendall(http(200, s.set + s.set)), "invalid"),
    "a member twice": (lambda s, c: c.sendall(http(200, b'{"keys":[],' + s.set[1:])), "invalid"),
    "a body cut short": (lambda s, c: c.sendall(http(200, s.set, length=len(s.set) + 1)), "connect"),
    "a huge set": (lambda s, c: c.sendall(http(200, s.set[:-1] + b" " * 262_144 + b"}")), "too_large"),
    "a huge length": (answering(http(200, b"", length=10_000_000_000)), "invalid"),
    "65 keys": (lambda s, c: c.sendall(http(200, json.dumps({"keys": [s.team.key.jwk] * 65}).encode())), "too_large"),
    "a deep set": (answering(http(200, b"[" * 100_000)), "invalid"),
    "a head without end": (faults.endless_head, "too_large"),
    "chunks without end": (faults.huge_chunks, "too_large"),
    "garbage": (answering(b"\x00\x01\x02\xff" * 50 + b"\r\n\r\n"), "invalid"),
    "another protocol": (answering(b"220 mail.example ESMTP\r\n\r\n"), "invalid"),
    "gzip that nobody asked for": (
        lambda s, c: c.sendall(http(200, gzip.compress(s.set), "Content-Encoding: gzip")), "invalid"),
    "two lengths": (lambda s, c: c.sendall(http(200, s.set, f"Content-Length: {len(s.set) + 1}")), "invalid"),
    "a length and chunks": (lambda s, c: c.sendall(http(200, s.set, "Transfer-Encoding: chunked")), "invalid"),
    "bad chunks": (
        answering(http(200, b"zz\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=False)), "invalid"),
    "301": (answering(http(301, b"", "Location: http://127.0.0.1:1/keys")), "status"),
    "302 to itself": (
        lambda s, c: c.sendall(http(302, b"", f"Location: {s.url}")), "status"),
    "304": (answering(http(304, b"", length=False)), "status"),
    "204": (answering(http(204, b"", length=False)), "status"),
    "404": (answering(http(404, EVIL)), "status"),
    "429": (answering(http(429, b"", "Retry-After: 5")), "status"),
    "500 with a set": (lambda s, c: c.sendall(http(500, s.set)), "status"),
    "503 with a date": (answering(http(503, b"", "Retry-After: Fri, 31 Dec 2027 23:59:59 GMT")), "status"),
    "a reset in the body": (faults.reset_in_body, "connect"),
    "a reset at once": (lambda s, c: faults.reset(c), "connect"),
    "no answer": (lambda s, c: None, "connect"),
    "only a secret": (
        answering(http(200, b'{"keys":[{"kid":"a","kty":"oct","alg":"HS256","k":"c2VjcmV0"}]}')), "invalid"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_gateway_serves_through(launch, server, name):
    fault, outcome = FAULTS[name]
    team = launch.team(keys=[FIRST])
    keys = server(team)
    gateway = launch.gateway(ISSUER, keys_url=keys.url)
    keys.fault = fault
    reload(gateway)
    eventually(lambda: failures(gateway), "the fetch has failed")
    assert set(failures(gateway)) == {outcome}
    serves_through(gateway, team, keys)
    # And it recovers by itself, or when told.
    keys.fault = None
    team.keys.append(SECOND)
    reload(gateway)
    eventually(lambda: status(gateway, team.mint(iss=ISSUER)) == 200, "the next fetch brings the new key")


SLOW = {
    "a drip in the body": faults.slow_drip, "a drip in the head": faults.slow_head,
    "silence after the head": faults.hang_after_head, "silence": faults.hang,
}


def test_a_gateway_serves_through_slowness_and_gives_up_after_five_seconds(launch, server):
    running = []
    for name, fault in SLOW.items():
        team = launch.team(keys=[FIRST])
        keys = server(team)
        gateway = launch.gateway(ISSUER, keys_url=keys.url, unknown_kid_wait="0s")
        keys.fault = fault
        reload(gateway)
        eventually(lambda: keys.requests == 2, f"the refetch is under way: {name}")
        running.append((gateway, team, keys, time.monotonic()))
    for gateway, team, keys, _ in running:
        serves_through(gateway, team, keys)
        assert keys.connections == 2, "an unknown kid during a fetch causes no other"
    for gateway, *_, began in running:
        eventually(lambda: failures(gateway) == {"timeout": 1}, "the fetch is given up")
        assert time.monotonic() - began > 3


def test_a_gateway_serves_through_refused_connections(launch, server):
    team = launch.team(keys=[FIRST])
    keys = server(team)
    gateway = launch.gateway(ISSUER, keys_url=keys.url)
    keys.stop_listening()
    reload(gateway)
    eventually(lambda: failures(gateway), "the fetch has failed")
    assert set(failures(gateway)) == {"connect"}
    serves_through(gateway, team, keys)


def test_a_gateway_serves_through_a_name_that_is_not_found(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    url = "https://keys.invalid/k"
    write_state(tmp_path, ISSUER, url, {"keys": [team.key.jwk]})
    gateway = launch.gateway(ISSUER, keys_url=url, state_dir=tmp_path)
    eventually(lambda: failures(gateway), "the fetch has failed")
    assert set(failures(gateway)) == {"resolve"}
    assert status(gateway, team.mint(iss=ISSUER)) == 200
    assert status(gateway, team.mint(key=STRANGER, iss=ISSUER)) == 401
    assert get(gateway.admin_port, "/readyz")[0] == 200


def old_protocol(folder, authority):
    context, _ = server_tls(folder, authority)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


TLS_FAULTS = {
    "an expired certificate": lambda folder, authority: server_tls(folder, authority, expired=True)[0],
    "another name's certificate": lambda folder, authority: server_tls(folder, authority, ("other.test",))[0],
    "an unknown authority": lambda folder, authority: server_tls(folder, certificate_authority())[0],
    "TLS 1.1": old_protocol,
    "no TLS": None,
    "a reset in the handshake": None,
}


@pytest.mark.parametrize("name", TLS_FAULTS)
def test_a_gateway_serves_through_tls_with(launch, server, authority, tmp_path, name):
    team = launch.team(keys=[FIRST])
    good, other = tmp_path / "good", tmp_path / "other"
    good.mkdir()
    other.mkdir()
    context, trusted = server_tls(good, authority)
    keys = server(team, context)
    gateway = launch.gateway(ISSUER, keys_url=keys.url, ca_file=trusted)
    assert status(gateway, team.mint(iss=ISSUER)) == 200
    if name == "no TLS":
        keys.before_head = lambda s, c: c.sendall(http(200, s.set))
    elif name == "a reset in the handshake":
        keys.before_head = lambda s, c: (c.recv(100), faults.reset(c))
    else:
        keys.tls = TLS_FAULTS[name](other, authority)
    requests = keys.requests
    reload(gateway)
    eventually(lambda: failures(gateway), "the fetch has failed")
    assert set(failures(gateway)) == {"tls"}
    serves_through(gateway, team, keys)
    assert keys.requests == requests, "no request goes to a server that is not who it should be"
    keys.tls, keys.before_head = context, None
    team.keys.append(SECOND)
    reload(gateway)
    eventually(lambda: status(gateway, team.mint(iss=ISSUER)) == 200, "the next fetch brings the new key")


def test_ca_file_takes_the_place_of_the_system_s(launch, server, authority, tmp_path):
    team = launch.team(keys=[FIRST])
    context, trusted = server_tls(tmp_path, authority)
    keys = server(team, context)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    _, another = server_tls(stranger, certificate_authority())
    gateway = launch.gateway(
        ISSUER, ready=False, keys_url=keys.url, ca_file=another, env={"SSL_CERT_FILE": str(trusted)})
    eventually(lambda: failures(gateway), "the fetch has failed")
    assert set(failures(gateway)) == {"tls"} and keys.requests == 0


@pytest.mark.parametrize("body", ["whole", "chunked", "without a length"])
def test_a_set_may_come(launch, server, body):
    team = launch.team(keys=[FIRST])
    keys = server(team)
    keys.fault = {
        "whole": lambda s, c: c.sendall(http(200, s.set)),
        "chunked": lambda s, c: c.sendall(chunked(s.set[:1], s.set[1:50], s.set[50:])),
        "without a length": lambda s, c: c.sendall(http(200, s.set, length=False)),
    }[body]
    gateway = launch.gateway(ISSUER, keys_url=keys.url)
    assert status(gateway, team.mint(iss=ISSUER)) == 200
    head = keys.heads[0].lower()
    assert b"accept-encoding" not in head and b"host: 127.0.0.1:" in head


def test_bad_keys_among_good_ones_are_skipped_counted_and_said_once(launch, server):
    team = launch.team(keys=[FIRST])
    keys = server(team)
    good = team.key.jwk
    twins = [Key(kid="twin"), Key(kid="twin")]
    private = Key(kid="private")
    bad = [
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}, {**private.jwk, "d": "AQAB"}, *(t.jwk for t in twins),
        {**Key(kid="weak", bits=1024).jwk}, {**good, "kid": 7}, "x", {**good, "kid": "a\x1b[0m", "use": "enc"},
    ]
    body = json.dumps({"keys": [*bad, good, good]}).encode()
    keys.fault = answering(http(200, body))
    gateway = launch.gateway(ISSUER, keys_url=keys.url)
    assert status(gateway, team.mint(iss=ISSUER)) == 200
    for key in (*twins, private):
        assert status(gateway, team.mint(key=key, iss=ISSUER)) == 401
    reload(gateway)
    eventually(lambda: outcomes(gateway)["success"] >= 2, "a second fetch")
    text = metrics(gateway)
    assert sample(text, "access_gateway_keys_skipped") == len(bad)
    assert sample(text, "access_gateway_keys") == 1
    lines = [json.loads(line) for line in gateway.log().splitlines() if '"key_skipped"' in line]
    assert len(lines) == len(bad), "each is said once, not at each fetch"
    assert sorted(line["kid"] for line in lines if line["level"] == "error") == ["private", "secret"]
    assert "\x1b" not in gateway.log()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("moment", ["a fetch", "a back-off", "name look-up"])
def test_it_ends_in_order_during(launch, server, moment, number):
    import signal

    team = launch.team(keys=[FIRST])
    keys = server(team)
    keys.fault = faults.hang if moment == "a fetch" else answering(http(500))
    url = "https://keys.invalid/k" if moment == "name look-up" else keys.url
    gateway = launch.gateway(ISSUER, ready=False, keys_url=url)
    if moment == "a fetch":
        eventually(lambda: keys.requests == 1, "the fetch is under way")
    elif moment == "a back-off":
        eventually(lambda: failures(gateway), "the fetch has failed")
    gateway.signal(getattr(signal, number))
    assert gateway.wait() == 0


def test_hundreds_of_hang_ups_are_few_fetches(launch, server):
    team = launch.team(keys=[FIRST])
    keys = server(team)
    keys.fault = faults.hang
    gateway = launch.gateway(ISSUER, ready=False, keys_url=keys.url)
    eventually(lambda: keys.requests == 1, "the fetch is under way")
    for _ in range(200):
        reload(gateway)
    keys.fault = None
    assert get(gateway.admin_port, "/livez")[0] == 200
    eventually(lambda: get(gateway.admin_port, "/readyz")[0] == 200, "the next fetch brings the keys", 15)
    assert keys.connections <= 3, "one fetch follows the one under way, however many asked"
