"""A key server of our own that can go wrong in every way that a server can: below HTTP, in HTTP, in TLS, in the set. One
thread a connection, raw sockets, nothing between. What a gateway does about it is for the tests to see."""

import contextlib
import json
import socket
import ssl
import struct
import threading
import time


def reset(connection):
    """Closes with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def http(status=200, body=b"", *lines, length=True):
    """A whole response; `length` may be another number, or False for none."""
    head = [f"HTTP/1.1 {status} x", "Content-Type: application/json", "Connection: close", *lines]
    if length is not False:
        head.append(f"Content-Length: {len(body) if length is True else length}")
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def chunked(*chunks):
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"
    return http(200, body, "Transfer-Encoding: chunked", length=False)


class FaultServer:
    """Serves `team`'s keys over HTTP or, with a context, HTTPS. `fault`, when set, is called with the server and the
    connection instead, behind the request's head (with `before_head`, before it)."""

    def __init__(self, team, tls=None):
        self.team, self.tls, self.fault, self.before_head = team, tls, None, None
        self.connections = self.requests = 0
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.closing = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        host = "localhost" if self.tls else "127.0.0.1"
        return f"http{'s' if self.tls else ''}://{host}:{self.port}/keys"

    @property
    def set(self):
        return json.dumps({"keys": [key.jwk for key in self.team.keys]}).encode()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError):
            if self.before_head is not None:
                return self.before_head(self, connection)
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(4096)
                if not more:
                    return
                head += more
            self.requests += 1
            self.heads.append(head)
            if self.fault is not None:
                self.fault(self, connection)
            else:
                connection.sendall(http(200, self.set))
            connection.close()

    def stop_listening(self):
        """From now on connections are refused."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def close(self):
        self.closing.set()
        with contextlib.suppress(OSError):
            self.stop_listening()


def answering(data):
    return lambda server, connection: connection.sendall(data)


def slow_drip(server, connection):
    connection.sendall(http(200, length=100_000))
    while not server.closing.wait(0.05):
        connection.sendall(b" ")


def slow_head(server, connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not server.closing.wait(0.05):
        connection.sendall(b"x")


def hang_after_head(server, connection):
    connection.sendall(http(200, length=500))
    server.closing.wait(30)


def hang(server, connection):
    server.closing.wait(30)


def reset_in_body(server, connection):
    connection.sendall(http(200, b'{"keys":[', length=5000))
    time.sleep(0.05)
    reset(connection)


def endless_head(server, connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 5000)


def huge_chunks(server, connection):
    connection.sendall(http(200, b"", "Transfer-Encoding: chunked", length=False))
    for _ in range(100):
        connection.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")


class ConnectProxy:
    """An HTTP proxy that knows CONNECT alone. `names` maps hosts to where they really are; `answer`, when set, is sent
    in place of opening a tunnel."""

    def __init__(self, names=None):
        self.names, self.answer, self.asked = names or {}, None, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(4096)
                if not more:
                    return
                head += more
            self.asked.append(head)
            if self.answer is not None:
                connection.sendall(self.answer)
                if self.answer:
                    connection.close()
                return
            name, port = head.split(b" ")[1].decode().rsplit(":", 1)
            upstream = socket.create_connection(self.names.get(name, (name, int(port))))
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=self.pump, args=(upstream, connection), daemon=True).start()
            self.pump(connection, upstream)

    @staticmethod
    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
