"""The table of attacks on a token: what is sent, and the exact reason it must be refused for. Rows are grouped as the
threats are: shape, JSON, header, signature, claims. Nothing is sent from here."""

import dataclasses
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from minting import AUD, OTHER_AUD, Key, base64url


@dataclasses.dataclass
class Attack:
    name: str
    reason: str  # of the room, and over HTTP where `http` says nothing else
    token: bytes
    http: object = None  # another reason, a status, or "allowed"


class Forge:
    """Writes tokens of a team byte by byte, well signed unless it is told otherwise."""

    def __init__(self, team, now):
        self.team, self.key, self.now = team, team.key, now

    def header(self, *extra, **changes):
        members = {"alg": '"RS256"', "kid": json.dumps(self.key.kid), "typ": '"JWT"', **changes}
        return "{" + ",".join([f'"{n}":{v}' for n, v in members.items() if v is not None] + list(extra)) + "}"

    def claims(self, *extra, **changes):
        """The JSON of a user's claims. A change is JSON text, None drops the claim."""
        members = {
            "aud": json.dumps([AUD]), "email": '"ada@example.com"', "exp": str(self.now + 600), "iat": str(self.now),
            "nbf": str(self.now), "iss": json.dumps(self.team.issuer), "type": '"app"', "sub": '"7335d417"',
            "country": '"NL"', **changes}
        return "{" + ",".join([f'"{n}":{v}' for n, v in members.items() if v is not None] + list(extra)) + "}"

    def token(self, header=None, payload=None, sign=None):
        def data(text, usual):
            text = usual() if text is None else text
            return text if isinstance(text, bytes) else text.encode()

        return self.team.mint_bytes(data(header, self.header), data(payload, self.claims), sign or self.key.sign).encode()


def attacks(team, now):
    forge = Forge(team, now)
    rows = []
    names = set()

    def add(name, reason, token, http=None):
        assert name not in names, name
        names.add(name)
        rows.append(Attack(name, reason, token if isinstance(token, bytes) else token.encode(), http))

    shape(forge, add)
    texts(forge, add)
    headers(forge, add)
    signatures(forge, add)
    claims(forge, add)
    return rows


def shape(forge, add):
    good = forge.token()
    head, body, signature = good.split(b".")
    add("no token at all", "malformed", b"", "malformed")
    add("no dot", "malformed", head + body + signature)
    add("one dot", "malformed", head + b"." + body)
    add("three dots", "malformed", good + b"." + signature)
    add("five parts, as a JWE has", "malformed", b".".join([head, body, signature, body, signature]))
    add("empty header", "malformed", b"." + body + b"." + signature)
    add("empty payload, detached", "malformed", head + b".." + signature)
    add("empty signature", "malformed", head + b"." + body + b".")
    add("a dot in front", "malformed", b"." + good)
    add("eight thousand dots", "malformed", b"." * 8000)
    add("JSON serialization", "malformed",
        json.dumps({"payload": body.decode(), "protected": head.decode(), "signature": signature.decode()}).encode(),
        "ambiguous")
    add("general JSON serialization", "malformed",
        b'{"payload":"' + body + b'","signatures":[]}', "ambiguous")
    add("8193 bytes", "too_large", good + b"A" * (8193 - len(good)))
    add("30,000 bytes", "too_large", good + b"A" * (30_000 - len(good)))
    add("a header of 1025 characters", "too_large", b"A" * 1025 + b"." + body + b"." + signature)
    add("8 KiB without a dot", "malformed", b"A" * 8192)
    for name, text in [("=", b"="), ("==", b"=="), ("%3D", b"%3D"), ("a line break escaped", b"%0D%0A")]:
        add(f"signature with {name} behind it", "malformed", good + text)
        add(f"payload with {name} behind it", "malformed", head + b"." + body + text + b"." + signature)
        add(f"header with {name} behind it", "malformed", head + text + b"." + body + b"." + signature)
    add("+ and / instead of - and _", "malformed", standard_alphabet(forge))
    add("a space inside", "malformed", good[:40] + b" " + good[40:])
    add("a tab inside", "malformed", good[:40] + b"\t" + good[40:])
    add("a line feed inside", "malformed", good[:40] + b"\n" + good[40:], 400)
    add("CRLF inside", "malformed", good[:40] + b"\r\n" + good[40:], 400)
    add("CRLF and a fold inside", "malformed", good[:40] + b"\r\n " + good[40:], 400)
    add("NUL inside", "malformed", good[:40] + b"\0" + good[40:], 400)
    add("NUL behind", "malformed", good + b"\0", 400)
    add("a byte that is not ASCII", "malformed", good[:40] + b"\xe9" + good[41:])
    add("a full-width letter", "malformed", good[:40] + "Ａ".encode() + good[41:])
    add("a space in front", "malformed", b" " + good, "allowed")
    add("a space behind", "malformed", good + b" ", "allowed")
    add("a tab behind", "malformed", good + b"\t", "allowed")
    add("Bearer in front", "malformed", b"Bearer " + good)
    add("quoted", "malformed", b'"' + good + b'"')
    add("the token twice, with a comma", "malformed", good + b"," + good, "ambiguous")
    add("the token twice, with a space", "malformed", good + b" " + good)
    add("a header of one character more than bytes need", "malformed", head + b"A" * (1 + (-len(head) % 4)) + b"." + body + b"." + signature)
    for part in range(3):
        parts = good.split(b".")
        spoiled = raise_spare_bits(forge, part)
        add(f"spare bits of part {part} not zero", "malformed", spoiled)
        parts[part] = parts[part][:-1] + b"?"
        add(f"part {part} ends in ?", "malformed", b".".join(parts))


