"""Puts generated settings files and requests to two judges of policies: the gateway's (Tests/PolicyJudge) and the contract
as it is written down here a second time. Every difference in verdict, reason, policy, notes or headers is printed, and
ends the run with 1. Started by scripts/differential-policies; nothing of the gateway's code is used here but the program
it asks. Files are written as JSON, which YAML reads."""

import argparse
import collections
import decimal
import ipaddress
import json
import random
import re
import subprocess
import sys
import time
import urllib.parse

NO, UNKNOWN, YES = 0, 1, 2
IDS = ["0123456789abcdef0123456789abcdef.access", "f" * 32 + ".access.acme.com", "1" * 32 + ".access"]
TEAMS = ["staff", "partners"]
MISSING, DOUBLED = object(), object()


# The second judge


def both(values):
    return min(values, default=YES)


def either(values):
    return max(values, default=NO)


def is_client_id(name):
    return re.fullmatch(r"[0-9a-fA-F]{32}\.access(\.[A-Za-z0-9_-]+)*", name) is not None


def lower(text):
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def walk(value, names):
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return MISSING
        value = value[name]
    return value


def claim_at(payload, path):
    names = path.split(".")
    value = walk(payload, names)
    return walk(payload, ["custom"] + names) if value is MISSING else value


def as_number(text):
    if re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
        return decimal.Decimal(text)
    return None


def compare(value, wanted):
    """A scalar claim with the values of a selector."""
    if isinstance(value, bool):
        return YES if ("true" if value else "false") in wanted else NO
    if isinstance(value, decimal.Decimal):
        return YES if any(as_number(text) is not None and as_number(text) == value for text in wanted) else NO
    if isinstance(value, str):
        return YES if value in wanted else NO
    return UNKNOWN


