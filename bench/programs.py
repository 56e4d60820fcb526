"""Programs on ports of 127.0.0.1 for measuring and for faults: started, asked, weighed, ended by the ids that were started
here. Standard library only. Knows no gateway, no load and no figure. Importing it makes a folder, which goes at the end."""

import atexit
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scripts"))

from processes import clean_environment, free_port, stop  # noqa: E402, F401

AUDIENCE = "4f" * 32
folder = pathlib.Path(tempfile.mkdtemp(prefix="access-gateway-"))
children = []


def fail(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(1)


def start(name, arguments, core=None, env=None, cwd=None):
    """A child that is ended at the end at the latest; its output goes to the file `child.log`."""
    pinned = ["taskset", "-c", core] if core is not None else []
    log = folder / f"{name.replace(' ', '-').replace('/', '')}-{len(children)}.log"
    with open(log, "wb") as out:
        child = subprocess.Popen(
            [*pinned, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            env=clean_environment(env), cwd=cwd)
    child.log = log
    children.append(child)
    return child


@atexit.register
def end():
    for child in reversed(children):
        stop(child)
    shutil.rmtree(folder, ignore_errors=True)


def get(port, target, *lines, method="GET"):
    """Status and body, over HTTP/1.0."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall("\r\n".join([f"{method} {target} HTTP/1.0", "Host: localhost", *lines, "", ""]).encode())
        reply = b""
        while data := client.recv(65536):
            reply += data
    top, _, body = reply.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), body.decode()


def await_status(child, port, target, status):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if get(port, target)[0] == status:
                return
        except OSError:
            pass
        time.sleep(0.05)
    fail(f"no {status} from port {port}:\n{child.log.read_text(errors='replace')[-4000:]}")


def many_descriptors():
    """Raises the soft limit, to 65,536 at most; what it is now."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 65536 if limit == resource.RLIM_INFINITY else min(limit, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, limit))
    return wanted


def own_kib(pid):
    """Memory of its own, which is what a container pays: pages of files are the kernel's to take back, and shared."""
    return int(re.search(r"RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def cpu_seconds(pid):
    """User and system time of a process and all its threads, past ones too (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)
