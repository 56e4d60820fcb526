"""Several issuers in one gateway: each token is its own issuer's business, and so is each outage."""

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from minting import AUD, Key, base64url
from running import eventually, free_port, reload, run
from wire import ask, asserted, get, sample

AUTH = f"/auth/{AUD}"
# Made once: keys cost more than all else here.
FIRST, SECOND, THIRD = Key(), Key(), Key()


def reply(gateway, token):
    return ask(gateway.port, AUTH, asserted(token))


def verdict(gateway, token):
    answer = reply(gateway, token)
    return answer.status if answer.status == 200 else answer["X-Auth-Reason"]


def readiness(gateway):
    code, body = get(gateway.admin_port, "/readyz")
    return code, {entry["issuer"]: entry for entry in json.loads(body)["issuers"]}


class CurveKey:
    """An ES256 or Ed25519 key pair in the shape of minting.Key."""

    def __init__(self, kid, private):
        self.kid, self.private = kid, private
        public = private.public_key()
        if isinstance(private, ed25519.Ed25519PrivateKey):
            self.algorithm = "EdDSA"
            self.jwk = {"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": base64url(public.public_bytes_raw())}
        else:
            self.algorithm = "ES256"
            numbers = public.public_numbers()
            self.jwk = {
                "kid": kid, "kty": "EC", "crv": "P-256", "x": base64url(numbers.x.to_bytes(32, "big")),
                "y": base64url(numbers.y.to_bytes(32, "big"))}

    def token(self, claims):
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers={"kid": self.kid})


def test_the_iss_of_a_token_picks_its_issuer_and_only_that_issuer_s_keys(launch):
    one, two = launch.team(keys=[FIRST]), launch.team(keys=[SECOND])
    gateway = launch.gateway(
        f"{one.issuer},{two.issuer}", expose_reason="on", require="identity,any", leeway="0s,120s")
    assert verdict(gateway, one.mint()) == 200
    assert verdict(gateway, two.mint()) == 200
    # The other's key, under one's own name or under its name.
    assert verdict(gateway, one.mint(key=two.key)) == "key_unknown"
    two.keys.append(Key(kid=one.key.kid))
    reload(gateway)
    eventually(lambda: verdict(gateway, two.mint()) == 200, "the other's new key is fetched")
    assert verdict(gateway, one.mint(key=two.key)) == "signature"
    assert verdict(gateway, one.mint()) == 200, "a kid of two issuers is two keys"
    # The exact bytes of iss, or no issuer at all.
    for iss in (one.issuer + "/", one.issuer.upper(), "", f"{one.issuer},{two.issuer}", None):
        assert verdict(gateway, one.mint(iss=iss)) == "issuer"
    # Each issuer's own leeway and require.
    late = int(time.time()) - 60
    assert verdict(gateway, one.mint(exp=late)) == "expired"
    assert verdict(gateway, two.mint(exp=late)) == 200
    assert verdict(gateway, one.mint_service()) == "identity"
    assert verdict(gateway, two.mint_service()) == 200


def test_algorithms_are_each_issuer_s_own(launch, tmp_path):
    rsa = launch.team(keys=[FIRST])
    curve = CurveKey("curve", ec.generate_private_key(ec.SECP256R1()))
    edwards = CurveKey("edwards", ed25519.Ed25519PrivateKey.generate())
    keys = tmp_path / "keys.json"
    # The RSA key is offered by the other issuer, too, whose tokens it must not sign.
    keys.write_text(json.dumps({"keys": [curve.jwk, edwards.jwk, rsa.key.jwk]}))
    gateway = launch.gateway(
        f"{rsa.issuer},https://curve.test", keys_url=f"{rsa.issuer}/k,file:{keys}", algorithms="RS256,ES256+EdDSA",
        expose_reason="on")
    assert verdict(gateway, rsa.mint()) == 200
    claims = rsa.claims(iss="https://curve.test")
    assert verdict(gateway, curve.token(claims)) == 200
    assert verdict(gateway, edwards.token(claims)) == 200
    assert verdict(gateway, rsa.mint(iss="https://curve.test")) == "algorithm"
    assert verdict(gateway, curve.token(rsa.claims())) == "algorithm"
    listed = run("keys", "--admin", f"127.0.0.1:{gateway.admin_port}")
    assert listed.returncode == 0
    assert "ES256" in listed.stdout and "EdDSA" in listed.stdout
    assert listed.stdout.count(rsa.key.kid) == 1, "a key that is no good for its issuer is not listed"


