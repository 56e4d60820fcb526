"""Allocations and instructions a request, compared with the numbers that are checked in under bench/Thresholds/: started
by bench/thresholds, which builds what is needed. No clock is in any of these figures, so a busy machine changes nothing.

Each figure is the difference of a long and a short run over one connection, divided by the difference of their lengths:
the connection, the start and the warm-up cancel out."""

import argparse
import difflib
import json
import mmap
import pathlib
import platform
import re
import shutil
import struct
import subprocess
import sys
import time

import measuring
from measuring import BENCH, BUILD, Wrong, head, load
from programs import fail, folder
import servers

COUNTED = (500, 4500)  # requests of the short and the long run: counting is cheap
TRACED = (200, 1000)  # callgrind is not
MANY = 6000  # tokens of (b)
OWNERS = ("swift", "libevent", "openssl")
ALLOCATION_SLACK = 0.05  # a request: growth of tables, a log line now and then
INSTRUCTION_SLACK = 0.04  # of the number: tokens and keys differ from run to run, processors choose other code paths
FOLDER = BENCH / "Thresholds"
# The same hashes each time, and OpenSSL's code for a processor without AVX2, ADX and SHA: more machines agree on that.
CALLGRIND = {"SWIFT_DETERMINISTIC_HASHING": "1", "OPENSSL_ia32cap": ":0"}


def workload(tokens):
    """Name -> arguments of load(); `fresh` ones go on in the file where the run before stopped."""
    one = {"tokens": tokens.good(1), "limit": 1}
    return {
        "a keep-alive, one token": (one, False),
        "b keep-alive, tokens remembered": ({"tokens": tokens.good(1), "limit": MANY}, False),
        "c every token new": ({"tokens": tokens.good(measuring.NEW_TOKENS)}, True),
        "d a new connection a request": ({**one, "new": True}, False),
        "e no token": ({"text": head(None), "expect": (401,)}, False),
        "e expired": ({"tokens": tokens.expired(), "expect": (401,)}, False),
        "e bad signature": ({"tokens": tokens.spoiled(), "expect": (401,)}, True),
    }


def replay(server, given, fresh, read, lengths):
    """`read()` a request, by difference."""
    arguments = {"text": head(), **given}
    used = MANY + 1000  # apart from what (b) remembers and starting the server has used

    def run(requests):
        nonlocal used
        before = read()
        load(server.port, connections=1, requests=requests, seconds=300, offset=used if fresh else 0, **arguments)
        used += requests + 2
        time.sleep(0.1)  # what the server does behind the last reply belongs to this run
        return [after - b for after, b in zip(read(), before)]

    run(max(lengths[0], given.get("limit", 0)))  # warm; every token that is to be remembered is asked once
    short, long = run(lengths[0]), run(lengths[1])
    return [(b - a) / (lengths[1] - lengths[0]) for a, b in zip(short, long)]


def allocations(tokens):
    path = folder / "counters"
    path.write_bytes(bytes(4096))
    server = servers.gateway(
        tokens, env={"LD_PRELOAD": str(BUILD / "counters.so"), "ALLOCATION_COUNTERS": str(path)}, log_level="error")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ) as shared:
        def read():
            return struct.unpack_from("3Q", shared)

        start = read()
        if not all(start):
            raise Wrong(f"the counters do not count: {start}")
        measured = {
            name: dict(zip(OWNERS, (round(max(n, 0.0), 2) for n in replay(server, given, fresh, read, COUNTED))))
            for name, (given, fresh) in workload(tokens).items()}
    server.stop()
    return measured


