"""SPEC.md's "Keys": where they come from, what happens when they change, and that trouble at the key server is never
trouble for a request."""

import json
import socket
import time

import pytest

from minting import AUD, Key, certificate_authority, server_tls
from running import eventually, free_port, reload
from wire import ask, asserted, get, sample

AUTH = f"/auth/{AUD}"


def status(gateway, token):
    return ask(gateway.port, AUTH, asserted(token)).status


def ready(gateway):
    return get(gateway.admin_port, "/readyz")[0] == 200


def refreshes(gateway):
    """Fetches of the key set that have ended, well or not."""
    return sample(get(gateway.admin_port, "/metrics")[1].decode(), "access_gateway_key_refreshes_total")


def test_without_an_issuer_at_start_it_refuses_and_recovers_by_itself(launch):
    port = free_port()
    gateway = launch.gateway(f"http://127.0.0.1:{port}", ready=False)
    assert get(gateway.admin_port, "/livez")[0] == 200
    code, body = get(gateway.admin_port, "/readyz")
    assert code == 503
    json.loads(body)
    issuer = launch.issuer(port)
    token = get(issuer.port, f"/token?aud={AUD}&email=ada@example.com")[1].decode().strip()
    eventually(lambda: status(gateway, token) == 200, "the gateway finds its keys")
    assert ready(gateway)


def test_keys_may_come_from_a_file(launch, team, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [team.key.jwk]}))
    gateway = launch.gateway("https://team.test", keys_url=f"file:{keys}")
    assert status(gateway, team.mint(iss="https://team.test")) == 200
    assert status(gateway, team.mint()) == 401


def test_rotation_refuses_nobody_fetches_once_and_goes_on(launch):
    team = launch.team()
    gateway = launch.gateway(team.issuer, expose_reason="on")
    old = team.mint()
    assert status(gateway, old) == 200
    team.keys.append(Key())
    new = team.mint()
    fetches = team.fetches
    assert status(gateway, new) == 200, "the request waits for the fetch that it causes"
    assert status(gateway, old) == 200
    assert team.fetches == fetches + 1

    # Made-up key ids cause two more fetches, then one in 10 s, and do not keep a good token waiting.
    began = time.monotonic()
    for i in range(50):
        assert status(gateway, team.mint(header={"kid": f"made-up-{i}"})) == 401
        assert status(gateway, old) == 200
    assert team.fetches <= fetches + 3 + (time.monotonic() - began) // 10

    # The key that was withdrawn goes, and with it what was remembered: SIGHUP asks at once.
    team.keys = [team.keys[1], Key()]
    newest = team.mint()
    assert status(gateway, newest) == 401
    reload(gateway)
    eventually(lambda: status(gateway, newest) == 200, "SIGHUP fetches at once")
    reply = ask(gateway.port, AUTH, asserted(old))
    assert (reply.status, reply["X-Auth-Reason"]) == (401, "key_unknown")
    assert status(gateway, new) == 200


def test_rotation_at_the_program_s_own_issuer(launch):
    issuer = launch.issuer()
    gateway = launch.gateway(issuer.url)

    def mint():
        return get(issuer.port, f"/token?aud={AUD}&email=ada@example.com")[1].decode().strip()

    old = mint()
    assert status(gateway, old) == 200
    assert ask(issuer.port, "/rotate", "Content-Length: 0", method="POST").status in (200, 204)
    new = mint()
    assert new.split(".")[0] != old.split(".")[0]
    eventually(lambda: status(gateway, new) == 200, "the new key is fetched")
    assert status(gateway, old) == 200, "the previous key is still served"


