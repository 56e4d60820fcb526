"""The five proxies, each the real program on the very configuration of deploy/, with other ports. What differs between
them lies here, and how they are asked; what is checked of them in test_proxies.py."""

import dataclasses
import http.client
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Callable

from backend import Seen
from running import ROOT, Process, eventually, free_port
from wire import ASSERTION

DEPLOY = ROOT / "deploy"
AUDIENCE = "AUD_TAG_OF_THE_APPLICATION"  # as the configurations have it: a well-formed audience, so it stays

# The ports of the configurations: the proxy's own, the gateway's, the backend's.
WELL_KNOWN = ("8080", "8000", "9000")


@dataclasses.dataclass
class Kind:
    """A proxy: its program, its configuration under deploy/, and how it is started on a copy of that in a folder."""

    name: str
    files: tuple  # the first one is what the program is given
    command: Callable  # (program, folder) -> arguments
    version: tuple  # arguments that print the version
    environment: Callable = lambda folder: {}
    here: Callable = lambda text, folder: text  # where the machine's own folders are named
    hurried: bool = False  # ended by SIGKILL: it leaves no child behind, and takes seconds over its goodbye

    @property
    def program(self):
        beside = Path(sys.executable).parent / self.name
        return str(beside) if beside.exists() else shutil.which(self.name, path=f"{os.environ['PATH']}:/usr/sbin")

    def __str__(self):
        return self.name


def nginx_here(text, folder):
    # Debian's nginx has its logs and temporary files in folders that its package makes.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    lines = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return text.replace("http {\n", "http {\n    access_log off;\n" + lines, 1)


def nginx_command(program, folder):
    person = "user root; " if os.geteuid() == 0 else ""
    return [
        program, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr",
        "-g", f"{person}daemon off; pid {folder}/nginx.pid; error_log stderr;"]


PROXIES = {kind.name: kind for kind in [
    Kind(
        "traefik", ("traefik.yaml", "dynamic.yaml"),
        lambda program, folder: [program, f"--configfile={folder}/traefik.yaml"], ("version",),
        here=lambda text, folder: text.replace("/etc/traefik/", f"{folder}/"), hurried=True),
    Kind(
        "caddy", ("Caddyfile",), lambda program, folder: [program, "run", "--config", folder / "Caddyfile"], ("version",),
        environment=lambda folder: {
            "CADDY_ADMIN": f"unix/{folder}/admin.sock", "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}),
    Kind("nginx", ("nginx.conf",), nginx_command, ("-v",), here=nginx_here),
    Kind(
        "envoy", ("envoy.yaml",),
        lambda program, folder: [
            program, "-c", folder / "envoy.yaml", "--disable-hot-restart", "--concurrency", "2", "-l", "warn"],
        ("--version",)),
    Kind(
        "haproxy", ("haproxy.cfg", "access-gateway.lua"),
        lambda program, folder: [program, "-db", "-f", folder / "haproxy.cfg"], ("-v",),
        here=lambda text, folder: text.replace("/etc/haproxy/", f"{folder}/")),
]}


class Proxy(Process):
    """A proxy that guards the backend. `edit` changes the configuration's text, for what it must survive."""

    def __init__(self, kind, folder, gateway_port, backend_port, edit=lambda text: text):
        self.kind, self.port = kind, free_port()
        ports = dict(zip(WELL_KNOWN, map(str, (self.port, gateway_port, backend_port))))
        for name in kind.files:
            text = edit((DEPLOY / kind.name / name).read_text())
            text = re.sub(r"\b(?:%s)\b" % "|".join(WELL_KNOWN), lambda port: ports[port[0]], text)
            (folder / name).write_text(kind.here(text, folder))
        super().__init__(kind.name, kind.command(kind.program, folder), kind.environment(folder))
        self.await_port(self.port)

    def stop(self):
        if self.kind.hurried and self.child.poll() is None:
            self.child.kill()
            return self.child.wait()
        return super().stop()


def await_open(proxy, team):
    eventually(lambda: visit(proxy, token=mint(team)).status == 200, f"{proxy.name} lets a good token in")


def mint(team, **changes):
    return team.mint(**{"aud": [AUDIENCE], **changes})


def visit(proxy, path="/app", *fields, method="GET", body=None, token=None):
    """One request on a connection of its own. `fields` are (name, value) pairs and go out as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in [*([(ASSERTION, token)] if token else []), *fields]:
            connection.putheader(name, value)
        chunked = body is not None and not isinstance(body, bytes)
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body, encode_chunked=chunked)
        reply = connection.getresponse()
        return Seen(reply.status, reply.headers, reply.read())
    finally:
        connection.close()
