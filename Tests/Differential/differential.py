"""Puts generated tokens, good and spoiled, to two judges: the gateway's rooms (Tests/RoomJudge) and the rules as they are
written down here, with Python's JSON and PyJWT's signatures. Every difference in verdict or reason is printed, and ends
the run with 1. Started by scripts/differential; nothing of the gateway's code is used here but the program it asks."""

import argparse
import base64
import collections
import json
import random
import re
import subprocess
import sys
import tempfile
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

ISSUER = "https://keys.example"
AUDIENCE = "4f" * 32
NOW = 1_800_000_000
LEEWAY = 30
SIGNERS = get_default_algorithms()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


# The second judge


class Malformed(Exception):
    pass


Number = collections.namedtuple("Number", "text")


def strict_base64url(text):
    """The only bytes that have exactly this spelling."""
    if not re.fullmatch(rb"[A-Za-z0-9_-]+", text) or len(text) % 4 == 1:
        raise Malformed
    data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if base64url(data) != text:
        raise Malformed
    return data


def strict_json(data):
    """An object, as a dict; numbers stay text."""
    def pairs(members):
        names = [name for name, _ in members]
        if len(set(names)) != len(names) or len(names) > 64:
            raise Malformed
        return dict(members)

    def refuse(_):
        raise Malformed

    try:
        value = json.loads(
            data.decode("utf-8", "strict"), object_pairs_hook=pairs, parse_int=Number, parse_float=Number,
            parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Malformed from None
    if not isinstance(value, dict):
        raise Malformed
    inspect(value, 1)
    return value


def inspect(value, level):
    """Refuses what is too deep, and half characters."""
    if isinstance(value, (dict, list)) and level > 16:
        raise Malformed
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise Malformed
    if isinstance(value, dict):
        for name, member in value.items():
            inspect(name, level)
            inspect(member, level + 1)
    if isinstance(value, list):
        for element in value:
            inspect(element, level + 1)


def seconds(value):
    """A time claim, or None."""
    if not isinstance(value, Number):
        return None
    number = float(value.text)
    return number if 0 < number < 2**53 else None


def is_address(value):
    if not isinstance(value, str) or len(value.encode()) > 254 or value.count("@") != 1:
        return False
    local, domain = value.split("@")
    return bool(local and domain) and not any(ord(character) <= 0x20 or character == "\x7f" for character in value)


def identity(claims):
    """`user`, `service` or None."""
    if "sub" in claims and not isinstance(claims["sub"], str):
        return None
    if "email" in claims:
        return "user" if is_address(claims["email"]) else None
    name = claims.get("common_name")
    if claims.get("sub", "") == "" and isinstance(name, str) and 1 <= len(name.encode()) <= 254:
        return "service"
    return None


def verdict(token, keys, algorithms, require):
    if len(token) > 8192:
        return "too_large"
    parts = token.split(b".")
    if len(parts) < 3 or not all([parts[0], b".".join(parts[1:-1]), parts[-1]]):
        return "malformed"
    if len(parts[0]) > 1024:
        return "too_large"
    try:
        if len(parts) != 3:
            raise Malformed
        header_bytes, payload_bytes, signature = map(strict_base64url, parts)
        header = strict_json(header_bytes)
        claims = strict_json(payload_bytes)
        if {"crit", "b64", "zip", "enc", "jwk", "jku", "x5u"} & header.keys():
            raise Malformed
        if "cty" in header and (
                not isinstance(header["cty"], str) or ascii_lower(header["cty"]) in ("jwt", "application/jwt")):
            raise Malformed
        if "kid" in header and (not isinstance(header["kid"], str) or len(header["kid"].encode()) > 256):
            raise Malformed
    except Malformed:
        return "malformed"
    if "typ" in header and (
            not isinstance(header["typ"], str) or ascii_lower(header["typ"]) not in ("jwt", "application/jwt")):
        return "token_type"
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in algorithms:
        return "algorithm"
    if claims.get("iss") != ISSUER:
        return "issuer"
    audiences = claims.get("aud")
    audiences = [audiences] if isinstance(audiences, str) else audiences
    if not isinstance(audiences, list) or not all(isinstance(a, str) for a in audiences) or AUDIENCE not in audiences:
        return "audience"
    expires, begins, issued = (seconds(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if expires is None or NOW >= expires + LEEWAY:
        return "expired"
    if "nbf" in claims and (begins is None or begins > NOW + LEEWAY):
        return "not_yet_valid"
    if issued is None or issued > NOW + LEEWAY:
        return "issued_in_future"
    if claims.get("type", "app") != "app":
        return "token_type"
    kind = identity(claims)
    if kind is None or require not in ("any", {"user": "identity", "service": "service"}[kind]):
        return "identity"
    if "kid" in header:
        key = keys.get(header["kid"])
        if key is None:
            return "key_unknown"
    else:
        # This issuer is not Cloudflare: the only key for that alg is meant.
        fitting = [key for key in keys.values() if key.alg == alg]
        if len(fitting) != 1:
            return "malformed"
        key = fitting[0]
    if key.alg != alg:
        return "algorithm"
    signed = token.rpartition(b".")[0]
    try:
        return "allowed" if SIGNERS[alg].verify(signed, key.public, signature) else "signature"
    except Exception:  # whatever a library throws at a signature, it is not good
        return "signature"


def ascii_lower(text):
    return "".join(chr(ord(c) | 0x20) if "A" <= c <= "Z" else c for c in text)


# Keys and tokens


class Key:
    def __init__(self, alg, kid, private, maker):
        self.alg, self.kid, self.private = alg, kid, private
        self.public = private.public_key()
        self.jwk = {**maker.to_jwk(self.public, as_dict=True), "kid": kid, "alg": alg, "use": "sig"}
        self.jwk.pop("key_ops", None)

    def sign(self, data):
        return SIGNERS[self.alg].sign(data, self.private)


def make_keys():
    def new_rsa(bits=2048):
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)

    return [
        Key("RS256", "rs256", new_rsa(), RSAAlgorithm), Key("RS256", "another", new_rsa(), RSAAlgorithm),
        Key("RS512", "rs512", new_rsa(3072), RSAAlgorithm), Key("PS256", "ps256", new_rsa(), RSAAlgorithm),
        Key("PS384", "ps384", new_rsa(), RSAAlgorithm),
        Key("ES256", "es256", ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
        Key("ES384", "es384", ec.generate_private_key(ec.SECP384R1()), ECAlgorithm),
        Key("ES512", "es512", ec.generate_private_key(ec.SECP521R1()), ECAlgorithm),
        Key("EdDSA", "ed25519", ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
        Key("EdDSA", "ed448", ed448.Ed448PrivateKey.generate(), OKPAlgorithm),
    ]


class Generator:
    """Tokens by a seeded source of chance. `fast` keys sign most of them, because RSA is slow to sign."""

    def __init__(self, keys, seed):
        self.random = random.Random(seed)
        self.keys = keys
        self.fast = [key for key in keys if key.kid in ("es256", "ed25519")]
        self.pool = []

    def one(self):
        kind = self.random.choices(
            ["good", "claims", "header", "text", "bytes", "signature", "parts"], [10, 25, 15, 25, 15, 7, 3])[0]
        return getattr(self, kind)()

    def key(self):
        return self.random.choice(self.keys if self.random.random() < 0.05 else self.fast)

    def token(self, header, claims, key):
        signed = base64url(header) + b"." + base64url(claims)
        return signed + b"." + base64url(key.sign(signed))

    def members(self, changes, usual):
        return b"{" + b",".join(
            [b'"%s":%s' % (n.encode(), v) for n, v in {**usual, **changes}.items() if v is not None]) + b"}"

    def header_of(self, key, **changes):
        return self.members(changes, {"alg": b'"%s"' % key.alg.encode(), "kid": b'"%s"' % key.kid.encode(), "typ": b'"JWT"'})

    def claims_of(self, **changes):
        usual = {
            "aud": b'["%s"]' % AUDIENCE.encode(), "exp": b"%d" % (NOW + 600), "iat": b"%d" % NOW, "nbf": b"%d" % NOW,
            "iss": b'"%s"' % ISSUER.encode(), "type": b'"app"'}
        if self.random.random() < 0.2:
            usual |= {"common_name": b'"e3.access"', "sub": b'""'}
        else:
            usual |= {"email": b'"ada@example.com"', "sub": b'"7335d417"'}
        return self.members(changes, usual)

    def good(self):
        key = self.key()
        token = self.token(self.header_of(key), self.claims_of(), key)
        self.pool = [*self.pool[-200:], token]
        return token

    TIMES = [b"%d" % (NOW + d) for d in (-3600, -31, -30, -29, -1, 0, 1, 29, 30, 31, 3600)] + [
        b"0", b"-0", b"-1", b"1", b"0.5", b"1e400", b"1E9", b"1.8e9", b"1.80000000e+9", b"18000000000e-1", b"9007199254740991",
        b"9007199254740992", b"9223372036854775808", b"1e-400", b"null", b"true", b'"1800000000"', b"[1]", b"{}",
        b"%d.5" % (NOW - 30), b"%d.5" % (NOW + 30), b"1" + b"0" * 400, b"01", b"1.", b".5", b"1e", b"+1", b"NaN"]
    TEXTS = [b'""', b"null", b"1", b"[]", b"{}", b"true", b'"x"', rb'"\u0061pp"', b'"app"', b'"org"', b'"App"', b'"a@b"',
             b'"a@b@c"', b'"@b"', b'"a@"', b'"a b@c"', rb'"a\u0000@c"', '"ä@ö.example"'.encode(), rb'"a\ud83d\ude00@b"',
             rb'"\ud800"', b'"\xff"', b'"\xc0\xaf"', b'"' + b"a" * 252 + b'@b"', b'"' + b"a" * 253 + b'@b"',
             b'"' + "é".encode() * 127 + b'"', b'"' + "é".encode() * 128 + b'"']

    def audiences(self):
        own = b'"%s"' % AUDIENCE.encode()
        return [own, b"[%s]" % own, b'["x",%s]' % own, b"[%s,1]" % own, b"[%s,null]" % own, b"[[%s]]" % own, b"[]", b'["x"]',
                b'"%s/"' % AUDIENCE.encode(), b'"\\u0034f%s"' % AUDIENCE[2:].encode(), b"[%s,%s]" % (own, own), b'{"a":%s}' % own]

    def claims(self):
        changes = {}
        for _ in range(self.random.choice([1, 1, 1, 2])):
            name = self.random.choice(
                ["exp", "iat", "nbf", "aud", "iss", "type", "email", "sub", "common_name", "x"])
            if self.random.random() < 0.1:
                changes[name] = None
            elif name in ("exp", "iat", "nbf"):
                changes[name] = self.random.choice(self.TIMES)
            elif name == "aud":
                changes[name] = self.random.choice(self.audiences())
            elif name == "iss":
                text = self.random.choice([ISSUER, ISSUER + "/", ISSUER.upper(), "https:\\/\\/keys.example", ""])
                changes[name] = b'"%s"' % text.encode()
            elif name == "x":
                changes[name] = self.value(0)
            else:
                changes[name] = self.random.choice(self.TEXTS)
        key = self.key()
        return self.token(self.header_of(key), self.claims_of(**changes), key)

    def value(self, depth):
        """A random JSON value, sometimes too deep, too wide, too many, or with a name twice."""
        choice = self.random.random()
        if choice < 0.05:
            levels = self.random.choice([13, 14, 15, 16, 17, 200])
            return b"[" * levels + b"]" * levels
        if choice < 0.1:
            count = self.random.choice([63, 64, 65])
            return b"{" + b",".join(b'"%d":0' % number for number in range(count)) + b"}"
        if choice < 0.15:
            return b"[" + b",".join(b"0" for _ in range(self.random.randrange(470, 520))) + b"]"
        if choice < 0.5 or depth > 3:
            return self.random.choice(self.TIMES + self.TEXTS)
        if choice < 0.75:
            return b"[" + b", ".join(self.value(depth + 1) for _ in range(self.random.randrange(4))) + b"]"
        names = [b'"a"', rb'"\u0061"', b'"b"', b'"c"', b'""', rb'"\u0000"', b'"A"']
        return b"{" + b" ,".join(
            self.random.choice(names) + b" : " + self.value(depth + 1) for _ in range(self.random.randrange(4))) + b"}"

    def header(self):
        key = self.key()
        name = self.random.choice(["alg", "kid", "typ", "crit", "cty", "jwk", "b64", "x5c", "enc", "x"])
        value = self.random.choice({
            "alg": [b'"%s"' % a.encode() for a in
                    ["none", "HS256", "rs256", "RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "", "ES256 "]]
                   + [b"null", b"1", b"[]", rb'"\u0045S256"', None],
            "kid": [b'"%s"' % k.kid.encode() for k in self.keys]
                   + [b'"x"', b'""', b"null", b"1", None, b'"' + b"k" * 256 + b'"', b'"' + b"k" * 257 + b'"', rb'"es\u0032\u0035\u0036"'],
            "typ": [b'"jwt"', b'"Application/Jwt"', b'"application/at+jwt"', rb'"application\/JWT"', b'"JWT "', b"null", b"1", None, b'"at+jwt"', rb'"\u004aWT"'],
            "cty": [b'"JWT"', b'"jwt"', b'"application/JWT"', b'"json"', b"1", "\"\u212aWT\"".encode(), b'"\xc3\x8aWT"'],
            "x": [b'"' + b"x" * self.random.randrange(900) + b'"', b" 1 ", b'"\\n"'],
        }.get(name, [b"[]", b"null", b'"x"', b"{}", b"false", b'["exp"]']))
        return self.token(self.header_of(key, **{name: value}), self.claims_of(), key)

    def text(self):
        """A byte of the JSON changed, put in, taken out or doubled, and signed by the right key."""
        key = self.key()
        header, claims = self.header_of(key), self.claims_of(x=self.value(0))
        if self.random.random() < 0.3:
            header = self.spoil(header)
        else:
            claims = self.spoil(claims)
        return self.token(header, claims, key)

    def spoil(self, data):
        at = self.random.randrange(len(data))
        byte = self.random.choice(b'{}[],:"\\ \t\n\r0123456789.eE+-ntfu/\0\x1f\x7f\x80\xbf\xc3\xe2\xed\xf0\xff' + bytes([self.random.randrange(256)]))
        how = self.random.randrange(5)
        if how == 0:
            return data[:at] + bytes([byte]) + data[at + 1:]
        if how == 1:
            return data[:at] + bytes([byte]) + data[at:]
        if how == 2:
            return data[:at] + data[at + 1:]
        if how == 3:
            end = at + self.random.randrange(1, 12)
            return data[:end] + data[at:end] + data[end:]
        return data[:at] if self.random.random() < 0.5 else data + bytes([byte])

    def bytes(self):
        token = self.random.choice(self.pool) if self.pool else self.good()
        for _ in range(self.random.choice([1, 1, 1, 2, 5])):
            token = self.spoil(token) or b"."
        return token

    def signature(self):
        key = self.key()
        signed, _, signature = self.token(self.header_of(key), self.claims_of(), key).rpartition(b".")
        real = base64.urlsafe_b64decode(signature + b"==")
        half = len(real) // 2
        other = self.random.choice(self.fast)
        return signed + b"." + base64url(self.random.choice([
            b"\0" * len(real), real[:-1], real + b"\0", b"\0" + real, real[half:] + real[:half], real[::-1], b"\xff" * len(real),
            other.sign(signed), key.sign(signed + b"x"), bytes([real[0] ^ 1]) + real[1:], real[:half] + b"\0" * half,
            b"\x30\x06\x02\x01\x01\x02\x01\x01"]))

    def parts(self):
        token = self.random.choice(self.pool) if self.pool else self.good()
        head, body, signature = (token.split(b".") + [b"", b"", b""])[:3]
        return self.random.choice([
            b"", b".", b"..", head, head + b"." + body, token + b".", b"." + token, token + b"." + signature, token + b"=",
            head + b".." + signature, b"A" * self.random.choice([8191, 8192, 8193]), token + b"A" * (8192 - len(token)),
            b"A" * 1024 + b"." + body + b"." + signature, b"A" * 1025 + b"." + body + b"." + signature, b"." * 9000,
            token + b" ", b" " + token, token.replace(b".", b","), token + token, body + b"." + head + b"." + signature])


def mutations(token):
    """Every single-byte change and every truncation."""
    for at in range(len(token)):
        yield token[:at]
        for byte in range(256):
            if byte != token[at]:
                yield token[:at] + bytes([byte]) + token[at + 1:]


def ask(room, keys, algorithms, tokens):
    """The room's verdicts."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"keys": [key.jwk for key in keys]}, file)
        file.flush()
        done = subprocess.run(
            [room, ISSUER, file.name, "any", ",".join(algorithms)], capture_output=True, text=True, check=True,
            input="".join(f"{NOW} {AUDIENCE} {token.hex() or '-'}\n" for token in tokens))
    first, *verdicts = done.stdout.splitlines()
    assert first == "ready", first
    assert len(verdicts) == len(tokens), "a verdict for each token"
    return verdicts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("room")
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 2**32
    keys = make_keys()
    algorithms = sorted({key.alg for key in keys})
    started = time.monotonic()
    generator = Generator(keys, seed)
    tokens = [generator.one() for _ in range(options.tokens)]
    token = generator.token(generator.header_of(keys[0]), generator.claims_of(), keys[0])
    mutated = list(mutations(token))
    rooms = ask(options.room, keys, algorithms, [*tokens, token, *mutated])
    mutated_rooms = rooms[len(tokens) + 1:]
    assert rooms[len(tokens)] == "allowed"
    known = {key.kid: key for key in keys}
    tally, differences = collections.Counter(), 0
    for token, room in zip([*tokens, token, *mutated], rooms):
        own = verdict(token, known, algorithms, "any")
        tally[own] += 1
        if own != room:
            differences += 1
            if differences <= 20:
                print(f"DIFFERENT: the room says {room}, the second judge {own}: {token.decode('latin-1')!r}")
        if room == "allowed":
            # PyJWT by itself, with its own idea of a token, must take it, too.
            header = jwt.get_unverified_header(token)
            key = known[header["kid"]] if "kid" in header else next(k for k in keys if k.alg == header["alg"])
            jwt.decode(
                token, key.public, algorithms=[key.alg], audience=AUDIENCE, issuer=ISSUER,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_sub": False})
    print(f"seed {seed}: {len(tokens)} generated tokens, {differences} differences, {time.monotonic() - started:.0f} s")
    print(", ".join(f"{name} {count}" for name, count in tally.most_common()))
    reasons = {"allowed", "malformed", "too_large", "algorithm", "key_unknown", "signature", "issuer", "audience", "expired",
               "not_yet_valid", "issued_in_future", "token_type", "identity"}
    print(f"mutations of one good token (each byte changed to each other, each truncation): {len(mutated)}")
    if "allowed" in mutated_rooms:
        print("a mutation is allowed")
        return 1
    missing = reasons - tally.keys()
    if missing and len(tokens) >= 5000:
        print(f"no token came to: {', '.join(sorted(missing))}")
        return 1
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
