"""Bytes that are not quite HTTP, and bytes that try to be two requests at once. Proxies share one connection between
people, so the rule is always the same: exactly one reply, and where anything was odd, the connection closes behind it."""

import time

import pytest

from minting import AUD
from running import eventually
from wire import Wire, ask, asserted, head, only_reply

AUTH = f"/auth/{AUD}"
HIDDEN = b"GET /auth/hidden HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


def raw(first=f"GET {AUTH} HTTP/1.1", lines=("Host: a",), end="\r\n"):
    return (end.join([first, *lines]) + end + end).encode("latin-1")


REFUSED = {
    "bare LF": (raw(end="\n"), {400}),
    "LF behind one line": (f"GET {AUTH} HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".encode(), {400}),
    "bare CR": (f"GET {AUTH} HTTP/1.1\r\nHost: a\rX: y\r\n\r\n".encode(), {400}),
    "NUL in a value": (raw(lines=("Host: a", "X: y\0z")), {400}),
    "NUL at the start of a line": (raw(lines=("Host: a", "\0X: y")), {400}),
    "NUL behind the version": (raw(f"GET {AUTH} HTTP/1.1\0"), {400, 505}),
    "a control byte in a value": (raw(lines=("Host: a", "X: y\x01")), {400}),
    "a folded line": (raw(lines=("Host: a", "X: y", " z")), {400}),
    "a folded first line": (raw(lines=(" Host: a",)), {400}),
    "a space before the colon": (raw(lines=("Host: a", "X : y")), {400}),
    "no name": (raw(lines=("Host: a", ": y")), {400}),
    "no colon": (raw(lines=("Host: a", "X")), {400}),
    "8-bit bytes in a name": (raw(lines=("Host: a", "X\xe9: y")), {400}),
    "no Host": (raw(lines=()), {400}),
    "two Hosts": (raw(lines=("Host: a", "Host: a")), {400}),
    "a Host with a path": (raw(lines=("Host: a/b",)), {400}),
    "a Host with user information": (raw(lines=("Host: a@b",)), {400}),
    "a space in the target": (raw("GET /auth/a b HTTP/1.1"), {400}),
    "8-bit bytes in the target": (raw("GET /auth/\xe9 HTTP/1.1"), {400}),
    "two spaces": (raw(f"GET  {AUTH} HTTP/1.1"), {400}),
    "a tab for a space": (raw(f"GET\t{AUTH} HTTP/1.1"), {400}),
    "a method that is no token": (raw(f"GE(T {AUTH} HTTP/1.1"), {400}),
    "the absolute form": (raw(f"GET http://a{AUTH} HTTP/1.1"), {400}),
    "two slashes": (raw("GET //evil/p HTTP/1.1"), {400}),
    "a fragment": (raw(f"GET {AUTH}#x HTTP/1.1"), {400}),
    "an asterisk for GET": (raw("GET * HTTP/1.1"), {400}),
    "HTTP/2.0": (raw(f"GET {AUTH} HTTP/2.0"), {505}),
    "HTTP/1.9": (raw(f"GET {AUTH} HTTP/1.9"), {400, 505}),
    "HTTP/1.01": (raw(f"GET {AUTH} HTTP/1.01"), {400, 505}),
    "HTTP/4294967297.1": (raw(f"GET {AUTH} HTTP/4294967297.1"), {400, 505}),
    "HTTP/-1.1": (raw(f"GET {AUTH} HTTP/-1.1"), {400, 505}),
    "HTTP/0.9 in name": (raw(f"GET {AUTH} HTTP/0.9"), {400, 505}),
    "HTTP/0.9 in form": (f"GET {AUTH}\r\n\r\n".encode(), {400, 505}),
    "lower-case http": (raw(f"GET {AUTH} http/1.1"), {400, 505}),
    "HTTP/2's preface, spoilt": (b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", {400, 505}),
    "a TLS hello": (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160), {400, 408}),
    "two Content-Lengths": (raw(lines=("Host: a", "Content-Length: 5", "Content-Length: 5")), {400}),
    "two unequal Content-Lengths": (raw(lines=("Host: a", "Content-Length: 0", "Content-Length: 5")), {400}),
    "a Content-Length list": (raw(lines=("Host: a", "Content-Length: 5, 5")), {400}),
    "Content-Length: +5": (raw(lines=("Host: a", "Content-Length: +5")), {400}),
    "Content-Length: -0": (raw(lines=("Host: a", "Content-Length: -0")), {400}),
    "Content-Length: 0x5": (raw(lines=("Host: a", "Content-Length: 0x5")), {400}),
    "an empty Content-Length": (raw(lines=("Host: a", "Content-Length:")), {400}),
    "Content-Length and Transfer-Encoding": (
        raw(lines=("Host: a", "Content-Length: 5", "Transfer-Encoding: chunked")), {400}),
    "Transfer-Encoding: gzip": (raw(lines=("Host: a", "Transfer-Encoding: gzip")), {501}),
    "Transfer-Encoding twice": (
        raw(lines=("Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")), {400, 501}),
    "Transfer-Encoding with HTTP/1.0": (
        raw(f"GET {AUTH} HTTP/1.0", ("Host: a", "Transfer-Encoding: chunked")), {400}),
    "another Expect": (raw(lines=("Host: a", "Expect: 200-ok")), {400}),
    "CONNECT in its own form": (raw("CONNECT evil.test:443 HTTP/1.1"), {400, 501}),
    "CONNECT": (raw(f"CONNECT {AUTH} HTTP/1.1"), {501}),
    "TRACE": (raw(f"TRACE {AUTH} HTTP/1.1"), {501}),
    "an endless target": (raw("GET /" + "a" * 40000 + " HTTP/1.1"), {414, 431}),
    "an endless line": (raw(lines=("Host: a", "X: " + "y" * 40000)), {431}),
    "endless lines": (raw(lines=["Host: a"] + ["a: b"] * 10000), {431}),
    "many small lines": (raw(lines=["Host: a"] + ["a:"] * 2000), {431}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_http_gets_one_refusal_and_a_close(gateway, name):
    payload, statuses = REFUSED[name]
    reply = only_reply(gateway.port, payload)
    assert reply.status in statuses, reply
    assert not [f for f, _ in reply.fields if f.lower().startswith("x-auth")]


@pytest.mark.parametrize("name", [name for name in REFUSED if "endless" not in name])
def test_nothing_behind_a_refusal_is_answered(gateway, team, name):
    """The same with a second, good request behind it, in the same segment: it must never be answered."""
    behind = head(AUTH, asserted(team.mint()))
    assert only_reply(gateway.port, REFUSED[name][0] + behind).status in REFUSED[name][1]


@pytest.mark.parametrize("name", ["bare LF", "NUL at the start of a line", "two Content-Lengths", "a folded line"])
def test_a_refusal_does_not_depend_on_how_the_bytes_arrive(gateway, name):
    payload, statuses = REFUSED[name]
    with Wire(gateway.port) as wire:
        try:
            for i in range(len(payload)):
                wire.send(payload[i:i + 1])
        except (BrokenPipeError, ConnectionResetError):
            pass
        everything = wire.rest()
    assert everything.count(b"HTTP/1.") <= 1
    if everything:  # an early refusal can be lost when more bytes hit the closed socket
        assert int(everything.split(b" ", 2)[1]) in statuses


ANNOUNCED = {
    "a length": (["Content-Length: 60"], b""),
    "a length and a whole request as its body": ([f"Content-Length: {len(HIDDEN)}"], HIDDEN),
    "a length that is too short": (["Content-Length: 5"], b"hello" + HIDDEN),
    "chunks": (["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n" + HIDDEN),
    "chunks that end early": (["Transfer-Encoding: chunked"], b"0\r\n\r\n" + HIDDEN),
    "a wrong chunk": (["Transfer-Encoding: chunked"], b"0x5\r\nhello" + HIDDEN),
    "a body that waits": (["Content-Length: 60", "Expect: 100-continue"], b""),
}


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "PUT", "OPTIONS"])
@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_body_is_never_waited_for_and_nothing_behind_it_is_answered(gateway, team, method, name):
    lines, body = ANNOUNCED[name]
    token = team.mint()
    for _ in range(2):  # verified, then remembered
        reply = only_reply(gateway.port, head(AUTH, asserted(token), *lines, method=method) + body)
        assert reply.status == 200, reply
        assert reply.body == b""
    assert only_reply(gateway.port, head(AUTH, *lines, method=method) + body).status == 401


def test_a_large_body_does_not_lose_the_answer(gateway, team):
    """The client sends all of it before it reads: the answer must still arrive."""
    body = b"x" * 500_000
    reply = only_reply(
        gateway.port, head(AUTH, asserted(team.mint()), f"Content-Length: {len(body)}", method="POST") + body)
    assert reply.status == 200


def test_pipelined_requests_are_answered_in_order(gateway, team):
    people = [f"person{i}@example.com" for i in range(6)]
    requests = b"".join(head(AUTH, asserted(team.mint(email=p))) + head("/elsewhere") for p in people)
    with Wire(gateway.port) as wire:
        wire.send(requests)
        for person in people:
            assert wire.reply()["X-Auth-User"] == person
            assert wire.reply().status == 404
        wire.finish()
        wire.assert_closed()


def test_a_pipelined_bad_second_closes_behind_the_first_answer(gateway, team):
    with Wire(gateway.port) as wire:
        wire.send(head(AUTH, asserted(team.mint())) + raw(end="\n") + HIDDEN)
        assert wire.reply().status == 200
        assert wire.reply().status == 400
        wire.assert_closed()


@pytest.mark.parametrize("step", [1, 7, 100])
def test_a_head_may_arrive_in_pieces(gateway, team, step):
    token = team.mint()
    data = head(AUTH, asserted(token)) * 2
    with Wire(gateway.port) as wire:
        for i in range(0, len(data), step):
            wire.send(data[i:i + step])
            if step > 1:
                time.sleep(0.001)
        assert wire.reply().status == 200
        assert wire.reply().status == 200


def test_a_half_closed_client_still_gets_its_answer(gateway, team):
    token = team.mint()
    for _ in range(2):
        with Wire(gateway.port) as wire:
            wire.send(head(AUTH, asserted(token)))
            wire.finish()
            assert wire.reply().status == 200
            wire.assert_closed()


def test_a_slow_head_is_timed_out(launch, team):
    gateway = launch.gateway(team.issuer, header_timeout="1s")
    with Wire(gateway.port) as wire:
        wire.send(f"GET {AUTH} HTTP/1.1\r\nHost: a\r\n".encode())
        assert wire.reply().status == 408
        wire.assert_closed()


def test_the_deadline_is_for_the_whole_head(launch, team):
    """A byte now and then does not extend it."""
    gateway = launch.gateway(team.issuer, header_timeout="1s")
    with Wire(gateway.port) as wire:
        wire.send(f"GET {AUTH} HTTP/1.1\r\nHost: a\r\nX: ".encode())

        def refused():
            try:
                wire.send(b"y")
                return False
            except (BrokenPipeError, ConnectionResetError):
                return True

        eventually(refused, "the connection is closed under a client that drips")


def test_an_idle_connection_is_closed_without_a_word(launch, team):
    gateway = launch.gateway(team.issuer, idle_timeout="1s")
    with Wire(gateway.port) as wire:
        assert wire.send(head(AUTH)).reply().status == 401
        wire.assert_closed()


def test_clients_that_leave_meanwhile_do_no_harm(gateway, team):
    for i in range(40):
        wire = Wire(gateway.port)
        wire.send(head(AUTH, asserted(team.mint(email=f"gone{i}@example.com"))))
        wire.reset()
    for i in range(20):
        wire = Wire(gateway.port)
        wire.send(head(AUTH, asserted(team.mint()))[:100 + i])
        wire.reset()
    assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200


def test_at_the_limit_of_connections_who_is_asking_is_not_disturbed(launch, team):
    """A flood of connections costs nobody an answer that is half asked for."""
    gateway = launch.gateway(team.issuer, max_connections="8", header_timeout="60s")
    data = head(AUTH)
    wires = [Wire(gateway.port) for _ in range(8)]
    flood = []
    try:
        for wire in wires:  # one whole head, and in the same segment half of the next
            assert wire.send(data + data[:40]).reply().status == 401
        flood = [Wire(gateway.port) for _ in range(16)]
        for wire in flood:
            told = wire.rest()
            assert told == b"" or told.startswith(b"HTTP/1.1 503 "), told
        for wire in wires:
            assert wire.send(data[40:]).reply().status == 401
    finally:
        for wire in wires + flood:
            wire.socket.close()


def test_at_the_limit_of_connections_an_idle_one_makes_room(launch, team):
    gateway = launch.gateway(team.issuer, max_connections="8", event_loops="1")
    wires = [Wire(gateway.port) for _ in range(8)]
    try:
        for wire in wires:
            assert wire.send(head(AUTH)).reply().status == 401
        assert ask(gateway.port, AUTH, asserted(team.mint())).status == 200
    finally:
        for wire in wires:
            wire.socket.close()
