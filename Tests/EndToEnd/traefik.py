"""The real Traefik with its dashboard and an echo backend behind the gateway, configured through files as a person
would do it."""

import base64
import hashlib
import http.server
import json
import shutil
import sys
import threading
from pathlib import Path

from running import Process, eventually, free_port
from wire import IDENTITY, ask

STATIC = """\
global:
  checkNewVersion: false
  sendAnonymousUsage: false
log:
  level: WARN
entryPoints:
  web:
    address: "127.0.0.1:{port}"
api:
  dashboard: true
  insecure: false
providers:
  file:
    filename: "{dynamic}"
    watch: false
"""

DYNAMIC = """\
http:
  routers:
    dashboard:
      entryPoints: [web]
      rule: "PathPrefix(`/api`) || PathPrefix(`/dashboard`)"
      service: api@internal
      middlewares: [access]
    app:
      entryPoints: [web]
      rule: "PathPrefix(`/app`)"
      service: echo
      middlewares: [access]
    other:
      entryPoints: [web]
      rule: "PathPrefix(`/other`)"
      service: echo
      middlewares: [access-other]
  middlewares:
    access:
      forwardAuth:
        address: "http://127.0.0.1:{gateway}/auth/{audience}"
        authResponseHeaders: [{identity}]
    access-other:
      forwardAuth:
        address: "http://127.0.0.1:{gateway}/auth/{other}"
        authResponseHeaders: [{identity}]
  services:
    echo:
      loadBalancer:
        servers:
          - url: "http://127.0.0.1:{echo}"
"""


def traefik_binary():
    beside = Path(sys.executable).parent / "traefik"
    return str(beside) if beside.exists() else shutil.which("traefik")


class Traefik(Process):
    def __init__(self, folder, gateway_port, echo_port, audience, other):
        self.port = free_port()
        static, dynamic = folder / "traefik.yaml", folder / "dynamic.yaml"
        static.write_text(STATIC.format(port=self.port, dynamic=dynamic))
        dynamic.write_text(DYNAMIC.format(
            gateway=gateway_port, echo=echo_port, audience=audience, other=other, identity=", ".join(IDENTITY)))
        super().__init__("traefik", [traefik_binary(), f"--configfile={static}"])
        self.await_port(self.port)
        eventually(lambda: ask(self.port, "/app").status != 404, "Traefik has read its routes")


class Echo:
    """A backend that answers with what it was asked, as JSON, and upgrades to a WebSocket that echoes text frames."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.headers.get("Upgrade", "").lower() == "websocket":
                    self.websocket()
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                said = json.dumps({
                    "method": self.command, "path": self.path, "fields": self.headers.items(),
                    "body": body.decode("latin-1")}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_POST = do_PUT = do_DELETE = do_GET

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

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