def instructions(tokens, profiles):
    """By callgrind, of the whole process in user space; dumps are asked for between the runs. Where `profiles` is a
    folder, the dump of each workload's long run stays there for callgrind_annotate."""
    out = folder / "callgrind.out"
    server = servers.gateway(
        tokens, core=None, log_level="error", header_timeout="60s", env=CALLGRIND,
        wrapper=("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", f"--vgdb-prefix={folder}/vgdb"))
    total, last = 0, None

    def read():
        """Instructions since the start: each dump holds those since the dump before."""
        nonlocal total, last
        before = set(folder.glob("callgrind.out.*"))
        subprocess.run(["vgdb", f"--vgdb-prefix={folder}/vgdb", f"--pid={server.child.pid}", "dump"],
                       capture_output=True, timeout=120, check=True)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for dump in set(folder.glob("callgrind.out.*")) - before:
                found = re.search(r"^totals: (\d+)", dump.read_text(), re.M)
                if found:
                    total += int(found[1])
                    last = dump.rename(folder / "last.callgrind")
                    return [total]
            time.sleep(0.02)
        raise Wrong("callgrind wrote no dump")

    measured = {}
    for name, (given, fresh) in workload(tokens).items():
        measured[name] = round(replay(server, given, fresh, read, TRACED)[0])
        if profiles:
            shutil.copy(last, profiles / f"{name.replace(',', '').replace(' ', '-')}.callgrind")
    server.stop()
    return measured


def file_name():
    said = subprocess.run(["swift", "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"Swift version (\d+\.\d+)", said.stdout + said.stderr)[1]
    return FOLDER / f"swift-{version}-{platform.machine()}.json"


def compare(known, measured):
    """(what must be accepted, what got better, the numbers with every change outside of the slack taken over)."""
    worse, better, accepted = [], [], {"allocations": {}, "instructions": {}}
    for name, by_owner in measured["allocations"].items():
        old = known.get("allocations", {}).get(name, {})
        kept = accepted["allocations"][name] = {}
        for owner, value in by_owner.items():
            if owner not in old or abs(value - old[owner]) > ALLOCATION_SLACK:
                text = f"{name}: {owner} allocates {value:g} times a request, {old.get(owner, 'nothing')} is checked in"
                (better if owner in old and value < old[owner] else worse).append(text)
                kept[owner] = value
            else:
                kept[owner] = old[owner]
    for name, value in measured["instructions"].items():
        old = known.get("instructions", {}).get(name)
        accepted["instructions"][name] = old
        if old is None or abs(value - old) > INSTRUCTION_SLACK * old:
            change = "" if old is None else f" ({(value / old - 1) * 100:+.1f} %)"
            text = f"{name}: {value} instructions a request, {old or 'nothing'} is checked in{change}"
            (better if old is not None and value < old else worse).append(text)
            accepted["instructions"][name] = value
    return worse, better, accepted


def as_text(numbers):
    return json.dumps(numbers, indent=2) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="bench/thresholds")
    parser.add_argument("--accept", action="store_true", help="write what was measured where it is outside of the slack")
    parser.add_argument("--profiles", metavar="FOLDER", type=pathlib.Path,
                        help=f"keep each workload's profile ({TRACED[1]} requests) for callgrind_annotate")
    options = parser.parse_args()
    if options.profiles:
        options.profiles.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    tokens = measuring.Tokens()
    measured = {"allocations": allocations(tokens), "instructions": instructions(tokens, options.profiles)}
    print(f"{'a request':34}{'swift':>8}{'libevent':>10}{'openssl':>9}{'instructions':>14}")
    for name, counts in measured["allocations"].items():
        print(f"{name:34}" + "".join(f"{counts[o]:>{w}.2f}" for o, w in zip(OWNERS, (8, 10, 9)))
              + f"{measured['instructions'][name]:>14}")
    path = file_name()
    old = path.read_text() if path.exists() else ""
    worse, better, accepted = compare(json.loads(old) if old else {}, measured)
    new = as_text(accepted)
    if not old:
        worse = [f"nothing is checked in for this toolchain and processor ({path.name})"]
    for what, lines in (("worse", worse), ("better", better)):
        for line in lines:
            print(f"{what}: {line}")
    if new != old:
        shown = path.relative_to(measuring.ROOT)
        if options.accept:
            path.write_text(new)
            print(f"written: {shown}")
        else:
            print("\nThis would accept it (bench/thresholds --accept writes it, git apply takes it):\n")
            sys.stdout.writelines(difflib.unified_diff(
                old.splitlines(True), new.splitlines(True), f"a/{shown}" if old else "/dev/null", f"b/{shown}"))
    print(f"{'worse than checked in' if worse else 'within the thresholds'}; took {time.monotonic() - began:.0f} s")
    return 1 if worse and not options.accept else 0


if __name__ == "__main__":
    if not shutil.which("valgrind"):
        fail("valgrind is missing")
    try:
        sys.exit(main())
    except Wrong as error:
        fail(str(error))
