"""Bytes on one connection that proxies share between people: payloads that hide a second request, heads in every kind of
pieces, and ten thousand mutations of good heads against two other readers. Exactly what was asked is answered."""

import ipaddress
import random
import re
import time

import h11
import pytest

from test_head_syntax import ANNOUNCED, AUTH, HIDDEN, REFUSED, raw
from wire import Wire, asserted, head

# What evhttp 2.1.12 or another server was seen to take for two requests, beside those of test_head_syntax.
PAYLOADS = {
    "an empty line first": b"\r\n" + raw(),
    "NUL ends the head for evhttp": raw(lines=("Host: a", "\0")),
    "NUL in the middle of a name": raw(lines=("Host: a", "X\0Y: z")),
    "a length behind a space": raw(f"POST {AUTH} HTTP/1.1", ("Host: a", "Content-Length : 5")),
    "a length behind a tab": raw(f"POST {AUTH} HTTP/1.1", ("Host: a", "Content-Length\t: 5")),
    "a folded length": raw(f"POST {AUTH} HTTP/1.1", ("Host: a", "Content-Length:", " 5")),
    "a folded encoding": raw(f"POST {AUTH} HTTP/1.1", ("Host: a", "X: y", "\tTransfer-Encoding: chunked")),
    "a length that overflows": raw(lines=("Host: a", "Content-Length: 18446744073709551616")),
    "a length in two systems": raw(lines=("Host: a", "Content-Length: 5_0")),
    "a length with a comma": raw(lines=("Host: a", "Content-Length: 0,39")),
    "chunked behind a vertical tab": raw(lines=("Host: a", "Transfer-Encoding:\x0bchunked")),
    "chunked behind 8-bit space": raw(lines=("Host: a", "Transfer-Encoding:\xa0chunked")),
    "chunked twice in one line": raw(lines=("Host: a", "Transfer-Encoding: chunked, chunked")),
    "identity and chunked": raw(lines=("Host: a", "Transfer-Encoding: identity, chunked")),
    "chunked in quotes": raw(lines=("Host: a", 'Transfer-Encoding: "chunked"')),
    "chunked and a length": raw(lines=("Host: a", "Transfer-Encoding: chunked", "Content-Length: 5")),
    "a bare LF before a length": b"POST / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 39\r\n\r\n",
    "a bare CR before a length": b"POST / HTTP/1.1\r\nHost: a\r\nX: y\rContent-Length: 39\r\n\r\n",
    "CR CR LF": b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
    "LF CR LF": b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    "a space ends the head": raw(lines=("Host: a", " ")),
    "a version behind two spaces": raw(f"GET {AUTH}  HTTP/1.1"),
    "a space behind the version": raw(f"GET {AUTH} HTTP/1.1 "),
    "a second request in the target": raw(f"GET {AUTH} HTTP/1.1\rGET /x HTTP/1.1"),
    "a Host that is empty": raw(lines=("Host:",)),
    "a Host with a port of letters": raw(lines=("Host: a:b",)),
    "a Host list": raw(lines=("Host: a, b",)),
    "CONNECT with a length": raw("CONNECT a:443 HTTP/1.1", ("Host: a", "Content-Length: 5")),
    "TRACE with a length": raw(f"TRACE {AUTH} HTTP/1.1", ("Host: a", "Content-Length: 5")),
}
PAYLOADS.update({name: payload for name, (payload, _) in REFUSED.items() if "less" not in name and "many" not in name})


def statuses(everything):
    """The status of each reply in what came back, none of which may be an answer to HEAD."""
    found, rest = [], everything
    while rest:
        top, _, rest = rest.partition(b"\r\n\r\n")
        found.append(int(re.match(rb"HTTP/1\.1 (\d{3}) ", top)[1]))
        rest = rest[int(re.search(rb"Content-Length: (\d+)", top)[1]):]
    return found


def patient_rest(wire, data):
    try:
        wire.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before its end
    return wire.rest()


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_with_a_request_behind_it_gets_one_reply_and_a_close(gateway, team, name):
    for tail in (HIDDEN, head(AUTH, asserted(team.mint())), HIDDEN * 20):
        with Wire(gateway.port) as wire:
            told = statuses(patient_rest(wire, PAYLOADS[name] + tail))
        assert len(told) == 1 and told[0] in (400, 501, 505), told


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_behind_good_requests_ends_the_connection_after_theirs(gateway, team, name):
    token = team.mint()  # the first must wait for its verification, the second is remembered
    good = head(AUTH, asserted(token)) + head("/elsewhere")
    for _ in range(2):
        with Wire(gateway.port) as wire:
            told = statuses(patient_rest(wire, good + PAYLOADS[name] + HIDDEN))
        assert told[:2] == [200, 404] and len(told) == 3 and told[2] in (400, 501, 505), told


