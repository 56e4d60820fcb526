"""HTTP/2 in clear with prior knowledge (h2c), by another make's client and by raw frames: the answers are those of HTTP/1,
and what abuses the protocol costs the abuser the connection, while others go on."""

import struct
import time

import hpack
import pytest

from attacks import attacks
from http2_client import PREFACE, Client, Reply, frame, frames, goaways
from minting import AUD, EMAIL
from wire import Wire, ask, asserted, head, sample

AUTH = f"/auth/{AUD}"
ASSERTION = "cf-access-jwt-assertion"
OK, PROTOCOL_ERROR, ENHANCE_YOUR_CALM = 0, 1, 11


@pytest.fixture
def client(telling):
    with Client(telling.port) as client:
        yield client


def alive(gateway, team):
    """A client beside the abuser is answered as ever."""
    with Client(gateway.port) as other:
        return other.ask(AUTH, [(ASSERTION, team.mint())]).status == 200


def test_a_good_token_is_allowed_with_its_identity(client, team):
    reply = client.ask(AUTH, [(ASSERTION, team.mint())])
    assert (reply.status, reply["x-auth-email"], reply["content-length"]) == (200, EMAIL, "0")
    assert "connection" not in reply and "date" in reply


@pytest.mark.parametrize("fields, reason", [
    ([], "missing"), ([(ASSERTION, "a.b.c")], "malformed"), ([(ASSERTION, "x"), (ASSERTION, "y")], "ambiguous")])
def test_a_denial_says_its_reason_as_over_http1(telling, client, fields, reason):
    reply = client.ask(AUTH, fields)
    plain = ask(telling.port, AUTH, *[f"{name}: {value}" for name, value in fields])
    assert (reply.status, reply["x-auth-reason"]) == (plain.status, plain["X-Auth-Reason"])
    assert reply["x-auth-reason"] == reason


def test_head_has_no_body(client):
    reply = client.ask(AUTH, method="HEAD")
    assert reply.status != 200 and reply.body == b"" and int(reply["content-length"]) > 0


def test_cookie_crumbs_are_one_cookie(client, team):
    token = team.mint()
    crumbs = [("cookie", f"c{number}=1") for number in range(200)] + [("cookie", f"CF_Authorization={token}")]
    assert client.ask(AUTH, crumbs).status == 200
    assert client.ask(AUTH, crumbs + [("cookie", "CF_Authorization=x")])["x-auth-reason"] == "ambiguous"


def test_streams_of_one_connection_are_answered_each_by_its_token(client, team):
    good, streams = team.mint(), {}
    for number in range(100):
        fresh = team.mint(sub=f"user-{number}", email=f"u{number}@example.com")
        streams[client.start(AUTH, [(ASSERTION, fresh)])] = f"u{number}@example.com"
        streams[client.start(AUTH, [(ASSERTION, good)])] = EMAIL
        streams[client.start(AUTH, [(ASSERTION, fresh[:-8] + "AAAAAAAA")])] = None
    for stream, email in streams.items():
        reply = client.reply(stream)
        assert (reply["x-auth-email"] if reply.status == 200 else None) == email
        assert email or reply.status == 401 or reply.status == 403


def test_a_body_is_not_waited_for_and_trailers_are_let_pass(client, team):
    fields = [(ASSERTION, team.mint()), ("content-length", "1000")]
    stream = client.start(AUTH, fields, method="POST", ends=False)
    assert client.reply(stream).status == 200
    stream = client.start(AUTH, [(ASSERTION, team.mint())], method="POST", ends=False)
    client.h2.send_headers(stream, [("x-trailer", "1")], end_stream=True)
    client.flush()
    assert client.reply(stream).status == 200
    assert client.ask(AUTH).status != 200


