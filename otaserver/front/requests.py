"""When two requests are the same: by whom, for what, and in every word that an answer may depend on."""

import hashlib
import io
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

# Read by no answer, and other ones each time.
_UNREAD = frozenset(
    {
        *("HTTP_X_REQUEST_ID", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_CONNECTION"),
        *("HTTP_TRACEPARENT", "HTTP_TRACESTATE", "HTTP_CONTENT_LENGTH"),
    }
)
_TOKEN = "HTTP_AUTHORIZATION"
_VERIFY, _SERIAL, _SUBJECT = "HTTP_X_CLIENT_VERIFY", "HTTP_X_CLIENT_SERIAL", "HTTP_X_CLIENT_SUBJECT"
_NOT_COMPARED = _UNREAD | {_TOKEN, _VERIFY, _SERIAL, _SUBJECT}
# As many kinds of clients are told at a glance; what is sent to fill memory does not.
_MOST_ALIKE = 64
# The one poll with a body, and no larger one is read; its view takes no more either.
_WITH_BODY = "/deployments/next"
_MAX_BODY_BYTES = 64 * 1024
# Asked for by everybody alike: whoever asks does not matter, nor how. Both ends: vehicles may be called as files are.
_FOR_ALL = ("/aktualizr/", ".root.json")
# So that nobody can look for two requests of one key.
_DIGEST = hashlib.blake2b(digest_size=16, key=secrets.token_bytes(32))


def compared(environ: dict[str, Any], *, is_trusted: bool) -> tuple[bytes, int] | None:
    """Return who asks for what, as a digest, and a hash of all else that counts; None: this is no poll.

    One credential has one key for each address, however they are spelled: whatever else it sends takes the place of
    what it sent before.
    `is_trusted`: whether what is said of certificates is believed.
    """
    method, path, get = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get
    body = b""
    if method == "POST" and path.endswith(_WITH_BODY):
        length = get("CONTENT_LENGTH") or ""
        if not length.isdecimal() or int(length) > _MAX_BODY_BYTES:
            return None
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
    elif method not in ("GET", "HEAD"):
        return None
    if is_for_all(path):
        # Nobody shows anything here: were each port and spelling a key of its own, they could use up all there are.
        host = get("HTTP_HOST") or ""
        name = host.lower().rstrip("0123456789").removesuffix(":")
        return _digest(f"{method}\n{name}\n{path.lower()}"), hash((get("QUERY_STRING"), host, path))
    scheme, _, token = get(_TOKEN, "").strip().partition(" ")
    # Whoever is not believed could send anything here, and make each a key of its own.
    proof = (get(_VERIFY, ""), get(_SERIAL, ""), get(_SUBJECT, "")) if is_trusted else ()
    # Of a header no line has two, and the path, which may have any, comes last.
    shown = "\n".join((method, scheme.lower(), token.strip(), *proof, path.lower()))
    return _digest(f"{is_trusted}\n{shown}"), _rest(environ, body)


def is_for_all(path: str) -> bool:
    """Return whether what is answered at this path is compared without a look at who asks."""
    return path.startswith(_FOR_ALL[0]) and path.endswith(_FOR_ALL[1])


def _digest(text: str) -> bytes:
    digest = _DIGEST.copy()
    digest.update(text.encode(errors="surrogateescape"))
    return digest.digest()


def _rest(environ: Mapping[str, Any], body: bytes) -> int:
    get, names = environ.get, _compared_names(tuple(environ))
    sent = [environ[name] for name in names]
    shown = (environ["PATH_INFO"], get(_TOKEN), get(_VERIFY), get(_SERIAL), get(_SUBJECT))
    return hash((get("QUERY_STRING"), get("CONTENT_TYPE"), get("wsgi.url_scheme"), body, *shown, names, *sent))


@lru_cache(maxsize=_MOST_ALIKE)
def _compared_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name.startswith("HTTP_") and name not in _NOT_COMPARED)