class Judge:
    def __init__(self, file, revoked):
        self.file = file
        self.revoked = revoked
        self.issuers = list(file.get("issuers", {"default": {}}))

    def application(self, segment):
        found = [name for name, app in self.file["applications"].items()
                 if segment in (app.get("audiences") or [app.get("audience")])]
        if segment in self.file["applications"]:
            return segment
        return found[0] if len(found) == 1 else None

    # Who

    def selector(self, key, wanted, identity, payload):
        person = "email" in identity
        if key == "everyone":
            return YES
        if key in ("emails", "email_domains", "countries", "subjects"):
            if not person:
                return NO
            value = {"countries": identity.get("country"), "subjects": identity.get("subject")}.get(key, identity["email"])
            if value is None:
                return UNKNOWN
            if key in ("emails", "email_domains"):
                value = lower(value)
                wanted = [lower(text) for text in wanted]
            if key == "email_domains":
                value = value.split("@")[1]
            return YES if value in wanted else NO
        if key in ("service_tokens", "any_valid_service_token", "common_names"):
            if person:
                return NO
            name = payload["common_name"]
            if is_client_id(name) == (key == "common_names"):
                return NO
            if key == "any_valid_service_token":
                return YES
            if key == "service_tokens":
                wanted = [self.file["service_tokens"][token] for token in wanted]
            return YES if name in wanted else NO
        if key == "groups":
            return either([self.group(self.file["groups"][name], identity, payload) for name in wanted])
        value = claim_at(payload, key[1])
        if value is MISSING:
            return UNKNOWN
        if isinstance(value, list):
            return either([UNKNOWN if isinstance(member, list) else compare(member, wanted) for member in value])
        return compare(value, wanted)

    def selectors(self, part, identity, payload):
        results = []
        for key, wanted in part.items():
            if key == "claims":
                results += [self.selector(("claim", path), values, identity, payload) for path, values in wanted.items()]
            else:
                results.append(self.selector(key, wanted, identity, payload))
        return results

    def group(self, group, identity, payload):
        inside = either(self.selectors(group["include"], identity, payload))
        required = both(self.selectors(group.get("require", {}), identity, payload))
        outside = either(self.selectors(group.get("exclude", {}), identity, payload))
        return both([inside, required, 2 - outside])

    # Match

    def client(self, request):
        """An address, UNKNOWN, or NO for a request that came through Cloudflare."""
        if "c" in request["flags"]:
            return NO
        field = request["forwarded_for"]
        if not isinstance(field, str):
            return UNKNOWN
        trusted = [ipaddress.ip_network(text) for text in self.file.get("trusted_proxies", ["127.0.0.0/8", "::1/128"])]
        for entry in reversed(field.split(",")):
            address = plain_address(entry.strip(" \t"))
            if address is None:
                return UNKNOWN
            if not any(address in network for network in trusted):
                return address
        return UNKNOWN

    def conditions(self, match, request, path):
        results = []
        if "methods" in match:
            method = request["method"]
            results.append(UNKNOWN if not isinstance(method, str) or method == "" else YES if method in match["methods"] else NO)
        if "hosts" in match:
            results.append(host_among(request["host"], match["hosts"]))
        if "paths" in match:
            results.append(UNKNOWN if path in (None, "hostile") else YES if any(fits(path, p) for p in match["paths"]) else NO)
        if "client_ip" in match:
            client = self.client(request)
            if client in (NO, UNKNOWN):
                results.append(client)
            else:
                results.append(YES if any(client in ipaddress.ip_network(text) for text in match["client_ip"]) else NO)
        return both(results)

    def is_revoked(self, identity, request, issuer):
        for entry in self.revoked:
            if "issuer" in entry and self.issuers.index(entry["issuer"]) != issuer:
                continue
            if "issued_before" in entry and request["issued_at"] >= seconds(entry["issued_before"]):
                continue
            if "until" in entry and request["now"] >= seconds(entry["until"]):
                continue
            token = entry.get("service_token")
            if ("email" in entry and lower(entry["email"]) == lower(identity.get("email", ""))
                    or "subject" in entry and entry["subject"] == identity.get("subject")
                    or token and self.file.get("service_tokens", {}).get(token, token) == self.common_name(identity)
                    or "nonce" in entry and entry["nonce"] == identity.get("nonce")
                    or "token_sha256" in entry and entry["token_sha256"].lower() == request["digest"]):
                return True
        return False

    def common_name(self, identity):
        if "service_token" in identity:
            return self.file["service_tokens"][identity["service_token"]]
        return identity.get("common_name")

    def payload(self, identity):
        payload = {"email": identity.get("email"), "common_name": self.common_name(identity), "sub": identity.get("subject"),
                   "country": identity.get("country"), "identity_nonce": identity.get("nonce")}
        payload = {name: value for name, value in payload.items() if value is not None}
        return {**numbers(identity.get("claims", {})), **payload}

    # The order of a decision

    def judge(self, request):
        name = self.application(request["segment"])
        if name is None:
            return "deny", "unknown_application", "", "", ""
        app = self.file["applications"][name]
        policies = app.get("policies", [])
        path = read_path(request["target"])
        looks_at_paths = any("paths" in policy.get("match", {}) for policy in policies)
        hostile = looks_at_paths and path == "hostile"
        right_host = "hosts" not in app or host_among(request["host"], app["hosts"]) == YES
        matches = [self.conditions(policy.get("match", {}), request, path) for policy in policies]

        if right_host and not hostile:
            if app.get("preflight") == "allow" and request["method"] == "OPTIONS" and "p" in request["flags"]:
                return "allow", "preflight", "", "", self.headers(app, None)
            for policy, match in zip(policies, matches):
                if policy["action"] == "deny" and policy.get("mode") != "report" and match != NO:
                    break
                if policy["action"] == "bypass" and match == YES:
                    return "allow", "bypass", policy["name"], "", self.headers(app, None)
        identity = request["identity"]
        if identity is None:
            return "token", "missing", "", "", ""
        payload = self.payload(identity)
        headers = self.headers(app, payload)
        noted = []

        def denied(reason, policy=""):
            if app.get("mode") == "report":
                return "report", reason, policy, "\n".join(noted[:8]), headers
            return "deny", reason, policy, "\n".join(noted[:8]), ""

        if not right_host:
            return denied("wrong_host")
        if self.is_revoked(identity, request, request["issuer"]):
            return denied("revoked")
        if "policies" not in app:
            return "allow", "-", "", "", headers
        if hostile:
            return denied("not_allowed")
        for policy, match in zip(policies, matches):
            action = policy["action"]
            include = either(self.selectors(policy["include"], identity, payload)) if "include" in policy else YES
            require = both(self.selectors(policy.get("require", {}), identity, payload))
            exclude = either(self.selectors(policy.get("exclude", {}), identity, payload))
            if action == "deny":
                if NO not in (match, include, require) and exclude != YES:
                    if policy.get("mode") != "report":
                        return denied("not_allowed", policy["name"])
                    noted.append(policy["name"])
            elif action == "bypass":
                if match == YES:
                    return "allow", "bypass", policy["name"], "\n".join(noted[:8]), headers
            elif (action == "allow") == ("email" in identity):
                if (match, include, require, exclude) == (YES, YES, YES, NO):
                    return "allow", "-", policy["name"], "\n".join(noted[:8]), headers
        return denied("not_allowed")

    def headers(self, app, payload):
        own = app.get("headers", {})
        names = {name.lower() for name in own}
        merged = [(n, h) for n, h in self.file.get("headers", {}).items() if n.lower() not in names] + list(own.items())
        lines = []
        for name, header in merged:
            if "value" in header:
                value = escape(header["value"])
            elif payload is None:
                value = ""
            else:
                claim = claim_at(payload, header["claim"])
                if isinstance(claim, list):
                    words = [written(member, True) for member in claim]
                    value = header["join"].join(word for word in words if word is not None) if "join" in header else ""
                else:
                    value = "" if claim is MISSING else written(claim, False) or ""
            lines.append(f"{name}: {value}\r\n")
        return "".join(lines)


