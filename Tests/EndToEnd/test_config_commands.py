"""`test`, `explain` and `schema` by hand, as a user would: output and exit codes."""

import hashlib
import json

import jsonschema
import pytest

from minting import AUD
from running import run

FILE = """
version: 1
issuer: ISSUER
applications:
  wiki:
    audiences: [other, AUD]
    hosts: [wiki.acme.com]
    policies:
      - {name: albums, action: bypass, match: {paths: ["/share/**"]}}
      - {name: no guests, action: deny, include: {emails: [guest@acme.com]}}
      - name: engineers
        action: allow
        match: {methods: [GET], client_ip: [198.51.100.0/24]}
        include: {claims: {groups: [eng]}}
        require: {email_domains: [acme.com]}
      - {name: the robot, action: service_auth, include: {common_names: [robot]}}
"""
CASES = """
version: 1
identities:
  lea: {email: lea@acme.com, claims: {groups: [eng]}}
tests:
  - {name: in, application: wiki, as: lea, request: {client_ip: 198.51.100.7}, expect: {verdict: allow, policy: engineers}}
  - {name: out, application: wiki, as: lea, request: {client_ip: 203.0.113.7}, expect: deny}
"""


@pytest.fixture
def files(tmp_path, team):
    tmp_path.chmod(0o755)
    settings, cases = tmp_path / "gateway.yaml", tmp_path / "cases.yaml"
    settings.write_text(FILE.replace("ISSUER", team.issuer).replace("AUD", AUD))
    cases.write_text(CASES)
    settings.chmod(0o644)
    return settings, cases


# test