def standard_alphabet(forge):
    """A good token whose signature has a - or _, in the alphabet of RFC 4648 section 4."""
    for turn in range(100):
        token = forge.token(payload=forge.claims(f'"turn":{turn}'))
        head, body, signature = token.split(b".")
        if b"-" in signature or b"_" in signature:
            return b".".join([head, body, signature.replace(b"-", b"+").replace(b"_", b"/")])
    raise AssertionError("no - and no _ in a hundred signatures")


def raise_spare_bits(forge, part):
    """A good token, but for the unused bits of a part's last character: lenient decoders see the same bytes."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for spaces in range(3):
        parts = forge.token(forge.header() + " " * spaces, forge.claims() + " " * spaces).split(b".")
        if len(parts[part]) % 4:
            last = alphabet[alphabet.index(parts[part][-1:]) + 1]
            parts[part] = parts[part][:-1] + bytes([last])
            return b".".join(parts)
    raise AssertionError("no spare bits")


def texts(forge, add):
    for part in ("header", "payload"):
        usual = (forge.header() if part == "header" else forge.claims()).encode()

        def token(data):
            return forge.token(data, None) if part == "header" else forge.token(None, data)

        def member(text):
            return token(usual[:-1] + b"," + text + b"}")

        for name, data in [
            ("a byte order mark", b"\xef\xbb\xbf" + usual), ("UTF-16", usual.decode().encode("utf-16-le")),
            ("no object but an array", b"[" + usual + b"]"), ("a string", b'"x"'), ("null", b"null"), ("nothing", b" "),
            ("another object behind", usual + usual), ("a comma behind", usual + b","), ("NUL behind", usual + b"\0"),
            ("a trailing comma", usual[:-1] + b",}"), ("a comment", usual[:-1] + b"/**/}"),
            ("single quotes", usual.replace(b'"', b"'")), ("no closing brace", usual[:-1]),
        ]:
            add(f"{part}: {name}", "malformed", token(data))
        for name, text in [
            ("UTF-8 that ends early", b'"x":"\xc3"'), ("an overlong slash", b'"x":"\xc0\xaf"'),
            ("a surrogate in UTF-8", b'"x":"\xed\xa0\x80"'), ("above U+10FFFF", b'"x":"\xf4\x90\x80\x80"'),
            ("a lone high surrogate", rb'"x":"\ud800"'), ("a lone low surrogate", rb'"x":"\udc00"'),
            ("surrogates the wrong way round", rb'"x":"\udc00\ud800"'), ("a raw NUL", b'"x":"a\0b"'),
            ("a raw line feed", b'"x":"a\nb"'), ("a raw tab", b'"x":"\t"'), ("an unknown escape", rb'"x":"\q"'),
            ("a short escape", rb'"x":"\u00g0"'), ("a leading zero", b'"x":01'), ("a bare dot", b'"x":1.'),
            ("a plus", b'"x":+1'), ("hexadecimal", b'"x":0x1'), ("NaN", b'"x":NaN'), ("Infinity", b'"x":-Infinity'),
            ("True", b'"x":True'), ("a name without quotes", b"x:1"), ("a name twice", b'"x":1,"x":1'),
            ("a name twice once unescaped", rb'"x":1,"\u0078":1'), ("a name twice, deep", b'"x":{"y":[{"z":1,"z":1}]}'),
            ("17 levels", b'"x":' + b"[" * 16 + b"]" * 16), ("17 levels of objects", b'"x":' + b'{"a":' * 16 + b"1" + b"}" * 16),
            ("65 members", b'"x":{' + b",".join(b'"%d":0' % n for n in range(65)) + b"}"),
        ]:
            add(f"{part}: {name}", "malformed", member(text))
    add("payload: 2900 levels", "malformed", forge.token(None, forge.claims('"x":' + "[" * 2900)))
    twin = {"exp": str(forge.now + 9999), "aud": json.dumps(AUD), "iss": json.dumps(forge.team.issuer),
            "email": '"root@example.com"'}
    for name, value in twin.items():
        add(f"payload: {name} twice", "malformed", forge.token(None, forge.claims(f'"{name}":{value}')))
        add(f"payload: {name} twice, once escaped", "malformed",
            forge.token(None, forge.claims(f'"\\u{ord(name[0]):04x}{name[1:]}":{value}')))
    for name in ("alg", "kid"):
        add(f"header: {name} twice, once escaped", "malformed",
            forge.token(forge.header(f'"\\u{ord(name[0]):04x}{name[1:]}":"none"')))


def headers(forge, add):
    for alg in ['"none"', '"None"', '"NONE"', '"nOnE"', '""', "null", "0", "[]", '["RS256"]', "{}", "true", '"rs256"',
                '"RS256 "', '" RS256"', '"RS256\\u0000"', '"RS384"', '"RS512"', '"RS1"', '"PS256"', '"ES256"', '"ES256K"',
                '"EdDSA"', '"Ed25519"', '"HS256"', '"HS384"', '"HS512"', '"RSA-OAEP"', '"dir"', '"A128KW"']:
        add(f"alg {alg}", "algorithm", forge.token(forge.header(alg=alg)))
    add("alg missing", "algorithm", forge.token(forge.header(alg=None)))
    nothing = forge.token(forge.header(alg='"none"')).rsplit(b".", 1)[0] + b"."
    add("alg none, no signature", "malformed", nothing)
    add("HS256 with the public key in PEM as the secret", "algorithm", forge.team.mint_hmac())
    import hashlib
    import hmac
    for name, secret in [("n", forge.key.n), ("base64url of n", base64url(forge.key.n).encode()), ("nothing", b"")]:
        add(f"HS256 with {name} as the secret", "algorithm",
            forge.token(forge.header(alg='"HS256"'), sign=lambda data, s=secret: hmac.new(s, data, hashlib.sha256).digest()))
    for member in ['"jwk":{"kty":"RSA"}', '"jwk":null', '"jku":"https://evil.example/keys"', '"jku":null',
                   '"x5u":"https://evil.example/cert"', '"crit":[]', '"crit":["exp"]', '"crit":["b64"],"b64":false',
                   '"crit":["alg"]', '"crit":"exp"', '"crit":null', '"crit":{}', '"b64":false', '"b64":true',
                   '"zip":"DEF"', '"zip":null', '"enc":"A128GCM"', '"cty":"JWT"', '"cty":"jwt"',
                   '"cty":"application/jwt"', '"cty":1', '"\\u0063rit":["exp"]', '"j\\u0077k":{}']:
        add(f"header member {member}", "malformed", forge.token(forge.header(member)))
    stranger = Key()
    own = json.dumps({"kty": "RSA", "n": base64url(stranger.n), "e": "AQAB", "kid": forge.key.kid})
    add("its own key as jwk", "malformed", forge.token(forge.header(f'"jwk":{own}'), sign=stranger.sign))
    for kid in ['"../../../dev/null"', "\"' OR '1'='1\"", '"a\\u0000b"', '"a\\nInjected: line"', '""', '"*"', '"k; rm -rf /"',
                json.dumps(forge.key.kid.upper() + "x"), json.dumps(forge.key.kid[:-1]), json.dumps(forge.key.kid + " "),
                json.dumps(forge.key.kid + "\0"), json.dumps("x" * 256)]:
        add(f"kid {kid}", "key_unknown", forge.token(forge.header(kid=kid)))
    for kid in ["null", "1", "true", "[]", "{}", json.dumps([forge.key.kid]), json.dumps("x" * 257)]:
        add(f"kid {str(kid)[:30]} of {len(str(kid))} characters", "malformed", forge.token(forge.header(kid=kid)))
    add("kid of 10,000 bytes", "too_large", forge.token(forge.header(kid=json.dumps("x" * 10_000))))
    for typ in ['"at+jwt"', '"JOSE"', '"JWT "', '""', "null", "1", '["JWT"]', '"application/at+jwt"', '"dpop+jwt"',
                '"text/jwt"', '"application/"', '"application/application/jwt"', '"J\\u212aT"']:
        add(f"typ {typ}", "token_type", forge.token(forge.header(typ=typ)))


def signatures(forge, add):
    good = forge.token()
    signed, _, encoded = good.rpartition(b".")
    real = forge.key.sign(signed)
    size = len(real)
    number = int.from_bytes(real, "big")
    modulus = int.from_bytes(forge.key.n, "big")
    private = forge.key.private

    def with_signature(data):
        return signed + b"." + base64url(data).encode()

    for name, data in [
        ("of zeros", b"\0" * size), ("of ones", b"\xff" * size), ("1", (1).to_bytes(size, "big")),
        ("n - 1", (modulus - 1).to_bytes(size, "big")), ("n", modulus.to_bytes(size, "big")),
        ("one bit changed at the start", bytes([real[0] ^ 1]) + real[1:]),
        ("one bit changed in the middle", real[:100] + bytes([real[100] ^ 16]) + real[101:]),
        ("one bit changed at the end", real[:-1] + bytes([real[-1] ^ 1])), ("reversed", real[::-1]),
        ("n - s", (modulus - number).to_bytes(size, "big")),
        ("of another token", forge.key.sign(b"other")),
        ("by SHA-512", private.sign(signed, padding.PKCS1v15(), hashes.SHA512())),
        ("by SHA-1", private.sign(signed, padding.PKCS1v15(), hashes.SHA1())),
        ("over the digest", private.sign(digest(signed), padding.PKCS1v15(), hashes.SHA256())),
        ("by PSS", private.sign(signed, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())),
        ("over the payload alone", forge.key.sign(signed.split(b".")[1])),
        ("with a dot more", forge.key.sign(signed + b".")),
    ]:
        add(f"signature {name}", "signature", with_signature(data))
    for name, data in [
        ("with a zero in front", b"\0" + real), ("with a zero behind", real + b"\0"), ("a byte short", real[:-1]),
        ("without its first byte", real[1:]), ("of one byte", real[:1]), ("twice", real + real),
        ("of 1000 bytes", real * 3 + b"\0" * 232), ("s + n", (number + modulus).to_bytes(size + 1, "big")),
        ("as a DER sequence", utils.encode_dss_signature(number, number)),
    ]:
        add(f"signature {name}", "signature", with_signature(data))
    parts = good.split(b".")
    other = forge.token(None, forge.claims(email='"eve@example.com"')).split(b".")
    add("another payload", "signature", b".".join([parts[0], other[1], parts[2]]))
    add("another header", "signature", b".".join([base64url(forge.header('"x":1').encode()).encode(), *parts[1:]]))
    stranger = Key()
    add("a stranger's key under a known kid", "signature", forge.token(sign=stranger.sign))
    add("a stranger's key under its own kid", "key_unknown",
        forge.token(forge.header(kid=json.dumps(stranger.kid)), sign=stranger.sign))


def other_algorithms(key_of, issuer, now):
    """Attacks on keys of other algorithms. `key_of` maps names of algorithms to private keys, whose kid is the name; rows
    are made for an issuer that signs with all of them. The claims are good in every row, and so are those of the good
    tokens, one a key, that come second."""
    claims = json.dumps({
        "aud": [AUD], "email": "ada@example.com", "exp": now + 600, "iat": now, "iss": issuer, "type": "app"}).encode()
    rows, good = [], []

    def signed(alg, kid):
        return b".".join(base64url(part).encode() for part in (json.dumps({"alg": alg, "kid": kid}).encode(), claims))

    def token(alg, kid, signature):
        return signed(alg, kid) + b"." + base64url(signature).encode()

    def add(name, reason, data):
        rows.append(Attack(name, reason, data))

    hash_of = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
    for alg, private in key_of.items():
        text, made = signed(alg, alg), None
        if alg.startswith("ES"):
            size, digest_of = {"ES256": 32, "ES384": 48, "ES512": 66}[alg], hash_of[alg[2:]]
            der = private.sign(text, ec.ECDSA(digest_of))
            r, s = utils.decode_dss_signature(der)
            n = {"ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
                 "ES384": int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16),
                 "ES512": int("01" + "F" * 65 + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16),
                 }[alg]

            def raw(r, s, size=size):
                return r.to_bytes(size, "big") + s.to_bytes(size, "big")

            made = raw(r, s)
            for name, data in [
                ("in DER", der), ("r = 0", raw(0, s)), ("s = 0", raw(r, 0)), ("both 0", raw(0, 0)), ("both n", raw(n, n)),
                ("r = n", raw(n, s)), ("s = n", raw(r, n)), ("both 1", raw(1, 1)), ("r and s swapped", raw(s, r)),
                ("a byte short", made[:-1]), ("a byte longer", made + b"\0"), ("zeros in front of both", b"\0" + made[:size] + b"\0" + made[size:]),
                ("of ones", b"\xff" * (2 * size)), ("of another message", raw(*utils.decode_dss_signature(private.sign(b"x", ec.ECDSA(digest_of))))),
            ]:
                add(f"{alg}: {name}", "signature", token(alg, alg, data))
            # The other root is as good: one signature has two forms, and so the cache is keyed by the token.
            good.append(token(alg, alg, raw(r, n - s)))
        elif alg.startswith("PS"):
            bits = alg[2:]
            own = hash_of[bits]

            def pss(mgf=own, salt=own.digest_size, over=own):
                return private.sign(text, padding.PSS(padding.MGF1(mgf), salt), over)

            made = pss()
            other = hash_of["512" if bits == "256" else "256"]
            for name, data in [
                ("no salt", pss(salt=0)), ("a salt of 20", pss(salt=20)), ("the longest salt", pss(salt=padding.PSS.MAX_LENGTH)),
                ("MGF1 with SHA-1", pss(mgf=hashes.SHA1())), ("MGF1 with another hash", pss(mgf=other)),
                ("another hash", pss(mgf=other, salt=other.digest_size, over=other)),
                ("PKCS #1 v1.5", private.sign(text, padding.PKCS1v15(), own)), ("zeros", b"\0" * len(made)),
            ]:
                add(f"{alg}: {name}", "signature", token(alg, alg, data))
        elif alg == "RS256":
            made = private.sign(text, padding.PKCS1v15(), hashes.SHA256())
        else:  # Edwards: the kid says which
            text = signed("EdDSA", alg)
            made = private.sign(text)
            half = len(made) // 2
            order = {"Ed25519": 2**252 + 27742317777372353535851937790883648493,
                     "Ed448": 2**446 - 13818066809895115352007386748515426880336692474882178609894547503885}[alg]
            scalar = int.from_bytes(made[half:], "little")
            for name, data in [
                ("s + L", made[:half] + (scalar + order).to_bytes(half, "little")), ("s = 0", made[:half] + b"\0" * half),
                ("R = 0", b"\0" * half + made[half:]), ("all zeros", b"\0" * len(made)), ("a byte short", made[:-1]),
                ("a byte longer", made + b"\0"), ("halves swapped", made[half:] + made[:half]),
                ("of another message", private.sign(b"x")), ("the identity and zero", b"\1" + b"\0" * (len(made) - 1)),
            ]:
                add(f"{alg}: {name}", "signature", token("EdDSA", alg, data))
        name = "EdDSA" if alg.startswith("Ed") else alg
        good.append(token(name, alg, made))
        # The token may not choose: every other name of the issuer's list is refused before the signature.
        for other_name in {"RS256", "PS256", "PS384", "ES256", "ES384", "ES512", "EdDSA"} - {name}:
            add(f"{other_name} under the key of {alg}", "algorithm", token(other_name, alg, made))
        add(f"HS256 under the key of {alg}", "algorithm", token("HS256", alg, made))
        add(f"none under the key of {alg}", "algorithm", token("none", alg, made))
    return rows, good


def digest(data):
    import hashlib
    return hashlib.sha256(data).digest()


def claims(forge, add):
    now, issuer = forge.now, forge.team.issuer

    def with_claim(name, value):
        return forge.token(None, forge.claims(**{name: value}))

    unusable = [None, "0", "-0", "-1", "-1.7e9", "0.0", '"2000000000"', "true", "false", "null", "[2000000000]", "{}", "1e400",
                "-1e400", "9007199254740992", "9223372036854775807", "9223372036854775808", "18446744073709551616",
                "1e19", "1e-400", "1" + "0" * 5000, "9" * 5000, "1e999999999999999999999"]
    for claim, reason in [("exp", "expired"), ("iat", "issued_in_future"), ("nbf", "not_yet_valid")]:
        for value in unusable:
            if claim == "nbf" and value is None:
                continue
            add(f"{claim} {str(value)[:22]} of {len(str(value))} characters", reason, with_claim(claim, value))
    # Over HTTP the clock goes on, so the edges themselves are for the tests with a clock of their own.
    for name, value in [("an hour ago", now - 3600), ("40 seconds ago", now - 40), ("in milliseconds of 1970", 1700000)]:
        add(f"exp {name}", "expired", with_claim("exp", str(value)))
    add("exp a fraction too early", "expired", with_claim("exp", f"{now - 40}.5"))
    for claim, reason in [("nbf", "not_yet_valid"), ("iat", "issued_in_future")]:
        add(f"{claim} in two minutes", reason, with_claim(claim, str(now + 120)))
        add(f"{claim} in milliseconds", reason, with_claim(claim, str(now * 1000)))
        add(f"{claim} 2^53 - 1", reason, with_claim(claim, "9007199254740991"))
    for value in [None, '""', "[]", "[[]]", json.dumps([[AUD]]), json.dumps([AUD, 1]), json.dumps([1, AUD]),
                  json.dumps([AUD, None]), json.dumps([AUD, {}]), json.dumps([AUD, [AUD]]), json.dumps({"aud": AUD}), "1",
                  "null", "true", json.dumps(AUD[:-1]), json.dumps(AUD + "0"), json.dumps(AUD[:32]), json.dumps(AUD.upper()),
                  json.dumps(AUD + "/"), json.dumps("x," + AUD), json.dumps(AUD + "," + OTHER_AUD), json.dumps(AUD + " "),
                  json.dumps(AUD + "\0"), json.dumps("*"), json.dumps([OTHER_AUD]), json.dumps(OTHER_AUD), '[""]']:
        add(f"aud {value}", "audience", with_claim("aud", value))
    host = issuer.split("//")[1]
    for value in [None, json.dumps(issuer + "/"), json.dumps(issuer.upper()), json.dumps("https://" + host),
                  json.dumps("http://x." + host), json.dumps([issuer]), json.dumps({"iss": issuer}), "null", "1", '""',
                  json.dumps(issuer + " "), json.dumps(issuer + "\0"), json.dumps(issuer[:-1]), json.dumps(host),
                  json.dumps(issuer + "@evil.example"), json.dumps("http://evil.example#" + issuer)]:
        add(f"iss {value}".replace(host, "HOST"), "issuer", with_claim("iss", value))
    for value in ['"org"', '"App"', '"app "', '""', "null", "1", '["app"]', "true"]:
        add(f"type {value}", "token_type", with_claim("type", value))
    for value in [None, '""', '"ada"', '"@example.com"', '"ada@"', '"@"', '"a@b@c"', '"ada@example.com@evil.example"',
                  '"ada @example.com"', '"ada@exam ple.com"', '"ada@example.com "', '"ada@example.com\\r\\nX-Auth-User: root"',
                  '"ada@example.com\\u0000"', '"ada\\u007f@example.com"', '"\\tada@example.com"', "null", "1", "true",
                  '["ada@example.com"]', json.dumps("a" * 243 + "@example.com")]:
        add(f"email {value}", "identity", with_claim("email", value))
    for value in ["null", "1", "[]", "{}"]:
        add(f"sub {value}", "identity", with_claim("sub", value))
    add("a service token where users are asked for", "identity",
        forge.token(None, forge.claims(email=None, sub='""', common_name='"e3.access"')))
