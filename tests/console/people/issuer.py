"""An issuer of OpenID Connect on loopback, with real keys: what it states and how it signs is the test's to say."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT_ID, SECRET, ACCESS = "ota console", "s3cr:t/+", "opens-userinfo"
RSA = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
EC = ec.generate_private_key(ec.SECP256R1())


def public(key, **more):
    algorithm = (
        jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    )
    return algorithm.to_jwk(key.public_key(), as_dict=True) | {"use": "sig"} | more


class Issuer:
    """Answers the discovery document, its keys, and a token for each code that `state` has made."""

    def __init__(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server, self.url = server, f"http://127.0.0.1:{server.server_port}"
        self.begin_anew()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def begin_anew(self):
        self.keys, self.codes, self.asked = [public(RSA[0], kid="one"), public(EC, kid="curve")], {}, []
        self.described = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "end_session_endpoint": f"{self.url}/end",
        }
        # What it tells beside the ID token, to whoever shows the token that it gave with it; None: it has no such.
        self.userinfo = None

    def state(self, location, claims, *, key=RSA[0], algorithm="RS256", kid="one"):
        """Answer a request for authorization as somebody: return what the browser brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        claims = {"iss": self.url, "aud": CLIENT_ID, "nonce": asked["nonce"]} | claims
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else {})
        code = f"code-{len(self.codes)}"
        self.codes[code] = (token, asked)
        return {"code": code, "state": asked["state"]}

    def _handler(issuer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                found = {"/.well-known/openid-configuration": issuer.described, "/keys": {"keys": issuer.keys}}
                if self.path == "/userinfo":
                    is_allowed = self.headers.get("Authorization") == f"Bearer {ACCESS}"
                    found[self.path] = issuer.userinfo if is_allowed else None
                self.answer(401 if found[self.path] is None else 200, found[self.path])

            def do_POST(self):
                issuer.asked.append(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                token = issuer.token_for(form, self.headers.get("Authorization", ""))
                given = {"id_token": token, "access_token": ACCESS}
                self.answer(200, given) if token else self.answer(400, {"error": "invalid_grant"})

            def answer(self, status, document):
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        return Handler

    def token_for(self, form, authorization):
        """The token of a code, to its own client and to whoever knows the verifier of its challenge, once."""
        token, asked = self.codes.pop(form["code"], (None, None))
        if token is None or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        if authorization:
            name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            client = unquote(name), unquote(secret)
        else:
            client = form.get("client_id"), form.get("client_secret")
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        is_its_own = asked["code_challenge"] == base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
        return token if is_its_own and client == (CLIENT_ID, SECRET) else None
