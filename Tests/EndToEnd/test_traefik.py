"""The main job: the real Traefik 3.7 with its dashboard and a backend behind the gateway."""

import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from backend import Echo, Seen, assert_upgraded, websocket
from conftest import kept
from minting import AUD, EMAIL, OTHER_AUD
from running import eventually
from traefik import Traefik, traefik_binary
from wire import ASSERTION, IDENTITY, Wire, asserted, get, head

pytestmark = pytest.mark.skipif(traefik_binary() is None, reason="no Traefik here (scripts/test installs it)")


@pytest.fixture(scope="module")
def echo():
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory, gateway, echo):
    """Traefik in front of the session's gateway, which trusts `team`."""
    yield from kept(Traefik(tmp_path_factory.mktemp("traefik"), gateway.port, echo.port, AUD, OTHER_AUD))


def browse(port, path, method="GET", data=None, **fields):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method=method, data=data,
        headers={name.replace("_", "-"): value for name, value in fields.items()})
    opener = urllib.request.build_opener(NoRedirects)
    try:
        with opener.open(request, timeout=30) as reply:
            return Seen(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as reply:
        return Seen(reply.code, reply.headers, reply.read())


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def bearing(token):
    return {ASSERTION.replace("-", "_"): token}


def test_it_is_traefik_3_7():
    text = subprocess.run([traefik_binary(), "version"], capture_output=True, text=True).stdout
    assert re.search(r"Version:\s+3\.7\.", text), text


@pytest.mark.parametrize("path", ["/api/overview", "/api/http/routers", "/dashboard/", "/app/x"])
def test_without_a_token_nobody_comes_in(house, path):
    seen = browse(house.port, path)
    assert seen.status == 401
    assert seen.body.strip() == b"Token is missing."
    assert seen.fields["WWW-Authenticate"].startswith("Bearer")
    assert seen.fields["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path, content", [
    ("/api/overview", b'"http"'), ("/api/http/routers", b"dashboard@file"), ("/dashboard/", b"<html")])
def test_with_a_token_the_dashboard_opens(house, team, path, content):
    seen = browse(house.port, path, **bearing(team.mint()))
    assert seen.status == 200
    assert content in seen.body.lower()


def test_with_the_cookie_alone_the_dashboard_opens(house, team):
    assert browse(house.port, "/api/overview", Cookie=f"a=b; CF_Authorization={team.mint()}").status == 200


def test_the_backend_learns_who_it_is(house, team):
    seen = browse(house.port, "/app/hello?x=1", **bearing(team.mint()))
    assert seen.status == 200
    assert seen.request["path"] == "/app/hello?x=1"
    assert seen.at_backend("X-Auth-User") == [EMAIL]
    assert seen.at_backend("X-Auth-Email") == [EMAIL]
    assert seen.at_backend("X-Auth-Kind") == ["user"]
    assert int(seen.at_backend("X-Auth-Expires")[0]) > time.time()


def test_identity_headers_that_the_client_sends_are_overwritten(house, team):
    forged = {name.replace("-", "_"): "eve@example.com" for name in IDENTITY}
    seen = browse(house.port, "/app", **bearing(team.mint(sub=None)), **forged)
    assert seen.status == 200
    assert seen.at_backend("X-Auth-User") == [EMAIL]
    assert seen.at_backend("X-Auth-Subject") in ([], [""]), "empty where there is no value, and never the client's"
    assert b"eve@example.com" not in seen.body


def test_a_post_with_a_body_passes_through(house, team):
    body = b"0123456789" * 20_000
    seen = browse(house.port, "/app", method="POST", data=body, **bearing(team.mint()))
    assert seen.status == 200
    assert (seen.request["method"], seen.request["body"]) == ("POST", body.decode())
    assert browse(house.port, "/app", method="POST", data=b"x").status == 401


def test_a_websocket_upgrade_passes_through(house, team):
    with websocket(house.port, "/app/socket", asserted(team.mint())) as wire:
        assert_upgraded(wire, EMAIL)
    with websocket(house.port, "/app/socket") as wire:
        assert wire.reply().status == 401


def test_an_expired_token_is_kept_out(house, team):
    seen = browse(house.port, "/app", **bearing(team.mint(exp=int(time.time()) - 60)))
    assert (seen.status, seen.body.strip()) == (401, b"Token is expired.")


def test_a_token_that_expires_meanwhile_is_kept_out(tmp_path, launch, team, echo):
    gateway = launch.gateway(team.issuer, leeway="0s")
    house = launch.keep(Traefik(tmp_path, gateway.port, echo.port, AUD, OTHER_AUD))
    token = team.mint(exp=int(time.time()) + 4)
    assert browse(house.port, "/api/overview", **bearing(token)).status == 200
    eventually(lambda: browse(house.port, "/api/overview", **bearing(token)).status == 401, "the token expires")


def test_a_token_of_another_application_is_kept_out(house, team):
    assert browse(house.port, "/app", **bearing(team.mint(aud=[OTHER_AUD]))).status == 401
    assert browse(house.port, "/other", **bearing(team.mint(aud=[OTHER_AUD]))).status == 200
    assert browse(house.port, "/other", **bearing(team.mint())).status == 401


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_tampered_token_is_kept_out(house, team, part):
    token = team.mint()
    assert browse(house.port, "/app", **bearing(token)).status == 200
    parts = token.split(".")
    middle = len(parts[part]) // 2
    swapped = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + swapped + parts[part][middle + 1:]
    assert browse(house.port, "/app", **bearing(".".join(parts))).status == 401


def test_an_endless_token_is_kept_out(house):
    assert browse(house.port, "/app", **bearing("a." + "b" * 20_000 + ".c")).status == 401


def test_a_client_s_connection_header_opens_nothing(house, team):
    fields = "X-Forwarded-Uri, X-Forwarded-Host, Cf-Access-Jwt-Assertion, X-Auth-User"
    assert browse(house.port, "/app", Connection=fields).status == 401
    seen = browse(house.port, "/app", Connection=fields, X_Auth_User="eve@example.com", **bearing(team.mint()))
    assert seen.status in (200, 401)
    if seen.status == 200:
        assert seen.at_backend("X-Auth-User") == [EMAIL]


def test_without_a_gateway_nobody_comes_in(tmp_path, launch, team, echo):
    gateway = launch.gateway(team.issuer)
    house = launch.keep(Traefik(tmp_path, gateway.port, echo.port, AUD, OTHER_AUD))
    token = team.mint()
    assert browse(house.port, "/app", **bearing(token)).status == 200
    gateway.stop()
    assert browse(house.port, "/app", **bearing(token)).status >= 400


def test_without_keys_nobody_comes_in(tmp_path, launch, echo):
    team = launch.team()
    team.trouble = lambda handler: handler.answer(500)
    gateway = launch.gateway(team.issuer, ready=False)
    house = launch.keep(Traefik(tmp_path, gateway.port, echo.port, AUD, OTHER_AUD))
    assert browse(house.port, "/app", **bearing(team.mint())).status == 503


def test_rotation_under_load_loses_no_good_request(tmp_path, launch, echo):
    """While four people knock with a known key, the issuer turns to a new one. Nobody with the old key is ever turned
    away; whoever comes with the new one is turned away only until it is fetched, and never again after that."""
    issuer = launch.issuer()
    gateway = launch.gateway(issuer.url)
    house = launch.keep(Traefik(tmp_path, gateway.port, echo.port, AUD, OTHER_AUD))

    def mint(who):
        return get(issuer.port, f"/token?aud={AUD}&email={who}@example.com")[1].decode().strip()

    done, wrong, counts = threading.Event(), [], []

    def knock(token):
        count = 0
        while not done.is_set():
            status = browse(house.port, "/app", **bearing(token)).status
            count += 1
            if status != 200:
                wrong.append(status)
        counts.append(count)

    threads = [threading.Thread(target=knock, args=(mint(f"early{i}"),)) for i in range(4)]
    for thread in threads:
        thread.start()
    try:
        with Wire(issuer.port) as wire:
            wire.send(head("/rotate", "Content-Length: 0", "Connection: close", method="POST"))
            wire.rest()
        late = mint("late")
        eventually(lambda: browse(house.port, "/app", **bearing(late)).status == 200, "the new key is fetched")
        for _ in range(100):
            assert browse(house.port, "/app", **bearing(late)).status == 200
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(counts) == 4 and min(counts) > 0
