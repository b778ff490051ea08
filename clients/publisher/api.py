"""The operator API as the publisher uses it: paths, retries of what may be repeated, problems as exceptions."""

import base64
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import httpx

from clients.publisher.errors import InputError, ServerRefusalError, UnreachableError

PREFIX = "/api/v1"
_TOKEN = re.compile(r"[!-~]+\Z")
TRIES = 4
FIRST_PAUSE_SECONDS = 0.5
# A server that is busy with one large upload may take a while to answer; a dead one is noticed by the connect limit.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)

# A command names the fields that it changes, whatever the others have become.
_ANY = {"If-Match": "*"}


def connect(url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Return a client for the server at `url` that shows the service token with every request.

    Raises:
        InputError: no token is written like this one.
    """
    # A token read from a file ends with its line.
    shown = token.strip()
    if not _TOKEN.match(shown):
        # The library's own sentence would print it.
        raise InputError("A token is printable ASCII without blanks; this one is not.", code="input.token")
    return httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {shown}"}, transport=transport, timeout=TIMEOUT
    )


class Api:
    """One tenant's operator API, by whatever transport `client` has."""

    def __init__(self, client: httpx.Client, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep

    def get(self, path: str, **params: str | int) -> Any:
        """Return the JSON at `path`; tried again when the network fails, since reading changes nothing."""
        return _document(self._repeated("GET", path, params=params))

    def fetch(self, path: str, **params: str | int) -> httpx.Response:
        """Return the response at `path` as it is, with its headers."""
        return self._repeated("GET", path, params=params)

    def rows(self, path: str, **params: str | int) -> Iterator[Any]:
        """Yield the rows of a list, page after page."""
        query: dict[str, Any] = dict(params)
        while True:
            page = self.get(path, **query)
            yield from page["results"]
            if not page["next"]:
                return
            # The server may know itself by another host name than the one it is reached by: only the cursor counts.
            query["cursor"] = httpx.URL(page["next"]).params["cursor"]

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, replaces: int | None = None) -> Any:
        """Send a change; never repeated by itself. Return the answer's JSON, or None without one."""
        response = self._send("POST", path, json=dict(body or {}), headers=_if_match(replaces))
        return _document(response) if response.content else None

    def patch(self, path: str, changes: Mapping[str, Any], *, replaces: int | None = None) -> Any:
        """Change some fields, the others stay as they are; `replaces` is the revision that it starts from, None any."""
        return _document(self._send("PATCH", path, json=dict(changes), headers=_if_match(replaces) or _ANY))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Replace what is at `path`."""
        return _document(self._send("PUT", path, json=dict(body), headers=_ANY))

    def put_metadata(
        self,
        path: str,
        bodies: Mapping[str, bytes],
        *,
        replaces: int | None = None,
        resigned: Mapping[str, Mapping[str, bytes]] | None = None,
    ) -> None:
        """Upload signed metadata in its profiles; `replaces` is the version it builds on.

        `resigned` are roles whose new keys it names, signed anew by those.
        """
        body: dict[str, Any] = {"metadata": encoded(bodies)}
        if resigned:
            body["resigned"] = {role: encoded(each) for role, each in resigned.items()}
        self._send("PUT", path, json=body, headers=_if_match(replaces))

    def uploaded(self, path: str) -> int:
        """Return how many bytes of an upload have arrived."""
        return int(self._repeated("HEAD", path).headers["Upload-Offset"])

    def append(self, path: str, blocks: Iterable[bytes], *, offset: int, length: int) -> int:
        """Send `length` bytes that begin at `offset`, and return the offset after them."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(length),
            "Upload-Offset": str(offset),
        }
        return int(self._send("PATCH", path, content=blocks, headers=headers).headers["Upload-Offset"])

    def send_file(self, path: str, blocks: Iterable[bytes], *, length: int, **params: str) -> Any:
        """Send a whole file in one request; never repeated by itself. Return the answer's JSON."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        return _document(self._send("POST", path, params=params, content=blocks, headers=headers))

    def sleep(self, seconds: float) -> None:
        self._sleep(seconds)

    def pause(self, failures: int) -> None:
        """Wait before try number `failures` + 1: twice as long each time."""
        self._sleep(FIRST_PAUSE_SECONDS * 2 ** (failures - 1))

    def _repeated(self, method: str, path: str, **request: Any) -> httpx.Response:
        for failures in range(1, TRIES):
            try:
                return self._send(method, path, **request)
            except UnreachableError:
                self.pause(failures)
        return self._send(method, path, **request)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._client.request(method, PREFIX + path, **request)
        except httpx.HTTPError as error:
            raise UnreachableError(f"{method} {PREFIX + path}: {error or type(error).__name__}.") from error
        if response.status_code >= 400:
            raise _refusal(response)
        if response.status_code >= 300:
            # Not followed: the token is for the server that was named.
            raise InputError(
                f"{response.request.url.copy_with(path='/', query=None)} leads on to "
                f"{response.headers.get('Location', 'nowhere')}; name the server's own address.",
                code="server.redirects",
            )
        return response


def encoded(bodies: Mapping[str, bytes]) -> dict[str, str]:
    """Return metadata bytes by profile as the API takes them."""
    return {profile: base64.b64encode(body).decode("ascii") for profile, body in bodies.items()}


def _if_match(version: int | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": f'"{version}"'}


def _document(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        request = response.request
        raise UnreachableError(
            f"{request.method} {request.url} was answered with {response.status_code} and no JSON; is that the server?",
            code="server.unexpected",
        ) from error


def _refusal(response: httpx.Response) -> ServerRefusalError | UnreachableError:
    try:
        problem = response.json()
        code, detail = str(problem.pop("code")), str(problem.pop("detail"))
    except (ValueError, KeyError, AttributeError, TypeError):
        problem, code = {}, "server.unexpected"
        detail = f"{response.request.method} {response.request.url} was answered with {response.status_code}."
    if response.status_code >= 500 or response.status_code == 429:
        return UnreachableError(detail, code=code, details=problem)
    return ServerRefusalError(detail, code=code, status=response.status_code, details=problem)
