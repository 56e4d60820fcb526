"""The real Traefik with its dashboard behind the gateway, configured through files as a person would do it."""

import shutil
import sys
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