def numbers(value):
    """JSON's numbers as decimals that remember how they were written."""
    return json.loads(json.dumps(value), parse_float=Written, parse_int=Written)


class Written(decimal.Decimal):
    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self


def escape(text, comma=False):
    return "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 and not (comma and byte == 0x2C) else f"%{byte:02X}"
        for byte in text.encode())


def written(value, is_element):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Written):
        return value.text
    if isinstance(value, str):
        return escape(value, is_element)
    return None


def plain_address(text):
    if not re.fullmatch(r"[0-9A-Fa-f:.]+", text):
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def host_of(field):
    """Lower-case, without port and one trailing dot; None for what is no host."""
    if not isinstance(field, str):
        return None
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{0,5})?", field)
    if not found or len(field) > 300:
        return None
    host = found.group(1)
    if host[0] == "[":
        return lower(host) if plain_address(host[1:-1]) is not None else None
    host = host[:-1] if host.endswith(".") else host
    return lower(host) if all(host.split(".")) else None


def host_among(field, patterns):
    host = host_of(field)
    if host is None:
        return UNKNOWN
    for pattern in map(lower, patterns):
        if pattern == host or pattern.startswith("*.") and "." in host and host.split(".", 1)[1] == pattern[2:]:
            return YES
    return NO


def read_path(target):
    """Decoded bytes, None for a path that is missing, or `hostile`."""
    if not isinstance(target, str) or not target.startswith("/"):
        return None
    raw = target.split("?")[0].encode("latin-1")
    if re.search(rb"%(?![0-9A-Fa-f]{2})", raw) or re.search(rb"%2f|%5c", raw, re.I):
        return "hostile"
    path = urllib.parse.unquote_to_bytes(raw)
    if re.search(rb"[\x00-\x1f\x7f\\]|//|/\.{1,2}(/|$)", path) or path.endswith((b"/.\n", b"/..\n")):
        return "hostile"
    try:
        path.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return "hostile"
    return path


def fits(path, pattern):
    pattern = pattern.encode()
    if pattern.endswith(b"/**"):
        return path.startswith(pattern[:-2])
    if pattern.endswith(b"/*"):
        rest = path[len(pattern) - 1:]
        return path.startswith(pattern[:-1]) and rest != b"" and b"/" not in rest
    return path == pattern


def seconds(text):
    import datetime
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# What is put to both

