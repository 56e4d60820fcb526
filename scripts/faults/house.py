"""A gateway, its stand-in issuer and their figures, for load-faults and soak. Standard library only; what starts and ends
them is bench/programs.py, which this module puts on the path."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from programs import (  # noqa: E402
    AUDIENCE, await_status, cpu_seconds, fail, free_port, get, own_kib, start)


def head(target, *lines, method="GET"):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def bearing(token):
    return f"Cf-Access-Jwt-Assertion: {token}"


class Issuer:
    def __init__(self, binary):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        child = start("issuer", [binary, "issuer", "--listen", f"127.0.0.1:{self.port}"])
        await_status(child, self.port, "/cdn-cgi/access/certs", 200)

    def mint(self, who, audience=AUDIENCE):
        status, token = get(self.port, f"/token?aud={audience}&email={who}@example.com")
        if status != 200:
            fail(f"the issuer answered {status}")
        return token.strip()

    def rotate(self):
        return get(self.port, "/rotate", method="POST")[0]


class Gateway:
    def __init__(self, binary, issuer, *flags, descriptors=None):
        self.port, self.admin = free_port(), free_port()
        limit = ["bash", "-c", f'ulimit -n {descriptors}; exec "$0" "$@"'] if descriptors else []
        self.child = start("gateway", [
            *limit, binary, "serve", "--issuer", issuer.url, "--listen", f"127.0.0.1:{self.port}", "--admin",
            f"127.0.0.1:{self.admin}", "--log-level", "error", *flags])
        await_status(self.child, self.admin, "/readyz", 200)

    @property
    def resident(self):
        """KiB of its own (RssAnon)."""
        return own_kib(self.child.pid)

    @property
    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    @property
    def cpu(self):
        return cpu_seconds(self.child.pid)

    def metrics(self):
        return get(self.admin, "/metrics")[1]

    def metric(self, name):
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in self.metrics().splitlines()
            if line.startswith(name) and line[len(name)] in " {")