def drip(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


TROUBLE = {
    "an error": lambda h: h.answer(500, b"no"),
    "not found": lambda h: h.answer(404),
    "a redirect": lambda h: h.answer(302, b"", ("Location", "http://127.0.0.1:1/keys")),
    "a page": lambda h: h.answer(200, b"<html>Sign in</html>"),
    "no keys": lambda h: h.answer(200, b'{"keys":[]}'),
    "no set": lambda h: h.answer(200, b"{}"),
    "a cut set": lambda h: h.answer(200, b'{"keys":[{"kid":"a","kty":"RSA"'),
    "a secret key": lambda h: h.answer(200, b'{"keys":[{"kid":"a","kty":"oct","alg":"HS256","k":"c2VjcmV0"}]}'),
    "too much": lambda h: h.answer(200, b'{"keys":[]' + b" " * 300_000 + b"}"),
    "nothing": lambda h: h.connection.shutdown(socket.SHUT_RDWR),
    "a drip": drip,
}


@pytest.mark.parametrize("name", TROUBLE)
def test_the_last_good_set_goes_on_serving_through(launch, name):
    team = launch.team()
    gateway = launch.gateway(team.issuer)
    token = team.mint()
    team.trouble = TROUBLE[name]
    fetches = team.fetches
    reload(gateway)
    eventually(lambda: team.fetches > fetches, "the refetch arrives")
    for _ in range(5):
        assert status(gateway, token) == 200
        assert status(gateway, team.mint()) == 200
    assert ready(gateway)
    # It retries after about a second, and takes what it finds then.
    team.keys.append(Key())
    team.trouble = None
    eventually(lambda: status(gateway, team.mint()) == 200, "a retry brings the new key")


def test_the_last_good_set_goes_on_when_the_issuer_is_gone(launch):
    issuer = launch.issuer()
    gateway = launch.gateway(issuer.url)
    token = get(issuer.port, f"/token?aud={AUD}&email=ada@example.com")[1].decode().strip()
    issuer.stop()
    reload(gateway)
    for _ in range(10):
        assert status(gateway, token) == 200
    assert ready(gateway)


def test_a_bad_key_among_good_ones_is_skipped(launch):
    team = launch.team()
    good = team.key.jwk
    weak = Key(kid="weak", bits=1024)
    even = {**Key(kid="even").jwk, "e": "AQAA"}
    encrypts = Key(kid="encrypts")
    twins = [Key(kid="twin"), Key(kid="twin")]
    whole = {
        "keys": [
            weak.jwk, even, {**encrypts.jwk, "use": "enc"}, {"kty": "RSA"}, "x", *(t.jwk for t in twins), good,
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}],
        "public_cert": {"kid": "x", "cert": "y"}, "public_certs": []}
    team.trouble = lambda h: h.answer(200, json.dumps(whole).encode())
    gateway = launch.gateway(team.issuer)
    assert status(gateway, team.mint()) == 200
    for key in (weak, encrypts, *twins):
        assert status(gateway, team.mint(key=key)) == 401


@pytest.fixture(scope="module")
def authority():
    return certificate_authority()


def test_keys_come_over_https_from_a_server_whose_certificate_holds(launch, authority, tmp_path):
    tls, trusted = server_tls(tmp_path, authority)
    team = launch.team(tls)
    gateway = launch.gateway(team.issuer, env={"SSL_CERT_FILE": str(trusted)})
    assert status(gateway, team.mint()) == 200


@pytest.mark.parametrize("fault", ["another name", "expired", "an unknown authority"])
def test_keys_are_not_taken_from_a_server_whose_certificate_does_not_hold(launch, authority, tmp_path, fault):
    names = ("other.test",) if fault == "another name" else ("localhost",)
    tls, trusted = server_tls(tmp_path, authority, names, expired=fault == "expired")
    team = launch.team(tls)
    trust = {} if fault == "an unknown authority" else {"SSL_CERT_FILE": str(trusted)}
    gateway = launch.gateway(team.issuer, ready=False, env=trust)
    eventually(lambda: refreshes(gateway) > 0, "a fetch has ended")
    assert get(gateway.admin_port, "/readyz")[0] == 503
    assert status(gateway, team.mint()) == 503
    assert team.fetches == 0, "no request goes to a server that is not who it should be"