EMAILS = ["lea@acme.com", "Lea@ACME.com", "x@other.com", "intern@acme.com", "ü@acme.com", "a@b.c"]
DOMAINS = ["acme.com", "ACME.com", "other.com", "com", "b.c"]
COUNTRIES = ["CH", "DE", "NO", "T1"]
SUBJECTS = ["7", "s-1", "s-2"]
VALUES = ["eng", "ops", "true", "false", "1", "1.0", "1e2", "100", "0.1", "-0", "0", "", "a,b", "é%"]
CLAIMS = [
    "eng", "ops", "true", "1", "", True, False, 1, 1.0, 100, 0.1, 0, -3, None, {"a": "eng"}, [], ["eng"], ["ops", None],
    ["x", {"a": 1}], ["x", ["eng"]], [1, "eng"], [True], ["a,b", "é%", 1.5, False], ["x", "y"], 9007199254740993, "a\r\nb"]
PATHS = ["groups", "level", "custom.groups", "a.b", "custom.a.b", "email", "country", "no.such"]
HOSTS = ["wiki.acme.com", "*.docs.acme.com", "Wiki.Acme.COM", "10.0.0.1", "[::1]", "acme.com"]
ASKED_HOSTS = [
    "wiki.acme.com", "WIKI.acme.com:443", "wiki.acme.com.", "wiki.acme.com.:8", "x.docs.acme.com", "x.y.docs.acme.com",
    "docs.acme.com", ".docs.acme.com", "evil.com", "[::1]:80", "10.0.0.1", "", "wiki.acme.com,evil.com", "a@wiki.acme.com",
    "wiki.acme.com:x", "wiki.acme.com..", "wiki..acme.com"]
PATTERNS = ["/", "/a", "/a/*", "/a/**", "/**", "/*", "/a/b", "/ü", "/share/**", "/a b"]
TARGETS = [
    "/", "/a", "/a/", "/a/b", "/a/b/c", "/a?x=/../", "/a/%62", "/%61/b", "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a//b", "/a/.",
    "/a/..", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/.%2e", "/a/..b", "/a/%zz", "/a/%2", "/a/%c3%bc", "/%c3%bc", "/\xc3\xbc", "/\xc3",
    "/%c0%af", "/a/%00", "/a\x01", "//a", "http://x/a", "*", "", "a", "/share/x", "/share/", "/share", "/a%252fb", "/a/...",
    "/a%20b", "/%ed%a0%80", "/a/%7f", "?x", "/a/%3f"]
METHODS = ["GET", "HEAD", "POST", "OPTIONS", "DELETE"]
NETWORKS = ["10.0.0.0/8", "192.168.1.0/24", "::1/128", "fd00::/8", "0.0.0.0/0", "::/0", "203.0.113.7"]
FORWARDED = [
    "10.1.2.3", "evil, 10.1.2.3", "10.1.2.3, 127.0.0.1", "127.0.0.1", "203.0.113.7", "::ffff:10.1.2.3", "fd00::1", "[fd00::1]",
    "10.1.2.3:80", "fe80::1%eth0", "010.1.2.3", "", "10.1.2.3,", "10.1.2.3 , ::1", "192.168.1.9, 10.9.9.9", "::ffff:7f00:1",
    "1.2.3", "::1.2.3.4", "1:2:3:4:5:6:7:8", "::"]