def test_the_attacks_on_a_token_fare_as_over_http1(telling, team):
    rows = [row for row in attacks(team, int(time.time())) if len(row.token) < 12_000]
    rows = [row for row in rows if row.token and all(0x21 <= byte < 0x7F for byte in row.token)]
    assert len(rows) > 100
    with Client(telling.port) as client:
        # As many at once as may wait.
        for begin in range(0, len(rows), 32):
            part = rows[begin:begin + 32]
            streams = [client.start(AUTH, [(ASSERTION, row.token.decode())]) for row in part]
            for row, stream in zip(part, streams):
                reply, expected = client.reply(stream), row.http or row.reason
                seen = "allowed" if reply.status == 200 else reply["x-auth-reason"] if isinstance(expected, str) else reply.status
                assert seen == expected, row.name


@pytest.mark.parametrize("fields, status", [
    ([(":method", "GET"), (":path", AUTH), (":scheme", "http"), (":authority", "a"), ("host", "b")], 400),
    ([(":method", "GET"), (":path", AUTH), (":scheme", "http"), (":authority", "a"), ("connection", "close")], 400),
    ([(":method", "GET"), (":path", AUTH), (":scheme", "http"), (":authority", "a"), ("transfer-encoding", "chunked")], 400),
    ([(":method", "GET"), (":path", AUTH), (":path", "/"), (":scheme", "http"), (":authority", "a")], 400),
    ([(":method", "GET"), (":path", AUTH), (":scheme", "http"), (":authority", "a"), ("X-Upper", "1")], 400),
    ([(":method", "GET"), (":path", "//x"), (":scheme", "http"), (":authority", "a")], 400),
    ([(":method", "TRACE"), (":path", AUTH), (":scheme", "http"), (":authority", "a")], 501),
    ([(":method", "GET"), (":path", "/" + "x" * 40_000), (":scheme", "http"), (":authority", "a")], 414),
])
def test_a_request_that_is_no_good_http_is_refused_and_others_go_on(telling, team, fields, status):
    with Client(telling.port, validates=False) as client:
        stream = client.h2.get_next_available_stream_id()
        client.replies[stream] = Reply()
        client.h2.send_headers(stream, fields, end_stream=True)
        client.flush()
        reply = client.reply(stream)
        assert reply.status == status or status == 400 and reply.reset_code is not None
        assert client.ask(AUTH, [(ASSERTION, team.mint())]).status == 200


def test_the_preface_may_be_dribbled_and_half_of_it_is_late(launch, team):
    gateway = launch.gateway(team.issuer, header_timeout="1s")
    with Wire(gateway.port) as wire:
        for byte in PREFACE:
            wire.send(bytes([byte]))
        wire.send(frame(4))
        assert wire._more()
    with Wire(gateway.port) as wire:
        wire.send(PREFACE[:16])
        assert goaways(wire.rest()) == [(0, OK)]
    with Wire(gateway.port) as wire:
        wire.send(PREFACE[:12])
        assert wire.reply().status == 408


def test_the_preface_behind_a_request_is_refused(telling):
    with Wire(telling.port) as wire:
        wire.send(head(AUTH))
        wire.reply()
        wire.send(PREFACE)
        assert wire.reply().status == 505


def test_without_http2_the_preface_is_refused(launch, team):
    gateway = launch.gateway(team.issuer, http2="off")
    with Wire(gateway.port) as wire:
        wire.send(PREFACE)
        assert wire.reply().status == 505


def test_a_late_head_ends_the_connection(launch, team):
    gateway = launch.gateway(team.issuer, header_timeout="1s")
    with Client(gateway.port) as client:
        assert client.ask(AUTH).status != 200
        client.send(frame(1, 0, 3, client.h2.encoder.encode([(":method", "GET"), (":path", AUTH), (":scheme", "http")])))
        assert client.until_closed() == [OK]


def test_a_drain_says_so_and_loses_no_request(launch, team):
    gateway = launch.gateway(team.issuer)
    with Client(gateway.port) as client:
        assert client.ask(AUTH, [(ASSERTION, team.mint())]).status == 200
        gateway.signal(15)
        client.until(lambda: client.going_away, "GOAWAY")
        assert client.going_away[0] == (OK, 2**31 - 1)
        # On its way before the client could know.
        stream = 3
        client.send(frame(1, 5, stream, client.h2.encoder.encode(
            [(":method", "GET"), (":path", AUTH), (":scheme", "http"), (":authority", "x"), (ASSERTION, team.mint())])))
        client.socket.settimeout(10)
        raw = b""
        while data := client.socket.recv(65536):
            raw += data
        assert (1, stream) in [(kind, number) for kind, number, _ in frames(raw)], frames(raw)
        assert goaways(raw)[-1] == (stream, OK)
    assert gateway.wait() == 0


