"""What every workload needs on top of programs.py: the key and the tokens, heads to ask with, and one measurement by
bench/load.c. Standard library only. Knows no peer (servers.py) and no workload (workloads.py)."""

import base64
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import time

from programs import AUDIENCE, folder

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
BUILD = ROOT / ".build" / "bench"  # what is made once: programs, key, tokens
PATH = f"/auth/{AUDIENCE}"
ISSUER = "https://bench.cloudflareaccess.com"
TOKEN_BYTES = 900
NEW_TOKENS = 20_000
SERVER_CORE, LOAD_CORE = "0", "1"


def ask(port, head, timeout=10):
    """Status of one question; the head is given whole. The connection closes behind it."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        client.sendall(head.encode())
        reply = b""
        while b"\r\n" not in reply:
            data = client.recv(65536)
            if not data:
                raise OSError("closed without a reply")
            reply += data
    return int(reply.split(b" ")[1])


def descendants(pid):
    """The process and all below it."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            pass  # it ended meanwhile
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found


# Key and tokens: made once, kept in BUILD.


def command(*arguments, **more):
    return subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True, **more).stdout


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_files():
    """The team's key: (key set's file, private key's file, kid, SPKI in base64)."""
    private, public = BUILD / "key.pem", BUILD / "keys.json"
    if not private.exists():
        temporary = BUILD / "key.new"
        command("openssl", "genrsa", "-out", temporary, "2048")
        temporary.rename(private)
    modulus = bytes.fromhex(command("openssl", "rsa", "-in", private, "-noout", "-modulus").strip().partition("=")[2])
    kid = "ab" * 32
    public.write_text(json.dumps({"keys": [
        {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": base64url(modulus)}]}))
    pem = command("openssl", "rsa", "-in", private, "-pubout")
    return public, private, kid, "".join(pem.splitlines()[1:-1])


class Tokens:
    """Files of tokens, one a line. `good(n)` mints what is missing; the files outlive the run."""

    def __init__(self):
        self.keys, self.private, self.kid, self.spki = key_files()

    def mint(self, name, count, issued, expires):
        path = BUILD / f"{name}-{count}.tokens"
        if not path.exists() or path.stat().st_mtime < self.private.stat().st_mtime:
            if count > 1000:
                print(f"minting {count} tokens into {path.relative_to(ROOT)}", file=sys.stderr)
            temporary = path.with_suffix(".new")
            with open(temporary, "wb") as out:
                subprocess.run(
                    [str(BUILD / "mint"), str(self.private), self.kid, ISSUER, AUDIENCE, str(count), str(TOKEN_BYTES),
                     str(issued), str(expires)], stdout=out, check=True)
            temporary.rename(path)
        return path

    def good(self, count):
        for larger in (NEW_TOKENS, 100_000, 1_000_000):  # a longer file does, -k takes its head
            path = BUILD / f"good-{larger}.tokens"
            if count <= larger and path.exists() and path.stat().st_mtime >= self.private.stat().st_mtime:
                return path
        sizes = [size for size in (NEW_TOKENS, 100_000, 1_000_000) if size >= count]
        return self.mint("good", sizes[0], int(time.time()) - 60, 4_102_444_800)

    def first(self):
        with open(self.good(1)) as file:
            return file.readline().strip()

    def expired(self):
        now = int(time.time())
        return self.mint("expired", 1, now - 7200, now - 3600)

    def spoiled(self):
        """Good tokens with one changed character in the signature, each to be verified anew."""
        path = BUILD / f"spoiled-{NEW_TOKENS}.tokens"
        good = self.good(NEW_TOKENS)
        if not path.exists() or path.stat().st_mtime < good.stat().st_mtime:
            with open(good) as source, open(path, "w") as out:
                for number, line in enumerate(source):
                    if number == NEW_TOKENS:
                        break
                    at = len(line) - 150
                    out.write(line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1:])
        return path


def head(token="{token}", path=PATH):
    """The captured head of bench/capture.http; without the assertion's line if `token` is None."""
    lines = (BENCH / "capture.http").read_text().splitlines()
    if token is None:
        lines = [line for line in lines if "{token}" not in line]
    return "".join(
        line.replace("{path}", path).replace("{token}", token or "") + "\r\n" for line in [*lines, ""])


_heads = {}


def head_file(text):
    if text not in _heads:
        _heads[text] = folder / f"head-{len(_heads)}.http"
        _heads[text].write_text(text, newline="")
    return _heads[text]


class Wrong(Exception):
    """A measurement that could not be made, or whose answers were not the expected ones."""


def load(port, text, *, pids=(), tokens=None, limit=None, seconds=1.0, connections=64, rate=None, new=False,
         requests=None, offset=0, warm=0.0, expect=(200,), core=LOAD_CORE):
    """One run of the load generator; its result, with `cpu_us` a request and `rate` added."""
    arguments = [*(["taskset", "-c", core] if core else []), BUILD / "load", "-c", connections, "-d", seconds]
    if tokens:
        arguments += ["-t", tokens]
    if limit:
        arguments += ["-k", limit]
    if offset:
        arguments += ["-o", offset]
    if rate:
        arguments += ["-r", f"{rate:.1f}"]
    if new:
        arguments += ["-x"]
    if requests:
        arguments += ["-n", requests]
    if warm:
        arguments += ["-w", warm]
    if pids:
        arguments += ["-p", ",".join(map(str, pids))]
    done = subprocess.run(
        [str(a) for a in [*arguments, port, head_file(text)]], capture_output=True, text=True, timeout=seconds + 240)
    if done.returncode != 0:
        raise Wrong(done.stderr.strip() or f"the load ended with {done.returncode}")
    result = json.loads(done.stdout)
    others = {status: n for status, n in result["statuses"].items() if int(status) not in expect}
    if others or result["errors"] or not result["requests"]:
        raise Wrong(f"answers other than {expect}: {others}, {result['errors']} errors, {result['requests']} answers")
    result["cpu_us"] = result["cpu_seconds"] * 1e6 / result["requests"]
    result["rate"] = result["requests"] / result["seconds"]
    return result


def summary(samples):
    """Medians and spread of one server's rounds."""
    def of(pick):
        values = sorted(pick(s) for s in samples)
        return {"median": statistics.median(values), "min": values[0], "max": values[-1]}

    made = {"cpu_us": of(lambda s: s["cpu_us"]), "rate": of(lambda s: s["rate"])}
    if "latency_us" in samples[0]:
        made["latency_us"] = {
            mark: of(lambda s, mark=mark: s["latency_us"][mark])["median"]
            for mark in samples[0]["latency_us"]}
    return made