TIMES = ["2026-01-01T00:00:00Z", "2026-06-01T12:00:00+02:00", "2027-01-01T00:00:00Z"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def some(self, values, most=3):
        return self.random.sample(values, self.random.randint(1, min(most, len(values))))

    def chance(self, share):
        return self.random.random() < share

    def selectors(self, groups):
        makers = {
            "everyone": lambda: "true", "emails": lambda: self.some(EMAILS), "email_domains": lambda: self.some(DOMAINS),
            "countries": lambda: self.some(COUNTRIES), "subjects": lambda: self.some(SUBJECTS),
            "service_tokens": lambda: self.some(["ci", "bot"]), "any_valid_service_token": lambda: "true",
            "common_names": lambda: self.some(["host-1", "host-2"]),
            "claims": lambda: {path: self.some(VALUES, 4) for path in self.some(PATHS, 2)},
        }
        if groups:
            makers["groups"] = lambda: self.some(groups)
        return {key: makers[key]() for key in self.some(list(makers), 2)}

    def who(self, groups, has_include=True):
        parts = {"include": self.selectors(groups)} if has_include else {}
        if self.chance(0.3):
            parts["require"] = self.selectors(groups)
        if self.chance(0.3):
            parts["exclude"] = self.selectors(groups)
        return parts

    def match(self):
        match = {}
        for key, values in (("methods", METHODS), ("paths", PATTERNS), ("hosts", HOSTS), ("client_ip", NETWORKS)):
            if self.chance(0.35):
                match[key] = self.some(values)
        return match

    def policy(self, number, groups):
        action = self.random.choice(["allow", "allow", "service_auth", "deny", "bypass"])
        policy = {"name": f"p{number}", "action": action}
        if self.chance(0.7):
            match = self.match()
            if match:
                policy["match"] = match
        if action == "deny" and self.chance(0.3):
            policy["mode"] = "report"
        if action != "bypass":
            policy.update(self.who(groups, action != "deny" or self.chance(0.7)))
        elif self.chance(0.2):
            policy["include"] = {"everyone": "true"}
        return policy

    def headers(self):
        headers = {}
        for number in range(self.random.randint(1, 3)):
            name = self.random.choice(["X-A", "x-a", "X-B", "X-C"])
            if name.lower() in {known.lower() for known in headers}:
                continue
            if self.chance(0.25):
                headers[name] = {"value": self.random.choice(["on", "é %", "a, b"])}
            else:
                headers[name] = {"claim": self.random.choice(PATHS)}
                if self.chance(0.6):
                    headers[name]["join"] = self.random.choice([",", "; ", "|"])
        return headers

    def file(self):
        file = {"version": "1", "service_tokens": {"ci": IDS[0], "bot": IDS[1]}, "groups": {}}
        if self.chance(0.5):
            file["issuers"] = {name: {"team_domain": name} for name in TEAMS}
        groups = []
        for name in ("one", "two", "three"):
            file["groups"][name] = self.who(list(groups))
            groups.append(name)
        if self.chance(0.3):
            file["trusted_proxies"] = self.some(["127.0.0.0/8", "10.9.0.0/16", "::1/128"])
        if self.chance(0.5):
            file["headers"] = self.headers()
        file["applications"] = {}
        for number in range(self.random.randint(1, 3)):
            app = {"audiences": [f"aud{number}", f"aud{number}b"]}
            if "issuers" in file:
                app["issuer"] = self.random.choice(TEAMS)
                if self.chance(0.3):
                    app["issuer"] = TEAMS[number % 2]
                    app["audiences"].append("shared") if number < 2 else None
            if self.chance(0.6):
                app["hosts"] = self.some(HOSTS)
            if self.chance(0.4):
                app["preflight"] = self.random.choice(["allow", "deny"])
            if self.chance(0.2):
                app["mode"] = self.random.choice(["report", "enforce"])
            if self.chance(0.5):
                app["headers"] = self.headers()
            if self.chance(0.9):
                app["policies"] = [self.policy(index, groups) for index in range(self.random.randint(1, 5))]
            file["applications"][f"app{number}"] = app
        return file

    def revoked(self, file):
        entries = []
        for _ in range(self.random.randint(0, 3)):
            key = self.random.choice(["email", "subject", "service_token", "nonce", "token_sha256"])
            entry = {key: self.random.choice({
                "email": EMAILS, "subject": SUBJECTS, "service_token": ["ci", "bot", IDS[2]], "nonce": ["n1"],
                "token_sha256": ["ab" * 32, "CD" * 32]}[key])}
            for name, values in (("issued_before", TIMES), ("until", TIMES), ("note", ["why"])):
                if self.chance(0.3):
                    entry[name] = self.random.choice(values)
            if self.chance(0.3):
                entry["issuer"] = self.random.choice(list(file.get("issuers", {"default": 0})))
            entries.append(entry)
        return entries

    def identity(self):
        kind = self.random.choice(["email", "email", "email", "service_token", "common_name"])
        identity = {kind: self.random.choice(
            {"email": EMAILS, "service_token": ["ci", "bot"], "common_name": ["host-1", "host-9"]}[kind])}
        if kind == "email":
            if self.chance(0.7):
                identity["country"] = self.random.choice(COUNTRIES + ["ch"])
            if self.chance(0.7):
                identity["subject"] = self.random.choice(SUBJECTS)
        if self.chance(0.3):
            identity["nonce"] = self.random.choice(["n1", "n2"])
        claims = {}
        for name in ("groups", "level", "a", "custom"):
            if self.chance(0.5):
                claims[name] = self.random.choice(CLAIMS)
                if name in ("a", "custom") and self.chance(0.7):
                    claims[name] = {key: self.random.choice(CLAIMS) for key in self.some(["b", "groups", "level"])}
                    if name == "custom" and self.chance(0.3):
                        claims[name]["a"] = {"b": self.random.choice(CLAIMS)}
        if claims:
            identity["claims"] = claims
        return identity

    def field(self, values):
        place = self.random.random()
        return MISSING if place < 0.07 else DOUBLED if place < 0.1 else self.random.choice(values)

    def request(self, file, identities):
        app = self.random.choice(list(file["applications"]))
        segments = [app] * 12 + file["applications"][app]["audiences"] + ["nobody"]
        hosts = file["applications"][app].get("hosts", []) * 20 + ASKED_HOSTS
        return {
            "segment": self.random.choice(segments), "method": self.field(METHODS + ["get", ""]),
            "host": self.field([host.replace("*", "x") for host in hosts]), "target": self.field(TARGETS),
            "forwarded_for": self.field(FORWARDED), "flags": self.random.choice(["-", "-", "-", "c", "p", "cp"]),
            "now": self.random.choice([1_770_000_000, 1_790_000_000, 1_830_000_000]),
            "issued_at": self.random.choice([1_760_000_000, 1_780_308_000, 1_785_000_000]), "issuer": self.random.randint(0, 1),
            "digest": self.random.choice(["ab" * 32, "cd" * 32, "00" * 32]),
            "identity": None if self.chance(0.15) else self.random.choice(identities)}


class Program:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1 << 16)
        assert self.process.stdout.readline() == b"ready\n"

    def send(self, *words):
        self.process.stdin.write(" ".join(words).encode() + b"\n")

    def receive(self):
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().split()


