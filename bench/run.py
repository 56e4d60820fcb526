"""Measures the gateway, its peers and the floors under all workloads: started by bench/run, which installs and builds
what is needed. Runs the rounds and keeps the samples; report.py writes them down."""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import measuring
import programs
import report
import servers
import workloads


def parse():
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures the gateway beside its peers.")
    parser.add_argument("--quick", action="store_true", help="short rounds, smaller sizes: under 3 minutes, coarse")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write all samples")
    parser.add_argument("--only", metavar="WORKLOAD", action="append", default=[],
                        help="a to j, process or openssl; several with commas; RESULTS.md is left alone")
    parser.add_argument("--peers", metavar="NAMES", help="only these, with commas: " + ", ".join(servers.ALL))
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 2")
    parser.add_argument("--seconds", type=float, help="of one measurement; default 3, with --quick 0.3")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (0.3 if options.quick else 3.0)
    options.only = [name for part in options.only for name in part.split(",")]
    options.peers = options.peers.split(",") if options.peers else []
    unknown = set(options.only) - {*workloads.ALL, "process", "openssl"} | set(options.peers) - set(servers.ALL)
    if unknown or not 1 <= options.rounds <= 50 or not 0.05 <= options.seconds <= 60:
        parser.error(f"unknown: {', '.join(sorted(unknown))}" if unknown else "--rounds 1 to 50, --seconds 0.05 to 60")
    return options


def run(bench, name):
    """All rounds of one workload, alternating between its rows."""
    cells = workloads.ALL[name][1](bench)
    for _ in range(bench.options.rounds):
        for cell in cells:
            if cell.trouble:
                continue
            try:
                cell.samples.append(cell.once())
            except (measuring.Wrong, subprocess.TimeoutExpired) as error:
                cell.trouble = str(error)[:300]
    return [
        {"row": cell.row, "trouble": cell.trouble, "samples": cell.samples,
         **(measuring.summary(cell.samples) if cell.samples and not cell.trouble else {})}
        for cell in cells]


def openssl_speed(seconds):
    """What one RSA-2048 verification costs this OpenSSL, in microseconds, and signing."""
    out = subprocess.run(
        ["taskset", "-c", measuring.SERVER_CORE, "openssl", "speed", "-seconds", str(max(1, round(seconds))), "rsa2048"],
        capture_output=True, text=True, check=True).stdout
    sign, verify = re.search(r"rsa\s+2048 bits\s+([\d.]+)s\s+([\d.]+)s", out).groups()
    sign_rate, verify_rate = re.search(r"([\d.]+)\s+([\d.]+)\s*$", out).groups()
    return {"sign_us": 1e6 / float(sign_rate), "verify_us": 1e6 / float(verify_rate)}


def main():
    options = parse()
    if len(os.sched_getaffinity(0)) < 2:
        programs.fail("two cores are needed, one for the server and one for the load")
    granted = programs.many_descriptors()
    if granted < 12_000:
        programs.fail(f"10,000 connections need more descriptors than ulimit -Hn allows ({granted})")

    began = time.monotonic()
    tokens = measuring.Tokens()
    bench = workloads.Bench(options, tokens)
    result = {
        "quick": options.quick, "rounds": options.rounds, "seconds": options.seconds, "versions": servers.versions(),
        "token_bytes": len(tokens.first()), "head_bytes": len(measuring.head(tokens.first())), "workloads": {}}
    print(f"head of {result['head_bytes']} bytes, token of {result['token_bytes']}; {options.rounds} rounds of "
          f"{options.seconds:g} s", flush=True)
    if not options.only or "openssl" in options.only:
        result["openssl"] = openssl_speed(options.seconds)
        print(report.openssl_line(result["openssl"]), flush=True)
    if not options.only or "process" in options.only:
        result["process"] = workloads.process(bench)
        print(report.process_table(result["process"]), flush=True)
    for name in workloads.ALL:
        if options.only and name not in options.only:
            continue
        result["workloads"][name] = run(bench, name)
        print(report.table(name, result["workloads"][name]), flush=True)
    targets = report.targets(result)
    if targets:
        print(report.targets_table(targets))
    result["absent"] = bench.absent
    result["took_seconds"] = time.monotonic() - began
    print(f"took {result['took_seconds']:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if not options.only and not options.peers and not options.quick:
        report.write(result, targets)
        print("written: bench/RESULTS.md, bench/plots/")
    broken = [row for rows in result["workloads"].values() for row in rows if row["trouble"]]
    return 1 if broken or bench.absent else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
