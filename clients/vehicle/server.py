"""HTTP to one server: credentials, caps, slow transfers, and which answers are "not now" and which "never"."""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

import httpx

from clients.vehicle.config import VehicleConfig
from clients.vehicle.errors import NotNowError, Reason, RejectedError, VerificationError
from clients.vehicle.logs import encodable
from clients.vehicle.wire import PacedTransport, TooSlowError

REDIRECTS = 5
LONGEST_HEADER_SECONDS = 86_400
# 401 and 403 too: a credential may be renewed, a vehicle unblocked.
_NOT_NOW = {401, 403, 404, 408, 423, 425, 429}
# Bodies are counted and hashed as they are; a compressed one could grow without bound.
_HEADERS = {"User-Agent": "ota-vehicle/1", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class PollAnswer:
    """The answer to a conditional request for the Director's timestamp; `body` is None if it is unchanged."""

    body: bytes | None
    etag: str
    polling_seconds: float | None
    wants_manifest: bool
    wanted_signals: str = ""  # as the header lists them


class Server:
    """One vehicle's connection. No state beyond the credential in use."""

    def __init__(
        self,
        config: VehicleConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.base = f"{config.server_url.rstrip('/')}/uptane/{config.tenant}"
        self._config = config
        self._limits = config.limits
        self._monotonic = monotonic
        self._transport = transport
        self._client = httpx.Client(transport=transport or self._make_transport(None), trust_env=False)
        self._token = ""

    def close(self) -> None:
        self._client.close()

    def use_credential(self, token: str, certificate: tuple[str, str] | None) -> None:
        """Authenticate with `token` from now on, and with the files of `certificate` (certificate, key) over TLS."""
        self._token = token
        if certificate and self._transport is None and self.base.startswith("https:"):
            # Made before the old one is closed: a certificate that cannot be loaded leaves that in use.
            client = httpx.Client(transport=self._make_transport(certificate), trust_env=False)
            self._client.close()
            self._client = client

    def poll(self, etag: str) -> PollAnswer:
        """Ask for the Director's timestamp, unless it still has `etag` (empty: in any case)."""
        headers = {"If-None-Match": etag} if etag else {}
        with self._stream(f"{self.base}/director/metadata/timestamp.json", headers=headers) as response:
            body = None
            if response.status_code != httpx.codes.NOT_MODIFIED:
                body = self._read(response, self._limits.timestamp_bytes)
            return PollAnswer(
                body=body,
                etag=etag_of(response),
                polling_seconds=_seconds(response.headers.get("OTA-Polling-Seconds")),
                wants_manifest=response.headers.get("OTA-Send-Manifest") == "1",
                wanted_signals=response.headers.get("OTA-Send-Health", ""),
            )

    def metadata(self, repository: str, filename: str, max_length: int) -> bytes | None:
        """Return a metadata file of `director` or `image`; None if there is none (404)."""
        folder = "director" if repository == "director" else "repo"
        with self._stream(f"{self.base}/{folder}/metadata/{filename}", accepts_missing=True) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            return self._read(response, max_length)

    def post(self, path: str, document: Any, *, headers: Mapping[str, str] | None = None) -> Any:
        """POST JSON and return the JSON of the answer."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        with self._stream(f"{self.base}/{path}", method="POST", content=content, headers=sent) as response:
            body = self._read(response, self._limits.answer_bytes)
        try:
            return json.loads(body or b"null")
        except (ValueError, RecursionError) as error:
            raise NotNowError("answer.invalid", f"{path}: the answer is not JSON.") from error

    @contextmanager
    def download(self, target_path: str, *, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Open the target at `target_path`, following redirects to its signed URL. Gives 200, 206 or 416."""
        url = f"{self.base}/repo/targets/{target_path}"
        with self._stream(url, headers=headers, accepts_unsatisfiable=True) as response:
            yield response

    def chunks(self, response: httpx.Response) -> Iterator[bytes]:
        """Yield the body as it comes.

        Raises:
            NotNowError: it stopped (network), or trickles (slow_retrieval, suspicious).
        """
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise NotNowError("answer.invalid", "the body is encoded although that was not asked for.")
        with _network_is_not_now():
            yield from response.iter_raw()

    def _read(self, response: httpx.Response, max_length: int) -> bytes:
        body = bytearray()
        for chunk in self.chunks(response):
            body += chunk
            if len(body) > max_length:
                raise VerificationError(Reason.OVERSIZED, f"{response.url.path} is longer than {max_length} bytes.")
        return bytes(body)

    def _read_problem(self, response: httpx.Response) -> bytes:
        """Return the body of an error, cut where it is too long for a problem document."""
        body = bytearray()
        for chunk in self.chunks(response):
            body += chunk
            if len(body) > self._limits.answer_bytes:
                break
        return bytes(body[: self._limits.answer_bytes])

    @contextmanager
    def _stream(
        self,
        url: str,
        *,
        method: str = "GET",
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accepts_missing: bool = False,
        accepts_unsatisfiable: bool = False,
    ) -> Iterator[httpx.Response]:
        for _ in range(REDIRECTS):
            sent, timeout = self._headers(url, headers), self._limits.timeout_seconds
            with _network_is_not_now():
                request = self._client.build_request(method, url, content=content, headers=sent, timeout=timeout)
                response = self._client.send(request, stream=True)
            try:
                if not response.is_redirect or response.status_code == httpx.codes.NOT_MODIFIED:
                    self._check(response, accepts_missing=accepts_missing, accepts_unsatisfiable=accepts_unsatisfiable)
                    yield response
                    return
                url = _target_of(response, url)
            finally:
                response.close()
        raise NotNowError("answer.invalid", f"more than {REDIRECTS} redirects.")

    def _headers(self, url: str, headers: Mapping[str, str] | None) -> dict[str, str]:
        sent = {**_HEADERS, **(headers or {})}
        # A signed URL elsewhere speaks for itself; the token is for this server's own paths only.
        if self._token and url.startswith(f"{self.base}/"):
            sent["Authorization"] = f"Bearer {self._token}"
        return sent

    def _check(self, response: httpx.Response, *, accepts_missing: bool, accepts_unsatisfiable: bool) -> None:
        status = response.status_code
        if status < 300 or status == httpx.codes.NOT_MODIFIED:
            return
        if (status == httpx.codes.NOT_FOUND and accepts_missing) or (status == 416 and accepts_unsatisfiable):
            return
        code, detail = _problem(self._read_problem(response), status)
        # Without a problem document it is somebody between who answers: a portal or a proxy, not this server.
        if status in _NOT_NOW or status >= 500 or code == f"http.{status}":
            raise NotNowError(code, detail, retry_after_seconds=_retry_after(response))
        raise RejectedError(code, detail, status=status)

    def _make_transport(self, certificate: tuple[str, str] | None) -> PacedTransport:
        if not self.base.startswith("https:"):
            return PacedTransport(None, self._limits, self._monotonic)
        context = ssl.create_default_context(cafile=str(self._config.ca_file) if self._config.ca_file else None)
        if certificate:
            context.load_cert_chain(*certificate)
        return PacedTransport(context, self._limits, self._monotonic)


@contextmanager
def _network_is_not_now() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        if isinstance(error.__cause__, TooSlowError):
            raise NotNowError(Reason.SLOW_RETRIEVAL, str(error), is_suspicious=True) from error
        raise NotNowError("network", f"{type(error).__name__}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise NotNowError("answer.invalid", f"{type(error).__name__}: {error}") from error


def etag_of(response: httpx.Response) -> str:
    """Return the ETag of an answer, "" without one that can be sent back."""
    etag: str = response.headers.get("ETag", "")
    return etag if etag.isascii() and etag.isprintable() else ""


def _target_of(response: httpx.Response, url: str) -> str:
    try:
        return urljoin(url, response.headers["Location"])
    except (KeyError, ValueError) as error:
        raise NotNowError("answer.invalid", f"{response.status_code} leads nowhere.") from error


def _problem(body: bytes, status: int) -> tuple[str, str]:
    try:
        problem = json.loads(body)
        return encodable(str(problem["code"])), encodable(str(problem.get("detail", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"http.{status}", f"the server answered {status}."


def _seconds(text: str | None) -> float | None:
    # A header is not signed: whatever it says, a vehicle comes again within a day.
    is_number = bool(text) and str(text).isascii() and str(text).isdecimal()
    return float(min(int(str(text)[:9]), LONGEST_HEADER_SECONDS)) if is_number else None


def _retry_after(response: httpx.Response) -> float | None:
    """Return Retry-After in seconds (RFC 9110, 10.2.3). A date is read against the answer's own Date."""
    text = response.headers.get("Retry-After")
    if text is None or (text.isascii() and text.isdecimal()):
        return _seconds(text)
    try:
        until, since = parsedate_to_datetime(text), parsedate_to_datetime(response.headers.get("Date", ""))
        return max(0.0, (until - since).total_seconds())
    except (TypeError, ValueError):
        return None
