"""An HTTP/2 client of another make (PyPI's h2), in clear or over TLS, and raw frames for what h2 would never send. Its
waits have deadlines. Knows nothing of tokens."""

import socket
import ssl
import struct
import time

import h2.config
import h2.connection
import h2.events
import h2.settings

from running import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    """The bytes of a frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def frames(raw):
    """The frames in `raw`, as (type, stream, payload)."""
    found = []
    while len(raw) >= 9:
        length = int.from_bytes(raw[:3], "big")
        found.append((raw[3], int.from_bytes(raw[5:9], "big"), raw[9:9 + length]))
        raw = raw[9 + length:]
    return found


def goaways(raw):
    """The GOAWAY frames in `raw`, as (last stream, code)."""
    return [struct.unpack(">II", payload[:8]) for kind, _, payload in frames(raw) if kind == 7]


class Reply:
    def __init__(self):
        self.fields, self.body, self.ended, self.reset_code = [], b"", False, None

    @property
    def status(self):
        return int(dict(self.fields)[":status"]) if self.fields else None

    def __getitem__(self, name):
        values = [value for field, value in self.fields if field == name.lower()]
        assert len(values) == 1, f"{name}: {values}"
        return values[0]

    def __contains__(self, name):
        return any(field == name.lower() for field, _ in self.fields)


class Client:
    """A connection. Streams are asked with `ask`, and `reply` waits for one's end."""

    def __init__(self, port, context=None, window=None, validates=True, name="localhost"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=name)
            assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=validates,
            normalize_outbound_headers=validates))
        if window is not None:
            self.h2.local_settings[h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = window
        self.h2.initiate_connection()
        self.replies = {}
        self.going_away = []
        self.closed = False
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def send(self, data):
        """Bytes as they are; the end of the connection is no error here."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def start(self, path, fields=(), method="GET", ends=True, authority="localhost"):
        """Asks, and returns the stream's number without waiting."""
        stream = self.h2.get_next_available_stream_id()
        self.replies[stream] = Reply()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
        self.h2.send_headers(stream, pseudo + list(fields), end_stream=ends)
        self.flush()
        return stream

    def receive(self, seconds=PATIENCE):
        """Takes in what comes next; False when nothing came or the connection has ended."""
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", None)
            reply = self.replies.setdefault(stream, Reply()) if stream else None
            if isinstance(event, h2.events.ResponseReceived):
                reply.fields = event.headers
            elif isinstance(event, h2.events.DataReceived):
                reply.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamEnded):
                reply.ended = True
            elif isinstance(event, h2.events.StreamReset):
                reply.reset_code = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.going_away.append((event.error_code, event.last_stream_id))
        try:
            self.flush()
        except OSError:
            self.closed = True
        return True

    def until(self, condition, what, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or not self.receive(left):
                if condition():
                    return
                raise AssertionError(f"{what}: closed {self.closed}, GOAWAY {self.going_away}")

    def reply(self, stream):
        self.until(lambda: self.replies[stream].ended or self.replies[stream].reset_code is not None,
                   f"reply of stream {stream}")
        return self.replies[stream]

    def ask(self, path, fields=(), method="GET", **more):
        return self.reply(self.start(path, fields, method, **more))

    def until_closed(self, seconds=PATIENCE):
        """Waits for the server's end of the connection; the codes of its GOAWAY frames."""
        deadline = time.monotonic() + seconds
        while not self.closed:
            left = deadline - time.monotonic()
            assert left > 0, "the connection is still open"
            self.receive(left)
        return [code for code, _ in self.going_away]