def in_pieces(port, data, cuts, at_once=200):
    """What came back for the data cut at each of `cuts`, on a connection each, many of them at the same time."""
    cuts, told = list(cuts), []
    for start in range(0, len(cuts), at_once):
        some = cuts[start:start + at_once]
        wires = [Wire(port) for _ in some]
        try:
            for wire, cut in zip(wires, some):
                wire.send(data[:cut])
            time.sleep(0.02)  # the first halves are read by now; were they not, the test would be weaker and still right
            told += [patient_rest(wire, data[cut:]) for wire, cut in zip(wires, some)]
        finally:
            for wire in wires:
                wire.socket.close()
    return told


@pytest.mark.parametrize("name", [
    "NUL at the start of a line", "two Content-Lengths", "a length behind a space", "a folded length", "bare LF",
    "a bare LF before a length", "two slashes", "no Host", "Transfer-Encoding: gzip", "TRACE"])
def test_a_payload_is_refused_alike_wherever_it_is_cut(gateway, name):
    data = PAYLOADS[name] + HIDDEN
    with Wire(gateway.port) as wire:
        whole = statuses(patient_rest(wire, data))
    for cut, told in enumerate(in_pieces(gateway.port, data, range(len(data)))):
        # The refusal can be lost on a client that goes on sending into a closed connection; a second reply cannot come.
        assert statuses(told) in (whole, []), cut


@pytest.mark.parametrize("lines", [("Connection: close",), ("Content-Length: 30",), ("Transfer-Encoding: chunked",)])
def test_a_good_head_is_answered_alike_wherever_it_is_cut(gateway, team, lines):
    token = team.mint()
    data = head(AUTH, asserted(token), *lines)
    for cut, told in enumerate(in_pieces(gateway.port, data + HIDDEN, range(1, len(data) + 1))):
        assert statuses(told) == [200], cut


@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_body_hides_nothing_wherever_it_is_cut(gateway, name):
    lines, body = ANNOUNCED[name]
    data = head("/elsewhere", *lines, method="POST") + body + HIDDEN
    for cut, told in enumerate(in_pieces(gateway.port, data, range(1, len(data)))):
        assert statuses(told) == [404], cut


# Two other readers of heads