def test_the_outage_of_one_issuer_does_not_touch_the_other(launch):
    good = launch.team(keys=[FIRST])
    port = free_port()
    away = f"http://127.0.0.1:{port}"
    gateway = launch.gateway(f"{away},{good.issuer}", ready=False, expose_reason="on")
    eventually(lambda: verdict(gateway, good.mint()) == 200, "the good issuer's keys are there")
    assert verdict(gateway, good.mint(iss=away)) == "keys_unavailable"
    code, states = readiness(gateway)
    assert code == 503 and states[away]["keys"] == 0 and states[good.issuer]["keys"] == 1
    assert "connect" in states[away]["last_failure"] and states[good.issuer]["last_failure"] is None
    missing = json.loads(get(gateway.admin_port, "/readyz")[1])["missing"]
    assert len(missing) == 1 and away in missing[0]
    issuer = launch.issuer(port)
    token = get(issuer.port, f"/token?aud={AUD}&email=ada@example.com")[1].decode().strip()
    eventually(lambda: verdict(gateway, token) == 200, "the other one comes by itself")
    eventually(lambda: readiness(gateway)[0] == 200, "and then it is ready")
    # Gone again: its set goes on serving, and so does the other's.
    issuer.stop()
    reload(gateway)
    eventually(lambda: readiness(gateway)[1][away]["last_failure"], "the outage is seen")
    assert verdict(gateway, token) == 200 and verdict(gateway, good.mint()) == 200


def test_an_unknown_kid_asks_its_own_issuer_alone(launch):
    one, two = launch.team(keys=[FIRST]), launch.team(keys=[SECOND])
    gateway = launch.gateway(f"{one.issuer},{two.issuer}", expose_reason="on")
    before = one.fetches, two.fetches
    for i in range(10):
        assert verdict(gateway, one.mint(header={"kid": f"made-up-{i}"})) == "key_unknown"
    assert one.fetches == before[0] + 3, "one is asked, as often as its bucket has it"
    # The bucket of the other is its own.
    two.keys.append(THIRD)
    assert verdict(gateway, two.mint()) == 200, "two is asked as well"
    assert (one.fetches, two.fetches) == (before[0] + 3, before[1] + 1)
    text = get(gateway.admin_port, "/metrics")[1].decode()
    assert f'access_gateway_unknown_kids_total{{issuer="{one.issuer}"}} 10' in text
    assert sample(text, "access_gateway_unknown_kid_refetches_total") == 4
    assert sample(text, "access_gateway_unknown_kid_refetches_limited_total") >= 1


def test_each_issuer_has_its_own_state_file(launch, tmp_path):
    one, two = launch.team(keys=[FIRST]), launch.team(keys=[SECOND])
    gateway = launch.gateway(f"{one.issuer},{two.issuer}", state_dir=tmp_path)
    gateway.end()
    one.close()
    again = launch.gateway(f"{one.issuer},{two.issuer}", state_dir=tmp_path, expose_reason="on")
    assert verdict(again, one.mint()) == 200 and verdict(again, two.mint()) == 200
    listed = run("keys", "--state-dir", tmp_path)
    assert listed.returncode == 0 and one.key.kid in listed.stdout and two.key.kid in listed.stdout