def test_cases_that_pass_are_0_and_one_that_fails_is_1(files):
    settings, cases = files
    done = run("test", cases, "--config", settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "TAP version 13\n1..2\nok 1 - in\nok 2 - out\n"
    cases.write_text(CASES.replace("policy: engineers", "policy: no guests"))
    done = run("test", cases, "--config", settings)
    assert done.returncode == 1
    assert "not ok 1 - in\n# policy: expected 'no guests', got 'engineers'\n" in done.stdout


@pytest.mark.parametrize("old, new, words", [
    ("as: lea", "as: leo", "is lea meant?"), ("application: wiki", "application: wikki", "is wiki meant?"),
    ("policy: engineers", "policy: engineer", "is engineers meant?"), ("tests:", "test:", "tests?"),
])
def test_a_mistake_in_the_cases_is_78(files, old, new, words):
    settings, cases = files
    cases.write_text(CASES.replace(old, new))
    done = run("test", cases, "--config", settings)
    assert (done.returncode, done.stdout) == (78, "")
    assert words in done.stderr and f"{cases}:" in done.stderr


def test_cases_may_be_anybodys_and_the_settings_may_not(files):
    settings, cases = files
    cases.chmod(0o666)
    assert run("test", cases, "--config", settings).returncode == 0
    settings.chmod(0o666)
    assert run("test", cases, "--config", settings).returncode == 78


def test_the_tests_need_no_settings_but_the_files(files):
    settings, cases = files
    settings.write_text("\n".join(line for line in settings.read_text().split("\n") if not line.startswith("issuer:")))
    assert run("test", cases, "--config", settings).returncode == 0
    assert run("check", "--offline", "--config", settings).returncode == 78


@pytest.mark.parametrize("arguments", [[], ["--config", "/nowhere.yaml"]])
def test_without_settings_there_is_nothing_to_test(files, arguments):
    assert run("test", files[1], *arguments).returncode == 78


def test_coverage_names_what_decided_no_case(files):
    settings, cases = files
    lines = run("test", cases, "--config", settings, "--coverage").stdout.splitlines()
    assert "# uncovered: wiki: policy 'albums' decided no case" in lines
    assert not [line for line in lines if "policy 'engineers' decided no case" in line]


# explain


def explain(files, token, *flags):
    return run("explain", "--config", files[0], "--application", "wiki", *flags, stdin=token)


def test_explain_says_each_selector_and_the_line_that_decides(files, team):
    token = team.mint(email="lea@acme.com", custom={"groups": ["eng"]})
    done = explain(files, token, "--client-ip", "198.51.100.7", "--path", "/a?b")
    assert done.returncode == 0, done.stdout + done.stderr
    out = " ".join(done.stdout.split())
    assert "match client_ip yes: client address is 198.51.100.7" in out
    assert "include claims.groups yes: groups is [eng]" in out
    assert "require email_domains yes: email is lea@acme.com" in out
    assert f"verdict: allow, reason -; policy 'engineers', {files[0]}:11:9" in out
    assert token.split(".")[2] not in done.stdout


def test_explain_says_why_not(files, team):
    done = explain(files, team.mint(email="lea@acme.com"), "--client-ip", "198.51.100.7")
    assert done.returncode == 1
    assert "unknown: groups is missing" in done.stdout
    assert done.stdout.endswith("verdict: deny, reason not_allowed; no policy holds\n")
    done = explain(files, team.mint(email="guest@acme.com"))
    assert done.returncode == 1 and f"policy 'no guests', {files[0]}:10:9" in done.stdout
    done = explain(files, team.mint(email="lea@acme.com"), "--host", "other.acme.com")
    assert done.returncode == 1 and "reason wrong_host" in done.stdout


def test_explain_judges_the_token_first_and_a_bypass_before_it(files, team):
    bad = team.mint(email="lea@acme.com", exp=1)
    done = explain(files, bad)
    assert done.returncode == 1 and "reason expired" in done.stdout
    assert explain(files, bad, "--path", "/share/x").returncode == 0
    assert explain(files, bad, "--path", "/share/../x").returncode == 1
    done = explain(files, "")
    assert done.returncode == 1 and "reason missing" in done.stdout


def test_explain_takes_any_of_the_applications_audiences_and_no_other(files, team):
    flags = ("--client-ip", "198.51.100.7")
    claims = {"email": "lea@acme.com", "groups": "eng"}
    assert explain(files, team.mint(aud=["other"], **claims), *flags).returncode == 0
    assert explain(files, team.mint(aud=[AUD], **claims), *flags).returncode == 0
    done = explain(files, team.mint(aud=["third"], **claims), *flags)
    assert done.returncode == 1 and "reason audience" in done.stdout


def test_an_applications_policies_stand_in_for_require(files, team):
    token = team.mint(email=None, common_name="robot", sub="")
    assert explain(files, token).returncode == 0
    assert run("explain", "--config", files[0], "--audience", AUD, stdin=token).returncode == 1


def test_explain_knows_who_is_revoked(files, team):
    settings, revoked = files[0], files[0].with_name("revoked.yaml")
    token = team.mint(email="lea@acme.com", groups="eng")
    digest = hashlib.sha256(token.encode()).hexdigest()
    settings.write_text(settings.read_text() + f"revocation: {{file: {revoked}}}\n")
    for entry, code in (("email: LEA@acme.com", 1), (f"token_sha256: {digest}", 1), ("email: other@acme.com", 0),
                        ("email: lea@acme.com, issued_before: 2001-01-01T00:00:00Z", 0)):
        revoked.write_text(f"revoked:\n  - {{{entry}}}\n")
        revoked.chmod(0o644)
        done = explain(files, token, "--client-ip", "198.51.100.7")
        assert done.returncode == code, done.stdout + done.stderr
        assert ("reason revoked" in done.stdout) == (code == 1)


@pytest.mark.parametrize("arguments, code", [
    (["--application", "wikki"], 1), (["--application", "wiki", "--client-ip", "1.2.3"], 64),
    (["--application", "wiki", "--audience", "x"], 64), ([], 64), (["--audience", "x", "--path", "/"], 64),
])
def test_explain_of_what_is_not_there(files, arguments, code):
    assert run("explain", "--config", files[0], *arguments).returncode == code


def test_explain_of_an_application_needs_a_file_with_some(team):
    done = run("explain", "--issuer", team.issuer, "--application", "wiki")
    assert done.returncode == 78 and "names no applications" in done.stderr


# schema


def test_the_schema_knows_every_setting():
    done = run("schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"applications", "issuers", "leeway", "trusted_proxies", "decision_log"} <= set(schema["properties"])
    jsonschema.validate({"team_domain": "acme", "leeway": 60, "listen": ["127.0.0.1:8000"]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"leevay": 60}, schema)
