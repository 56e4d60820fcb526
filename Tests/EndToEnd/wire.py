"""HTTP/1.x as bytes on a socket: what was sent is what the test wrote, what came back is parsed without mercy, so that
a second reply or a byte too many is seen. No HTTP library stands between."""

import dataclasses
import socket
import struct
import time

from running import PATIENCE

ASSERTION = "Cf-Access-Jwt-Assertion"
IDENTITY = ("X-Auth-User", "X-Auth-Email", "X-Auth-Kind", "X-Auth-Subject", "X-Auth-Expires")


@dataclasses.dataclass
class Reply:
    version: str
    status: int
    fields: list  # (name, value) as sent
    body: bytes

    def values(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def __getitem__(self, name):
        """The value of a field that is there exactly once."""
        values = self.values(name)
        assert len(values) == 1, f"{name}: {values} in {self}"
        return values[0]

    def __contains__(self, name):
        return bool(self.values(name))

    @property
    def line(self):
        """The body, which must be one line of text."""
        text = self.body.decode("ascii")
        assert text.count("\n") <= 1 and (text.endswith("\n") or "\n" not in text), text
        return text.strip()


class Wire:
    """One TCP connection."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def _more(self):
        data = self.socket.recv(65536)
        self.pending += data
        return bool(data)

    def reply(self, head=False):
        """The next reply. `head`: it answers a HEAD request, so no body follows."""
        while b"\r\n\r\n" not in self.pending:
            assert self._more(), f"closed in the middle of a reply: {self.pending!r}"
        raw, self.pending = self.pending.split(b"\r\n\r\n", 1)
        first, *lines = raw.decode("latin-1").split("\r\n")
        version, status, _ = (first + " ").split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0") and len(status) == 3, first
        fields = []
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and name == name.strip(), line
            fields.append((name, value.strip(" \t")))
        reply = Reply(version, int(status), fields, b"")
        assert "Transfer-Encoding" not in reply, "the gateway never needs chunks"
        if not head and not 100 <= reply.status < 200 and reply.status not in (204, 304):
            length = int(reply["Content-Length"])
            while len(self.pending) < length:
                assert self._more(), "closed in the middle of a body"
            reply.body, self.pending = self.pending[:length], self.pending[length:]
        return reply

    def rest(self):
        """Everything up to the end of the connection, which must come."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        return self.pending

    def assert_closed(self):
        assert self.rest() == b"", "bytes behind the last reply"

    def finish(self):
        """Half-close: nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def head(target, *lines, method="GET", version="HTTP/1.1", host="localhost"):
    """A request head. `lines` are header lines; Host, a name that the stand-in issuer answers for, is added unless `host`
    is None."""
    fixed = [f"{method} {target} {version}"] + ([f"Host: {host}"] if host is not None else [])
    return ("\r\n".join([*fixed, *lines]) + "\r\n\r\n").encode("latin-1")


def ask(port, target, *lines, method="GET", version="HTTP/1.1"):
    """One request on a connection of its own: the reply."""
    with Wire(port) as wire:
        wire.send(head(target, *lines, method=method, version=version))
        return wire.reply(head=method == "HEAD")


def asserted(token):
    return f"{ASSERTION}: {token}"


def cookie(token):
    return f"Cookie: CF_Authorization={token}"


def get(port, target, headers=()):
    """A GET whose reply ends with the connection (also for servers that send chunks): status and body."""
    with Wire(port) as wire:
        wire.send(head(target, *headers, version="HTTP/1.0"))
        raw = wire.rest()
    top, _, body = raw.partition(b"\r\n\r\n")
    return int(top.split(b" ", 2)[1]), body


def sample(text, name):
    """The sum of a metric's samples in Prometheus text, over all its labels."""
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
        if line.startswith(name) and line[len(name)] in " {")


def only_reply(port, raw, seconds=PATIENCE):
    """Sends raw bytes and reads until the connection ends, which it must by itself: the one reply. A second status
    line is a failed test: behind a proxy's shared connection it would be another person's answer."""
    deadline = time.monotonic() + seconds
    with Wire(port) as wire:
        try:
            wire.send(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may refuse before it has read everything
        everything = wire.rest()
    assert time.monotonic() < deadline
    assert everything.count(b"HTTP/1.") == 1, f"not exactly one reply: {everything!r}"
    top, _, body = everything.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    fields = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines)]
    return Reply(first.split(" ")[0], int(first.split(" ")[1]), fields, body)
