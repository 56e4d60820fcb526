"""Asks Tests/PolicyJudge the same question again and again (its command `spin`), for files of several sizes. Started by
bench/policies; exits 1 where a decision allocates."""

import json
import subprocess
import sys

WIKI = {"audience": "aud", "hosts": ["wiki.acme.com", "*.docs.acme.com"],
        "headers": {"X-Groups": {"claim": "groups", "join": ","}}}
TEN = [{"name": f"p{n}", "action": "allow", "match": {"hosts": ["wiki.acme.com"], "paths": [f"/area{n}/**"]},
        "include": {"emails": [f"u{n}@acme.com"]}} for n in range(9)]
TEN.append({"name": "last", "action": "allow", "match": {"hosts": ["*.acme.com"], "paths": ["/v1/**"]},
            "include": {"claims": {"groups": ["eng"]}}, "require": {"countries": ["CH", "DE"]}})
ONE = [{"name": "all", "action": "allow", "include": {"everyone": "true"}}]


def file(applications):
    return {"version": "1", "applications": applications}


def main(judge, counter):
    process = subprocess.Popen([judge], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"LD_PRELOAD": counter})
    assert process.stdout.readline() == b"ready\n"

    def say(*words):
        process.stdin.write(" ".join(words).encode() + b"\n")
        process.stdin.flush()
        return process.stdout.readline().decode().split()

    def hexed(value):
        return json.dumps(value).encode().hex()

    many = {f"app{n}": {"audience": f"aud{n}", "policies": ONE} for n in range(999)}
    revoked = {"revoked": [{"email": f"user{n}@acme.com"} for n in range(100_000)]}
    worst = 0
    for title, content, list_ in (
            ("one policy", file({"wiki": {"audience": "aud", "policies": ONE}}), None),
            ("ten policies of which the last decides", file({"wiki": {**WIKI, "policies": TEN}}), None),
            ("the same, 100,000 revoked", file({"wiki": {**WIKI, "policies": TEN}}), revoked),
            ("the same, 1,000 applications", file({**many, "wiki": {**WIKI, "policies": TEN}}), revoked)):
        assert say("file", hexed(content)) == ["good"]
        assert list_ is None or say("revoked", hexed(list_)) == ["good"]
        asked = say("ask", b"wiki".hex(), b"GET".hex(), b"wiki.acme.com".hex(), b"/v1/pages?x=y".hex(), "-", "-", "0", "0",
                    "0", "-", hexed({"email": "lea@acme.com", "country": "CH", "claims": {"groups": ["ops", "eng"]}}))
        assert asked[0] == "allow", asked
        nanoseconds, allocations, allowed = map(int, say("spin", "200000"))
        assert allowed == 200_001
        worst = max(worst, allocations)
        print(f"{title}: {nanoseconds} ns, {allocations} allocations in 200,000 decisions")
    process.stdin.close()
    process.wait()
    sys.exit(1 if worst else 0)


main(*sys.argv[1:])
