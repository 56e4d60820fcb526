"""The settings file as a user meets it: mistakes in it, which source wins, who may own it, the examples."""

import json
import os
import time

import pytest

from running import ROOT, run

EXAMPLES = sorted((ROOT / "deploy" / "examples").glob("*-test.yaml"))
APPLICATIONS = "version: 1\nteam_domain: acme\napplications:\n  wiki:\n    audience: x\n"


@pytest.fixture
def write(tmp_path):
    """Writes a file that only its owner can write; its path."""
    tmp_path.chmod(0o755)

    def write(text, name="gateway.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o644)
        return path

    return write


def check(path, *flags, **environment):
    return run("check", "--offline", "--config", path, *flags, env=environment)


def mistakes(done):
    """The lines of a check that must fail."""
    assert done.returncode == 78, done
    assert done.stdout == ""
    return [line.removeprefix("access-gateway: ") for line in done.stderr.splitlines()]


# Mistakes

ONE = [  # the file, and what the only line says behind the file's name
    ("team_domain: acme\nleevay: 10s\n", ":2:1: leevay: 'leevay' is refused; allowed: leeway?"),
    ("team_domain: acme\nleeway: 301s\n", ":2:9: leeway: '301s' is refused; allowed: 0s to 300s"),
    ("team_domain: acme\nleeway: 10s\nleeway: 20s\n", ":3:1: leeway: 'leeway' is refused; allowed: "),
    ("team_domain: acme\nlisten: []\n", ":2:9: listen: '[]' is refused; allowed: "),
    ("team_domain: acme\nexpose_reason: maybe\n", ":2:16: expose_reason: 'maybe' is refused; allowed: on or off"),
    ("team_domain: &a acme\n", ":1:14: 'an anchor (&)' is refused; allowed: "),
    ("\ufeffteam_domain: acme\n", ":1:1: "),
    ("", ":1:1: '' is refused; allowed: a file that is not empty"),
    ("%YAML 1.1\n---\nteam_domain: acme\n", ":1:1: "),
    ("team_domain: acme\n\tleeway: 10s\n", ":2:1: "),
    (APPLICATIONS.replace("version: 1\n", ""), ":2:1: version: '' is refused; allowed: version: 1"),
    (APPLICATIONS + "    polices: []\n", ":6:5: polices: 'polices' is refused; allowed: policies?"),
    (APPLICATIONS + "    policies:\n      - {name: a, action: allow, include: {countries: [ch]}}\n", "countries: 'ch'"),
    (APPLICATIONS + "    policies:\n      - {name: a, action: allow, include: {everyone: false}}\n", "everyone: 'false'"),
    ("team_domain: acme\ntests: [t.yaml]\n", ":2:9: tests: 't.yaml' is refused; allowed: no tests without applications"),
    ("team_domain: [acme, other]\nversion: 1\napplications: {w: {audience: x}}\n", "issuers: with a name each"),
    ("team_domain: acme\nissuers: {a: {team_domain: acme}}\n", ":2:1: issuers: 'issuers' is refused; allowed: only one of"),
    ("issuers: {a: {team_domain: acme}, b: {team_domain: acme}}\n", "allowed: an issuer that a is not already"),
    ("issuers: {a: {team_domain: acme, ca_file: /nowhere}}\n", ":1:43: ca_file: '/nowhere' is refused"),
    ("issuers: {a: {team_domain: acme, algorithms: [ES256]}}\n", "allowed: RS256 alone for"),
]


@pytest.mark.parametrize("text, line", ONE)
def test_a_mistake_in_the_file_is_one_line_with_its_place(write, text, line):
    path = write(text)
    found = mistakes(check(path))
    assert len(found) == 1, found
    assert found[0].startswith(f"{path}:") and line in found[0]


def test_all_mistakes_are_told_in_one_run_whatever_the_source(write):
    path = write("leevay: 1s\nlisten: '80'\nkeys_refresh: 0s\n")
    found = mistakes(check(path, "--max-connections", "0", GATEWAY_ADMIN="nowhere"))
    assert len(found) == 5
    for start in (f"{path}:1:1: leevay", f"{path}:2:9: listen", f"{path}:3:15: keys_refresh", "--max-connections",
                  "GATEWAY_ADMIN"):
        assert [line for line in found if line.startswith(start)], start


def test_a_file_that_was_cut_short_is_refused_wherever_it_was_cut(write):
    whole = (ROOT / "deploy" / "examples" / "home-lab.yaml").read_text().replace("tests: [home-lab-test.yaml]\n", "")
    assert check(write(whole)).returncode == 0
    # In the middle of a policy. Where what is left is a good file, `applications:` must be lost, which a reload refuses.
    for cut in (whole.index("action: service_auth") + 8, whole.index("audience:") + 3, whole.index("[ada@") + 2):
        mistakes(check(write(whole[:cut])))


@pytest.mark.parametrize("word, is_on", [("yes", True), ("NO", False), ("On", True), ("false", False)])
def test_a_switch_is_typed_by_its_setting_and_no_country_becomes_one(write, word, is_on):
    text = APPLICATIONS + "    policies:\n      - {name: norway, action: allow, include: {countries: [NO]}}\n"
    done = check(write(text + f"expose_reason: {word}\n"))
    assert done.returncode == 0, done.stderr
    assert f"expose_reason = {'on' if is_on else 'off'}\n" in done.stdout


def test_a_token_in_the_wrong_place_is_not_repeated(write, team):
    token = team.mint()
    done = check(write(f"team_domain: acme\nleeway: {token}\n"), "--listen", token)
    assert len(mistakes(done)) == 2
    assert token[-40:] not in done.stderr and token.split(".")[1][:40] not in done.stderr


# Whose file it is


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused(write, mode):
    path = write("team_domain: acme\n")
    path.chmod(mode)
    assert f"mode 0{mode:o}" in mistakes(check(path))[0]


def test_a_folder_that_others_can_write_is_refused_unless_it_is_sticky(write, tmp_path):
    path = write("team_domain: acme\n")
    tmp_path.chmod(0o777)
    assert "folder of mode 0777" in mistakes(check(path))[0]
    tmp_path.chmod(0o1777)
    assert check(path).returncode == 0


def test_a_link_counts_where_it_leads_to(write, tmp_path):
    path = write("team_domain: acme\n")
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    assert check(link).returncode == 0
    path.chmod(0o666)
    mistakes(check(link))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_file_of_another_user_is_refused(write):
    path = write("team_domain: acme\n")
    os.chown(path, 12345, 0)
    assert "owner 12345" in mistakes(check(path))[0]


def test_a_pipe_is_refused_at_once(tmp_path):
    tmp_path.chmod(0o755)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert "regular file" in mistakes(check(pipe))[0]


def test_a_file_that_was_named_must_be_there(tmp_path):
    assert "no such file" in mistakes(check(tmp_path / "nothing.yaml"))[0]
    done = run("check", "--offline", env={"GATEWAY_CONFIG": str(tmp_path / "nothing.yaml")})
    assert "no such file" in mistakes(done)[0]


# Which source wins


def test_flags_win_over_variables_over_the_file_over_defaults(write):
    path = write("team_domain: acme\nleeway: 5s\n")
    assert "leeway = 5s\n" in check(path).stdout
    assert "leeway = 6s\n" in check(path, GATEWAY_LEEWAY="6s").stdout
    assert "leeway = 7s\n" in check(path, "--leeway", "7s", GATEWAY_LEEWAY="6s").stdout
    assert "leeway = 5s\n" in check(path, GATEWAY_LEEWAY="").stdout
    other = write("team_domain: other\n", "other.yaml")
    assert "team_domain = other." in check(other, GATEWAY_CONFIG=str(path)).stdout
    assert "leeway = 5s\n" in run("check", "--offline", env={"GATEWAY_CONFIG": str(path)}).stdout


@pytest.mark.parametrize("source", [["--team-domain", "x"], ["--issuer", "https://x.example"]])
def test_issuers_beside_a_team_from_anywhere_is_a_mistake(write, source):
    path = write("issuers: {staff: {team_domain: acme}}\n")
    assert check(path).returncode == 0
    assert source[0] in mistakes(check(path, *source))[0]
    assert "CF_TEAMS_DOMAIN" in mistakes(check(path, CF_TEAMS_DOMAIN="x"))[0]


def test_named_issuers_have_settings_of_their_own(write):
    path = write("leeway: 10s\nissuers:\n  staff: {team_domain: acme}\n  partners: {team_domain: b, leeway: 60s}\n"
                 "  lab: {issuer: https://id.example.com/x, algorithms: [ES256, RS256], keys_url: 'file:/keys.json'}\n")
    out = check(path).stdout
    assert "leeway = 10s,1m,10s\n" in out
    assert "algorithms = RS256,RS256,ES256+RS256\n" in out
    assert out.count("/cdn-cgi/access/certs") == 2 and "file:/keys.json" in out


# Policies and their tests


def test_tests_of_the_file_must_pass(write):
    case = "version: 1\ntests:\n  - {name: someone, application: wiki, as: {email: a@b.c}, expect: %s}\n"
    text = APPLICATIONS + "    policies:\n      - {name: all, action: allow, include: {everyone: true}}\ntests: [t.yaml]\n"
    path = write(text)
    assert "no such file" in mistakes(check(path))[0]
    tests = write(case % "allow", "t.yaml")
    assert check(path).returncode == 0
    write(case % "deny", "t.yaml")
    assert mistakes(check(path))[0].startswith(f"{tests}:3:5: 'someone' failed: verdict: expected 'deny', got 'allow'")
    write(case % "denny", "t.yaml")
    assert "is deny meant?" in mistakes(check(path))[0]


def test_a_revocation_file_must_be_good(write, tmp_path):
    path = write(APPLICATIONS + f"revocation: {{file: {tmp_path}/revoked.yaml}}\n")
    assert "no such file" in mistakes(check(path))[0]
    for good in ("", "revoked: []\n", "revoked: [{email: a@b.c}]\n"):
        write(good, "revoked.yaml")
        assert check(path).returncode == 0
    revoked = write("revoked: [{mail: a@b.c}]\n", "revoked.yaml")
    assert [line for line in mistakes(check(path)) if line.startswith(f"{revoked}:1:12: mail: ")]


def test_check_notes_what_may_not_be_meant(write):
    text = APPLICATIONS + ("    policies:\n      - {name: open, action: bypass}\n"
                           "      - {name: never, action: bypass, match: {methods: [GET]}}\n")
    path = write(text)
    notes = [line for line in check(path).stdout.splitlines() if ": note: " in line]
    assert any("no hosts" in note for note in notes)
    assert any("bypass without match" in note for note in notes)
    assert any(note.startswith(f"{path}:8:9: note: policy 'never' never decides") for note in notes), notes


def test_check_as_json(write):
    done = check(write(APPLICATIONS), "--output", "json")
    assert done.returncode == 0
    out = json.loads(done.stdout)
    assert out["settings"]["leeway"] == "30s" and out["mistakes"] == [] and out["notes"][0]["line"] == 4
    done = check(write("leevay: 1\n"), "--output", "json")
    assert done.returncode == 78
    assert len(json.loads(done.stdout)["mistakes"]) == 1


@pytest.mark.parametrize("tests", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_good_and_pass_their_own_tests(tests):
    settings = tests.with_name(tests.name.replace("-test", ""))
    done = check(settings)
    assert done.returncode == 0, done.stderr
    done = run("test", tests, "--config", settings, "--coverage")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not ok" not in done.stdout


def test_there_are_three_examples_and_the_page_shows_each():
    assert len(EXAMPLES) == 3
    page = (ROOT / "docs" / "policies.md").read_text()
    for tests in EXAMPLES:
        assert f"deploy/examples/{tests.name.replace('-test', '')}" in page and tests.name in page


def test_a_server_starts_from_a_file_alone(launch, team, write):
    from running import BINARY, Process, free_port

    port, admin = free_port(), free_port()
    path = write(f"issuer: {team.issuer}\nlisten: 127.0.0.1:{port}\nadmin: 127.0.0.1:{admin}\n")
    server = launch.keep(Process("gateway", [BINARY, "serve", "--config", path]))
    server.await_port(port)
    deadline = time.monotonic() + 20
    while run("healthcheck", "--config", path).returncode != 0:
        assert time.monotonic() < deadline
    assert run("keys", "--config", path).returncode == 0


def test_a_mistake_keeps_serve_from_starting(write):
    done = run("serve", "--config", write("team_domain: acme\nleevay: 1s\n"))
    assert done.returncode == 78 and "leeway?" in done.stderr
