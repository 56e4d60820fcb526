"""The backend behind a proxy: it answers with what it was asked, so that a test sees what a proxy made of a request; and
the client's half of its WebSocket. Starts no program."""

import base64
import hashlib
import http.server
import json
import threading

from wire import Wire, head


class Seen:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    @property
    def request(self):
        """What the echo backend was asked."""
        return json.loads(self.body)

    def at_backend(self, name):
        return [v for n, v in self.request["fields"] if n.lower() == name.lower()]


class Echo:
    """A backend that answers with what it was asked, as JSON, and upgrades to a WebSocket that echoes text frames."""

    def __init__(self):
        self.asked = []  # (method, path) of every request that has reached it
        echo = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                echo.asked.append((self.command, self.path))
                connection = self.headers.get("Connection", "").lower()
                if self.headers.get("Upgrade", "").lower() == "websocket" and "upgrade" in connection:
                    self.websocket()
                    return
                body = self.body()
                said = json.dumps({
                    "method": self.command, "path": self.path, "fields": self.headers.items(),
                    "body": body.decode("latin-1")}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said)

            do_HEAD = do_OPTIONS = do_PROPFIND = do_POST = do_PUT = do_DELETE = do_GET

            def body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)

            def handle_expect_100(self):
                # No 100 of its own (RFC 9110, 10.1.1: the body is under way already). HAProxy 2.6.12 cuts the reply
                # short now and then if one comes late, with no check configured as well.
                return True

            def websocket(self):
                key = self.headers["Sec-WebSocket-Key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key).digest()).decode())
                self.end_headers()
                self.close_connection = True
                while True:
                    top = self.rfile.read(2)
                    if len(top) < 2 or top[0] & 0x0F == 8:
                        return
                    mask = self.rfile.read(4)
                    text = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(top[1] & 0x7F)))
                    text = text + b" for " + self.headers.get("X-Auth-User", "nobody").encode()
                    self.wfile.write(bytes([0x81, len(text)]) + text)
                    self.wfile.flush()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a proxy may drop a connection whenever it likes

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def websocket(port, path, *lines):
    """A connection on which the upgrade has been asked for; its reply is not read yet."""
    wire = Wire(port)
    wire.send(head(
        path, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *lines))
    return wire


def assert_upgraded(wire, person):
    """The reply is the backend's 101, and a frame comes back with the person's name."""
    reply = wire.reply()
    assert reply.status == 101
    assert reply["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    mask, text = b"\x01\x02\x03\x04", b"hello"
    wire.send(bytes([0x81, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
    wanted = b"hello for " + person.encode()
    while len(wire.pending) < 2 + len(wanted):
        assert wire._more()
    assert wire.pending == bytes([0x81, len(wanted)]) + wanted
