"""The ways on which keys come: through a proxy's tunnel, from a file that changes; and what the clocks have to do with it."""

import glob
import json
import os
import time

import pytest

from conftest import await_ready
from faults import ConnectProxy, FaultServer
from minting import AUD, Key, certificate_authority, server_tls
from running import SANITIZED, eventually, free_port, reload
from wire import ask, asserted, get, sample

AUTH = f"/auth/{AUD}"
ISSUER = "https://team.test"
FIRST, SECOND, THIRD, FOURTH = Key(), Key(), Key(), Key()


def status(gateway, token):
    return ask(gateway.port, AUTH, asserted(token)).status


def readiness(gateway):
    return json.loads(get(gateway.admin_port, "/readyz")[1])["issuers"][0]


# MARK: through a proxy


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A server's TLS and the file of its authority, for two names."""
    return server_tls(tmp_path_factory.mktemp("tls"), certificate_authority(), ("keys.test", "localhost"))


@pytest.fixture
def behind(launch, certificate):
    """A team whose key server only a proxy finds: (team, server, proxy, settings)."""
    team = launch.team(keys=[FIRST])
    tls, trusted = certificate
    server = FaultServer(team, tls)
    proxy = ConnectProxy({"keys.test": ("127.0.0.1", server.port)})
    yield team, server, proxy, {"keys_url": "https://keys.test/keys", "ca_file": trusted}
    proxy.close()
    server.close()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_keys_come_through_the_tunnel_of_a_proxy(launch, behind, name):
    team, server, proxy, settings = behind
    gateway = launch.gateway(ISSUER, env={name: proxy.url}, **settings)
    assert status(gateway, team.mint(iss=ISSUER)) == 200
    assert proxy.asked[0].startswith(b"CONNECT keys.test:443 HTTP/1.1\r\n") and b"Host: keys.test:443\r\n" in proxy.asked[0]
    assert server.heads[0].startswith(b"GET /keys HTTP/1.1\r\nHost: keys.test\r\n")
    team.keys.append(SECOND)
    reload(gateway)
    eventually(lambda: status(gateway, team.mint(iss=ISSUER)) == 200, "a second time, too")


def test_the_server_behind_a_proxy_must_prove_its_name(launch, behind):
    team, server, proxy, settings = behind
    proxy.names["other.test"] = ("127.0.0.1", server.port)
    gateway = launch.gateway(
        ISSUER, ready=False, env={"HTTPS_PROXY": proxy.url}, keys_url="https://other.test/keys",
        ca_file=settings["ca_file"])
    failure = eventually(lambda: readiness(gateway)["last_failure"], "the fetch has failed")
    assert "TLS" in failure and server.requests == 0