def strict_reading(data):
    """What SPEC.md makes of the head at the start of `data`, written apart from the gate: lines and patterns instead of
    a pass over bytes. None: refused. Else its length, method, target, and whether the connection ends behind it."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or end + 4 > 32768:
        return None
    first, *lines = data[:end].split(b"\r\n")
    request = re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\*|/(?:[!\"$-.0-~][!\"$-~]*)?) HTTP/1\.([01])", first)
    if not request or len(lines) > 128:
        return None
    method, target, minor = request.groups()
    if method in (b"CONNECT", b"TRACE") or (target == b"*") != (target == b"*" and method == b"OPTIONS"):
        return None
    fields = []
    for line in lines:
        field = re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)[ \t]*", line)
        if not field:
            return None
        fields.append((field[1].lower(), field[2]))

    def values(name):
        return [value for field, value in fields if field == name]

    hosts, lengths, encodings = values(b"host"), values(b"content-length"), values(b"transfer-encoding")
    expected = values(b"expect")
    if len(hosts) > 1 or (minor == b"1" and not hosts) or not all(map(is_host, hosts)):
        return None
    if len(lengths) + len(encodings) > 1 or len(expected) > 1:
        return None
    if any(not re.fullmatch(rb"[0-9]{1,18}", value) for value in lengths):
        return None
    if any(value.lower() != b"chunked" for value in encodings) or (encodings and minor == b"0"):
        return None
    if any(value.lower() != b"100-continue" for value in expected):
        return None
    options = [option.strip(b" \t").lower() for value in values(b"connection") for option in value.split(b",")]
    persists = b"close" not in options and (minor == b"1" or b"keep-alive" in options)
    announces = bool(encodings) or any(int(value) > 0 for value in lengths)
    return end + 4, method, target, not persists or announces, announces


def is_host(value):
    host = re.fullmatch(rb"(?:((?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)|\[([0-9A-Fa-f:.]+)\])(?::([0-9]*))?", value)
    if not host or int(host[3] or 0) > 65535:
        return False
    if host[2] is not None:
        try:
            ipaddress.IPv6Address(host[2].decode())
        except ValueError:
            return False
    return True


def expected_replies(data):
    """Statuses of the replies to `data`, with whether each has a body; 0 for a refusal, which may also be missing where
    the head has no end."""
    replies = []
    while data:
        reading = strict_reading(data)
        if reading is None:
            replies.append((0 if b"\r\n\r\n" in data else -1, True))
            break
        length, method, target, closes, _ = reading
        ours = re.match(rb"/auth/[A-Za-z0-9._~-]{1,128}(?:[/?]|$)", target)
        replies.append((401 if ours else 404, method != b"HEAD"))
        if closes:
            break
        data = data[length:]
    return replies


def told_replies(everything, expected):
    """The statuses that came back, read by what is expected to have a body."""
    found = []
    for _, has_body in expected + [(0, True)] * 3:
        if not everything:
            break
        top, _, everything = everything.partition(b"\r\n\r\n")
        found.append(int(top.split(b" ", 2)[1]))
        if has_body:
            everything = everything[int(re.search(rb"Content-Length: (\d+)", top)[1]):]
    assert not everything, everything
    return found


GOOD = [
    head(AUTH, "Accept: */*", "X-Forwarded-Uri: /a?b=c", "Cookie: a=b; c=d"),
    head("/auth/x.y_z~-/more?q=1", "X: \ty \xe9\t", version="HTTP/1.0"),
    head("/", "Connection: keep-alive, x", version="HTTP/1.0", host=None),
    head(AUTH, "Content-Length: 5", method="POST") + b"hello",
    head(AUTH, "Content-Length: 0", "Connection: te", method="PUT"),
    head(AUTH, "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n0\r\n\r\n",
    head(AUTH, "Expect: 100-continue", "Content-Length: 3", method="PROPFIND"),
    head("/nothing", method="HEAD"),
    head("*", "Connection: close", method="OPTIONS", host="[2001:db8::1]:443"),
    head("/auth/a", host="a.example:8000"),
]
LINES = [
    b"Host: b", b"Content-Length: 3", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Expect: 100-continue",
    b"Connection: close", b"Connection: keep-alive", b"A:b", b" folded", b"X : y", b"TE: trailers", b": empty"]


def mutated(random, data):
    data = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(data) + 1)
        byte = random.choice(b"\0\t\n\r #*,-./0159:AaHPXhx[]%@~\x7f\x80\xff")
        kind = random.randrange(8)
        if kind == 0:
            data[at:at + 1] = bytes([byte])
        elif kind == 1:
            data[at:at] = bytes([byte])
        elif kind == 2:
            del data[at:at + 1]
        elif kind == 3:
            data[at:at] = random.choice([b"\r\n", b"\r", b"\n", b"\0", b"\r\n\r\n", b" ", b"\t"])
        elif kind == 4:
            line = random.choice(LINES)
            ends = [m.end() for m in re.finditer(rb"\r\n", data)] or [0]
            place = random.choice(ends)
            data[place:place] = line + b"\r\n"
        elif kind == 5 and data:
            other = random.randrange(len(data))
            at = min(at, len(data) - 1)
            data[at], data[other] = data[other], data[at]
        elif kind == 6:
            del data[at:at + random.randint(1, 8)]
        else:
            data[at:at] = data[at:at + random.randint(1, 20)]
        if not data:
            data = bytearray(b"G")
    return bytes(data)


def assert_h11_reads_the_same(data):
    """h11 takes more than the gate does; what the gate takes, h11 must read the same way."""
    length, method, target, _, announces = strict_reading(data)
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(data)
    request = reader.next_event()
    assert isinstance(request, h11.Request), data
    assert (request.method, request.target) == (method, target), data
    framing = dict(request.headers)
    body = int(framing.get(b"content-length", 0)) > 0 or b"transfer-encoding" in framing
    assert body == announces, data
    if not body:
        assert isinstance(reader.next_event(), h11.EndOfMessage), data
        assert reader.trailing_data[0] == data[length:], data


def test_ten_thousand_mutated_heads_are_read_as_two_other_readers_do(gateway):
    """Each with a request behind it; a difference in where the head ends would answer that one, or not."""
    dice = random.Random(20240229)
    accepted = refused = 0
    for round in range(10_000):
        data = mutated(dice, GOOD[round % len(GOOD)]) + HIDDEN
        expected = expected_replies(data)
        with Wire(gateway.port) as wire:
            wire.send(data).finish()
            told = told_replies(wire.rest(), expected)
        wanted = [status for status, _ in expected]
        if wanted[-1] <= 0:
            # A head that is refused, or one without an end: refused as soon as it is seen, else closed in silence.
            assert told[:len(wanted) - 1] == wanted[:-1], (round, data, told)
            last = told[len(wanted) - 1:]
            assert len(last) == 1 if wanted[-1] == 0 else len(last) <= 1, (round, data, told)
            assert all(status in (400, 414, 431, 501, 505) for status in last), (round, data, told)
        else:
            assert told == wanted, (round, data)
        if wanted[0] > 0:
            accepted += 1
            assert_h11_reads_the_same(data)
        else:
            refused += 1
    assert accepted > 2000 and refused > 2000, (accepted, refused)


def test_the_second_reader_agrees_about_what_is_good_and_what_is_refused():
    """Were it too strict or too lax, the mutations would prove nothing."""
    assert all(strict_reading(good) for good in GOOD)
    assert not [name for name, payload in PAYLOADS.items() if strict_reading(payload)]
