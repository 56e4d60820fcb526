"""A team of our own making: keys and tokens by PyJWT and cryptography, an implementation that is not the gateway's, and
a key server on loopback that can be told to misbehave. Nothing here starts the gateway."""

import base64
import datetime
import hashlib
import hmac
import http.server
import ipaddress
import json
import ssl
import threading
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

AUD = "4f" * 32
OTHER_AUD = "0d" * 32
EMAIL = "ada@example.com"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """An RSA key pair with a key id."""

    def __init__(self, kid=None, bits=2048):
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        numbers = self.private.public_key().public_numbers()
        self.n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        self.kid = kid or hashlib.sha256(self.n).hexdigest()

    @property
    def jwk(self):
        return {
            "kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig", "e": "AQAB", "n": base64url(self.n)}

    @property
    def public_pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, data):
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


class Team:
    """Keys, and a server for them. `issuer` is its URL; `trouble`, when set, answers instead of the key set."""

    def __init__(self, tls=None, keys=None):
        self.keys = list(keys or [Key()])
        self.fetches = 0
        self.trouble = None
        team = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                team.fetches += 1
                if team.trouble is not None:
                    team.trouble(self)
                    return
                self.answer(200, json.dumps({"keys": [key.jwk for key in team.keys]}).encode())

            def answer(self, status, body=b"", *fields):
                self.send_response(status)
                for name, value in fields:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that refuses our certificate is what some tests want

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        if tls is None:
            self.issuer = f"http://127.0.0.1:{self.port}"
        else:
            tls.sni_callback = None
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            self.issuer = f"https://localhost:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def key(self):
        return self.keys[-1]

    def claims(self, **changes):
        """A user's claims as Access makes them; a change to None drops the claim."""
        now = int(time.time())
        claims = {
            "aud": [AUD], "email": EMAIL, "exp": now + 600, "iat": now - 5, "nbf": now - 5, "iss": self.issuer,
            "type": "app", "identity_nonce": "6ei69kawdKzMIAPF", "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
            "country": "NL"}
        claims.update(changes)
        return {name: value for name, value in claims.items() if value is not None}

    def service_claims(self, **changes):
        return self.claims(
            **{"email": None, "nbf": None, "identity_nonce": None, "country": None, "sub": "",
               "common_name": "e367826f93b8d71185e03fe518aff3b4.access", **changes})

    def mint(self, key=None, header=None, **changes):
        """A token of a user, signed by PyJWT."""
        key = key or self.key
        return jwt.encode(
            self.claims(**changes), key.private, algorithm="RS256", headers={"kid": key.kid, **(header or {})})

    def mint_service(self, **changes):
        return jwt.encode(
            self.service_claims(**changes), self.key.private, algorithm="RS256", headers={"kid": self.key.kid})

    def mint_bytes(self, header=None, payload=None, sign=None):
        """A token from the very bytes of its header and payload, for what no library would write."""
        header = header if header is not None else json.dumps({"alg": "RS256", "kid": self.key.kid}).encode()
        payload = payload if payload is not None else json.dumps(self.claims()).encode()
        signed = f"{base64url(header)}.{base64url(payload)}".encode()
        return f"{signed.decode()}.{base64url((sign or self.key.sign)(signed))}"

    def mint_hmac(self):
        """HS256 with the public key as its secret: the classic confusion of algorithms."""
        return self.mint_bytes(
            json.dumps({"alg": "HS256", "kid": self.key.kid, "typ": "JWT"}).encode(),
            sign=lambda data: hmac.new(self.key.public_pem, data, hashlib.sha256).digest())


def certificate_authority():
    """A private CA: (key, certificate)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "end-to-end test CA")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False),
            critical=True)
        .sign(key, hashes.SHA256()))
    return key, certificate


def server_tls(folder, authority, names=("localhost",), expired=False, common_name=None):
    """A server's SSL context with a certificate of the CA, and the CA's file for the client. Without names there is no
    subjectAltName."""
    authority_key, authority_certificate = authority
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.datetime.now(datetime.timezone.utc)
    end = now - datetime.timedelta(hours=1) if expired else now + datetime.timedelta(days=1)
    alternatives = [x509.DNSName(name) for name in names]
    if "localhost" in names:
        alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or names[0])]))
        .issuer_name(authority_certificate.subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True))
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM))
    trusted = folder / "ca.pem"
    trusted.write_bytes(authority_certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, trusted