def test_what_is_seen_of_keys_from_outside(launch):
    team = launch.team(keys=[FIRST])
    gateway = launch.gateway(team.issuer)
    for _ in range(3):
        assert reply(gateway, team.mint()).status == 200
    first = team.key
    team.keys = [SECOND]
    reload(gateway)
    eventually(lambda: reply(gateway, team.mint()).status == 200, "the new key is fetched")
    assert reply(gateway, team.mint(key=first)).status == 401
    text = get(gateway.admin_port, "/metrics")[1].decode()
    label = f'issuer="{team.issuer}"'
    assert f'access_gateway_key_verifications_total{{{label},kid="{team.key.kid}",result="ok"}} 1' in text
    assert first.kid not in text, "a key that is gone has no series"
    assert 604_000 < sample(text, "access_gateway_keys_too_old_in_seconds") <= 604_800
    assert sample(text, "access_gateway_keys_age_seconds") < 60
    lines = [json.loads(line) for line in gateway.log().splitlines() if line.startswith("{")]
    events = [(line["event"], line.get("kid")) for line in lines]
    for event in (("key_new", first.kid), ("key_gone", first.kid), ("key_new", team.key.kid)):
        assert event in events
    listed = run("keys", "--admin", f"127.0.0.1:{gateway.admin_port}").stdout
    row = next(line.split() for line in listed.splitlines() if team.key.kid in line)
    assert row[1:3] == ["RS256", "2048"] and row[3].startswith("20") and row[4].startswith("20") and row[5] == "1"


def test_keys_says_what_it_could_not_read(tmp_path):
    (tmp_path / "keys-0").write_text("nonsense")
    result = run("keys", "--state-dir", tmp_path)
    assert result.returncode == 1 and "keys-0" in result.stderr
    assert run("keys", "--state-dir", tmp_path / "none").returncode == 1
    assert run("keys", "--admin", f"127.0.0.1:{free_port()}").returncode == 1
    assert run("keys", "--state-dir", "relative").returncode == 64


def test_explain_and_check_know_several_issuers(launch):
    one, two = launch.team(keys=[FIRST]), launch.team(keys=[SECOND])
    both = ("--issuer", f"{one.issuer},{two.issuer}", "--require", "identity,service")
    checked = run("check", *both)
    assert checked.returncode == 0 and one.key.kid in checked.stdout and two.key.kid in checked.stdout
    good = run("explain", "--audience", AUD, *both, stdin=one.mint())
    assert good.returncode == 0, good.stdout
    assert run("explain", "--audience", AUD, *both, stdin=two.mint()).returncode == 1
    stranger = run("explain", "--audience", AUD, *both, stdin=one.mint(iss="https://stranger.test"))
    assert stranger.returncode == 1 and "reason issuer" in stranger.stdout
    two.trouble = lambda h: h.answer(500)
    assert run("check", *both).returncode == 1


def test_the_keys_page_is_there_over_a_unix_socket_too(launch, tmp_path):
    team = launch.team(keys=[FIRST])
    gateway = launch.gateway(team.issuer, ready=False, wait=False, admin=f"unix:{tmp_path}/admin")
    result = eventually(
        lambda: (r := run("keys", "--admin", f"unix:{tmp_path}/admin")).returncode == 0 and team.key.kid in r.stdout
        and r, "the keys are listed")
    assert gateway.child.poll() is None and team.issuer in result.stdout


@pytest.mark.parametrize("flags", [
    ("--issuer", "https://a.test,https://b.test", "--leeway", "1,2,3"),
    ("--team-domain", "acme", "--algorithms", "ES256"), ("--team-domain", "acme", "--algorithms", "HS256"),
    ("--issuer", "https://a.test,https://a.test"),
])
def test_lists_that_do_not_fit_end_with_78_and_one_line(flags):
    result = run("serve", *flags)
    assert result.returncode == 78 and result.stderr.count("\n") == 1 and flags[-2] in result.stderr
