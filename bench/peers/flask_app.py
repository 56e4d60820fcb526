"""The job in Flask and PyJWT, as people deploy it, under gunicorn. $KEYS_URL: fetched for each request, as the published
image does; without it, $KEYS_FILE is read once and the keys stay in memory."""

import json
import os

import flask
import jwt
import requests

app = flask.Flask(__name__)
issuer = os.environ["ISSUER"]


def key_set(text):
    return {key["kid"]: jwt.algorithms.RSAAlgorithm.from_jwk(key) for key in json.loads(text)["keys"]}


if "KEYS_URL" in os.environ:
    def keys():
        return key_set(requests.get(os.environ["KEYS_URL"], timeout=5).text)
else:
    with open(os.environ["KEYS_FILE"]) as file:
        in_memory = key_set(file.read())

    def keys():
        return in_memory


@app.route("/auth/<audience>")
def auth(audience):
    token = flask.request.headers.get("Cf-Access-Jwt-Assertion")
    if not token:
        return "Token is missing.\n", 401
    try:
        key = keys()[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=issuer, leeway=30)
    except (jwt.PyJWTError, KeyError):
        return "Token is invalid.\n", 401
    return "", 200, {"X-Auth-User": claims["email"]}