# What the proxy says, and what is then said of it.
REFUSALS = {
    "407": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "status 407"),
    "301": (b"HTTP/1.1 301 x\r\n\r\n", "status 301"),
    "another protocol": (b"SSH-2.0-x\r\n\r\n\r\n\r\n\r\n", "no HTTP"),
    "more than an answer": (b"HTTP/1.1 200 OK\r\n\r\nmore", "more than an answer"),
    "a head without end": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000, "larger"),
    "half an answer": (b"HTTP/1.1 2", "ended the connection"),
    "a tunnel to nowhere": (b"HTTP/1.1 200 OK\r\n\r\n", "TLS"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_proxy_that_opens_no_tunnel_is_a_failed_fetch(launch, behind, name):
    team, server, proxy, settings = behind
    proxy.answer, words = REFUSALS[name]
    gateway = launch.gateway(ISSUER, ready=False, env={"HTTPS_PROXY": proxy.url}, **settings)
    failure = eventually(lambda: readiness(gateway)["last_failure"], "the fetch has failed")
    assert words in failure and server.connections == 0
    proxy.answer = None
    eventually(lambda: status(gateway, team.mint(iss=ISSUER)) == 200, "a retry comes through")


def test_a_silent_proxy_is_given_up_with_the_fetch(launch, behind):
    *_, proxy, settings = behind
    proxy.answer = b""
    gateway = launch.gateway(ISSUER, ready=False, env={"HTTPS_PROXY": proxy.url}, **settings)
    failure = eventually(lambda: readiness(gateway)["last_failure"], "the fetch is given up", 10)
    assert "proxy" in failure or "timed out" in failure


def test_no_proxy_and_loopback_go_directly(launch, behind):
    team, server, proxy, settings = behind
    direct = f"https://localhost:{server.port}/keys"
    gateway = launch.gateway(ISSUER, env={"HTTPS_PROXY": proxy.url}, **{**settings, "keys_url": direct})
    assert status(gateway, team.mint(iss=ISSUER)) == 200
    excepted = launch.gateway(
        ISSUER, ready=False, env={"HTTPS_PROXY": proxy.url, "NO_PROXY": "a.test,.test"}, **settings)
    assert "resolve" in eventually(lambda: readiness(excepted)["last_failure"], "the fetch has failed")
    assert proxy.asked == []


# MARK: from a file


def replace(path, text):
    other = path.with_suffix(".new")
    other.write_text(text)
    other.rename(path)


def test_a_file_is_read_again_when_it_changes(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [team.key.jwk]}))
    gateway = launch.gateway(ISSUER, keys_url=f"file:{keys}", state_dir=tmp_path / "state")
    old = team.mint(iss=ISSUER)
    assert status(gateway, old) == 200
    # Renamed over, written in place, and reached by a link, as Kubernetes does it.
    first, second, third = SECOND, THIRD, FOURTH
    replace(keys, json.dumps({"keys": [first.jwk]}))
    eventually(lambda: status(gateway, team.mint(key=first, iss=ISSUER)) == 200, "the renamed file is read")
    assert status(gateway, old) == 401, "the key that left is worth nothing"
    keys.write_text(json.dumps({"keys": [first.jwk, second.jwk]}))
    eventually(lambda: status(gateway, team.mint(key=second, iss=ISSUER)) == 200, "the rewritten file is read")
    (tmp_path / "elsewhere").write_text(json.dumps({"keys": [third.jwk]}))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").rename(keys)
    eventually(lambda: status(gateway, team.mint(key=third, iss=ISSUER)) == 200, "the linked file is read")
    # A bad one, then none: the last good set goes on.
    keys.unlink()
    eventually(lambda: readiness(gateway)["last_failure"], "the loss is seen")
    assert status(gateway, team.mint(key=third, iss=ISSUER)) == 200
    keys.write_text("nonsense")
    eventually(lambda: "JSON" in (readiness(gateway)["last_failure"] or ""), "the nonsense is seen")
    assert status(gateway, team.mint(key=third, iss=ISSUER)) == 200
    replace(keys, json.dumps({"keys": [team.key.jwk]}))
    eventually(lambda: status(gateway, old) == 200, "the mended file is read")
    assert not (tmp_path / "state").exists(), "keys from a file need no state"


def test_a_file_that_would_block_does_not(launch, tmp_path):
    os.mkfifo(tmp_path / "keys")
    gateway = launch.gateway(ISSUER, ready=False, keys_url=f"file:{tmp_path}/keys")
    assert "no regular file" in eventually(lambda: readiness(gateway)["last_failure"], "the file is refused")
    assert get(gateway.admin_port, "/livez")[0] == 200


# MARK: clocks

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)


@pytest.mark.skipif(FAKETIME is None, reason="no libfaketime")
@pytest.mark.skipif(SANITIZED, reason="sanitizers take no preloaded library")
def test_verdicts_follow_the_wall_clock_and_refreshes_the_monotonic_one(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    clock = tmp_path / "clock"

    def step(offset):
        other = tmp_path / "clock.new"
        other.write_text(offset)
        other.rename(clock)

    step("+0s")
    environment = {
        "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    # Swift's runtime finds no arguments behind this preloaded library: the settings come as variables.
    port, admin = free_port(), free_port()
    environment |= {
        "GATEWAY_ISSUER": team.issuer, "GATEWAY_EXPOSE_REASON": "on", "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "GATEWAY_ADMIN": f"127.0.0.1:{admin}"}
    gateway = launch.gateway(team.issuer, ready=False, wait=False, env=environment)
    gateway.port, gateway.admin_port = port, admin
    gateway.await_port(admin)
    await_ready(gateway)
    token = team.mint()
    assert status(gateway, token) == 200
    fetches = team.fetches
    step("+3600s")
    reply = ask(gateway.port, AUTH, asserted(token))
    assert (reply.status, reply["X-Auth-Reason"]) == (401, "expired"), "also from memory"
    step("-3600s")
    reply = ask(gateway.port, AUTH, asserted(team.mint()))
    assert (reply.status, reply["X-Auth-Reason"]) == (401, "not_yet_valid")
    step("+30d")
    now = int(time.time()) + 30 * 86_400
    assert status(gateway, team.mint(iat=now - 5, nbf=now - 5, exp=now + 60)) == 200, "the keys are not too old"
    assert team.fetches == fetches, "no refresh was due"
    reload(gateway)
    eventually(lambda: "clock_step" in gateway.log(), "the step is said")
    step("+0s")
    assert status(gateway, token) == 200
    text = get(gateway.admin_port, "/metrics")[1].decode()
    assert sample(text, "access_gateway_keys_age_seconds") < 60
