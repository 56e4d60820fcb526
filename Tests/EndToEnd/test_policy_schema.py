"""The JSON Schema of the settings file against the file's reader (both in Tests/PolicyJudge), by a validator that is not
ours: what the reader takes the schema takes, and what is wrong about a file's shape both refuse. What names lead to is
beyond a schema."""

import json
import re
import subprocess

import jsonschema
import pytest

from running import BINARY

JUDGE = BINARY.parent / "PolicyJudge"
APPLICATION = "version: 1\napplications:\n  wiki:\n    audience: x\n    "
POLICY = APPLICATION + "policies:\n      - "
CONTRACT = """
version: 1
issuers:
  staff: {team_domain: acme}
  partners: {team_domain: acme-partners, leeway: 60s}
service_tokens:
  ci: 0123456789abcdef0123456789abcdef.access
groups:
  engineers:
    include: {email_domains: [acme.com], claims: {groups: [eng]}}
    exclude: {emails: [intern@acme.com]}
headers:
  X-Auth-Country: {claim: country}
revocation: {file: /etc/access-gateway/revoked.yaml}
applications:
  wiki:
    issuer: staff
    audiences: [4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2]
    hosts: [wiki.acme.com, "*.docs.acme.com"]
    preflight: deny
    mode: enforce
    headers: {X-WEBAUTH-USER: {claim: email}, X-Auth-Groups: {claim: custom.groups, join: ","}}
    policies:
      - name: the pipeline deploys
        action: service_auth
        match: {methods: [POST], paths: ["/deploy/**"]}
        include: {service_tokens: [ci]}
      - name: public albums
        action: bypass
        match: {methods: [GET, HEAD], paths: ["/share/**"]}
      - name: engineers
        action: allow
        include: {groups: [engineers]}
        require: {countries: [CH, DE, "NO"]}
"""

GOOD = [
    CONTRACT,
    "leeway: 60\n",
    "listen: [0.0.0.0:8000, unix:/run/x]\nexpose_reason: on\n",
    "version: '1'\n",
    "decision_log: all\nmetadata: request\ntrusted_proxies: [10.0.0.0/8, '::1']\n",
    "tests: [policies-test.yaml]\n",
    APPLICATION + "hosts: [10.0.0.1, '[::1]']\n",
    POLICY + "{name: 7, action: allow, include: {everyone: true}}\n",
    POLICY + "{name: a, action: deny, mode: report}\n",
    POLICY + "{name: a, action: deny, include: {claims: {level: [1, true, x], a.b: ['']}, subjects: [12]}}\n",
    POLICY + "{name: a, action: deny, match: {client_ip: [fd00::/8], paths: [/, /*, /a/**], hosts: ['*.a.b']}}\n",
    APPLICATION + "headers: {X-A: {value: 1}, X-B: {claim: a, join: '; '}}\n",
]

# Wrong in shape: the schema can tell.
BAD = [
    "leway: 1\n",
    "leeway: [1]\n",
    "listen: []\n",
    "version: 2\n",
    "applications: {}\n",
    "applications: []\n",
    "decision_log: some\n",
    "trusted_proxies: 10.0.0.0/8\n",
    "team_domain: a\nissuers: {b: {team_domain: b}}\n",
    "issuers: {b: {leeway: 3}}\n",
    "service_tokens: {ci: host}\n",
    "service_tokens: {CI: 0123456789abcdef0123456789abcdef.access}\n",
    "revocation: {}\n",
    "revocation: {file: relative}\n",
    "groups: {a: {exclude: {everyone: true}}}\n",
    "version: 1\napplications: {wiki: {hosts: [a.b]}}\n",
    APPLICATION + "audiences: [y]\n",
    APPLICATION + "hosts: ['a.b:80']\n",
    APPLICATION + "hosts: ['a.*.b']\n",
    APPLICATION + "mode: audit\n",
    APPLICATION + "preflight: yes\n",
    APPLICATION + "policies: []\n",
    POLICY + "{action: deny}\n",
    POLICY + "{name: a}\n",
    POLICY + "{name: a, action: permit}\n",
    POLICY + "{name: a, action: deny, include: {}}\n",
    POLICY + "{name: a, action: deny, include: {everyone: false}}\n",
    POLICY + "{name: a, action: deny, include: {emails: []}}\n",
    POLICY + "{name: a, action: deny, include: {emails: [acme.com]}}\n",
    POLICY + "{name: a, action: deny, include: {email_domains: ['@acme.com']}}\n",
    POLICY + "{name: a, action: deny, include: {countries: [ch]}}\n",
    POLICY + "{name: a, action: deny, include: {claims: {a..b: [x]}}}\n",
    POLICY + "{name: a, action: deny, include: {claims: {a: x}}}\n",
    POLICY + "{name: a, action: deny, include: {mails: [a@b]}}\n",
    POLICY + "{name: a, action: deny, match: {methods: [get]}}\n",
    POLICY + "{name: a, action: deny, match: {paths: ['/a*']}}\n",
    POLICY + "{name: a, action: deny, match: {paths: ['a']}}\n",
    POLICY + "{name: a, action: deny, match: {client_ip: [office]}}\n",
    POLICY + "{name: a, action: deny, match: {}}\n",
    APPLICATION + "headers: {X-A: {claim: a, value: b}}\n",
    APPLICATION + "headers: {X-A: {value: b, join: ','}}\n",
    APPLICATION + "headers: {X-A: {}}\n",
    APPLICATION + "headers: {'X A': {claim: a}}\n",
]

# Wrong in what it means: only the reader can tell.
MEANING = [
    POLICY + "{name: a, action: deny, include: {groups: [nobody]}}\n",
    POLICY + "{name: a, action: allow}\n",
    POLICY + "{name: a, action: bypass, require: {everyone: true}}\n",
    APPLICATION + "issuer: other\n",
    APPLICATION + "headers: {Host: {claim: a}}\n",
    "applications: {wiki: {audience: x}}\n",
]


@pytest.fixture(scope="module")
def judge():
    process = subprocess.Popen([JUDGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"

    def ask(*words):
        process.stdin.write(" ".join(words) + "\n")
        process.stdin.flush()
        return process.stdout.readline().split()

    yield ask
    process.stdin.close()
    assert process.wait(timeout=10) == 0


@pytest.fixture(scope="module")
def validator(judge):
    schema = json.loads(bytes.fromhex(judge("schema")[0]))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def typed(node):
    """A document as an editor sees it: scalars without quotes in the types of YAML 1.2's core schema."""
    if isinstance(node, list):
        return [typed(element) for element in node]
    if "map" in node:
        return {key: typed(value) for key, value in node["map"].items()}
    text = node["text"]
    if not node["plain"]:
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("null", "~", ""):
        return None
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    return text


def both(judge, validator, text):
    tree = json.loads(bytes.fromhex(judge("tree", text.encode().hex())[0]))
    return judge("check", text.encode().hex())[0] == "good", validator.is_valid(typed(tree))


@pytest.mark.parametrize("text", GOOD)
def test_what_the_reader_takes_the_schema_takes(judge, validator, text):
    assert both(judge, validator, text) == (True, True)


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_in_shape_both_refuse(judge, validator, text):
    assert both(judge, validator, text) == (False, False)


@pytest.mark.parametrize("text", MEANING)
def test_what_names_lead_to_only_the_reader_tells(judge, validator, text):
    assert both(judge, validator, text) == (False, True)