# What abuses the protocol: each costs the connection within its bound, and no other.


def flood(client, data, most):
    """Sends `data` up to `most` times, until the server has had enough; the codes of its GOAWAY frames."""
    for _ in range(most):
        client.send(data)
        if client.closed:
            break
    return client.until_closed()


@pytest.mark.parametrize("name, data", [
    ("ping", frame(6, 0, 0, bytes(8)) * 20),
    ("settings", frame(4) * 20),
    ("priority", frame(2, 0, 1, struct.pack(">IB", 3, 1)) * 20),
    ("window", frame(8, 0, 0, struct.pack(">I", 1)) * 20),
    ("unknown", frame(77) * 20),
])
def test_a_flood_of_control_frames_ends_the_connection(telling, team, name, data):
    with Client(telling.port) as client:
        codes = flood(client, data, 50)
        assert ENHANCE_YOUR_CALM in codes or not codes, codes
    assert alive(telling, team)


def test_rapid_reset_ends_the_connection(telling, team):
    encoder = hpack.Encoder()
    before = metric(telling, 'http2_failures_total{reason="rapid_reset"}')
    with Wire(telling.port) as wire:
        attack = PREFACE + frame(4)
        for number in range(1, 800, 2):
            block = encoder.encode([
                (":method", "GET"), (":path", AUTH), (":scheme", "http"), (":authority", "x"),
                (ASSERTION, team.mint(jti=str(number)))])
            attack += frame(1, 5, number, block) + frame(3, 0, number, struct.pack(">I", 8))
        try:
            wire.send(attack)
        except OSError:
            pass
        wire.rest()
    assert metric(telling, 'http2_failures_total{reason="rapid_reset"}') == before + 1
    assert alive(telling, team)


def test_a_continuation_flood_ends_the_connection(telling, team):
    with Client(telling.port) as client:
        client.send(frame(1, 0, 1, b""))
        assert ENHANCE_YOUR_CALM in (flood(client, frame(9, 0, 1, b""), 50) or [ENHANCE_YOUR_CALM])
    assert alive(telling, team)


def test_an_hpack_bomb_ends_the_connection(telling, team):
    encoder = hpack.Encoder()
    block = encoder.encode([
        (":method", "GET"), (":path", AUTH), (":scheme", "http"), (":authority", "x"), ("x-bomb", "b" * 3900)])
    # One byte each, and 4 KiB when it is looked up.
    bomb = block + encoder.encode([("x-bomb", "b" * 3900)]) * 200
    with Client(telling.port) as client:
        client.send(frame(1, 5, 1, bomb))
        codes = client.until_closed()
        assert ENHANCE_YOUR_CALM in codes, codes
    assert alive(telling, team)


def test_who_opens_no_window_is_ended_after_the_time_of_a_reply(telling, team):
    encoder = hpack.Encoder()
    with Wire(telling.port) as wire:
        wire.send(PREFACE + frame(4, 0, 0, struct.pack(">HI", 4, 0)))
        for number in range(1, 40, 2):
            wire.send(frame(1, 5, number, encoder.encode(
                [(":method", "GET"), (":path", AUTH), (":scheme", "http"), (":authority", "x")])))
        wire.rest()
    assert alive(telling, team)


def metric(gateway, name):
    text = ask(gateway.admin_port, "/metrics").body.decode()
    return int(sample(text, "access_gateway_" + name))


def test_requests_and_connections_are_counted(launch, team):
    gateway = launch.gateway(team.issuer)
    with Client(gateway.port) as client:
        client.ask(AUTH)
        client.ask(AUTH)
    assert metric(gateway, "http2_requests_total") == 2
    assert metric(gateway, 'connections_by_protocol_total{protocol="h2c"}') == 1