def word(value):
    if value is MISSING or value is None:
        return "-"
    if value is DOUBLED:
        return "="
    return value.encode("latin-1").hex() or "."


def unhex(text):
    return "" if text == "-" else bytes.fromhex(text).decode("utf-8", "surrogateescape")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("judge")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--requests", type=int, default=20, help="a file")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    program = Program(options.judge)
    maker = Maker(options.seed)
    seen = collections.Counter()
    differences = 0
    started = time.monotonic()
    for _ in range(options.files):
        file = maker.file()
        revoked = maker.revoked(file)
        program.send("file", json.dumps(file).encode().hex())
        answer = program.receive()
        program.send("revoked", json.dumps({"revoked": revoked}).encode().hex())
        if answer != ["good"] or program.receive() != ["good"]:
            program.send("check", json.dumps(file).encode().hex())
            said = program.receive()
            sys.exit(f"a good file was refused: {json.dumps(file)}\n{unhex(said[1]) if len(said) > 1 else said}\n{revoked}")
        judge = Judge(file, revoked)
        identities = [maker.identity() for _ in range(4)]
        requests = [maker.request(file, identities) for _ in range(options.requests)]
        for request in requests:
            identity = request["identity"]
            program.send(
                "ask", request["segment"].encode().hex(), word(request["method"]), word(request["host"]), word(request["target"]),
                word(request["forwarded_for"]), request["flags"], str(request["now"]), str(request["issued_at"]),
                str(request["issuer"]), request["digest"],
                "-" if identity is None else json.dumps(identity).encode().hex())
        for request in requests:
            answer = program.receive()
            got = tuple(answer[:2]) + tuple(unhex(text) for text in answer[2:])
            wanted = judge.judge(request)
            seen[wanted[0] + " " + wanted[1]] += 1
            if got != wanted:
                differences += 1
                if differences <= 5:
                    print(f"file: {json.dumps(file)}\nrevoked: {revoked}\nrequest: {request}\nours: {got}\nhere: {wanted}\n")
    program.process.stdin.close()
    program.process.wait()
    count = options.files * options.requests
    print(f"{count} requests to {options.files} files (seed {options.seed}), {differences} differences, "
          f"{time.monotonic() - started:.0f} s")
    for name, number in sorted(seen.items()):
        print(f"  {name}: {number}")
    sys.exit(1 if differences else 0)


main()
