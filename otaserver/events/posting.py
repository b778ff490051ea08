"""One request to an endpoint: to an address that was looked up once and is allowed, in limited time."""

import asyncio
import socket
import time
from collections.abc import Sequence

import httpx
from django.conf import settings

from otaserver.events.operations import Answer, Parcel
from otaserver.events.rules import addresses

SECONDS = 10.0
ANSWER_BYTES = 500
USER_AGENT = "ota-webhooks/1"


def post(parcel: Parcel) -> Answer:
    """Make the request and return what came of it; whatever fails is an answer too."""
    began = time.monotonic()
    try:
        status, text = asyncio.run(_within_time(parcel))
    except TimeoutError:
        return Answer(None, _since(began), problem=f"no answer within {SECONDS:g} seconds")
    except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(None, _since(began), problem=f"{type(error).__name__}: {error}"[:300])
    return Answer(status, _since(began), text)


async def _within_time(parcel: Parcel) -> tuple[int, str]:
    # Over all: a limit for each step alone would let an endpoint drip its answer for ever.
    async with asyncio.timeout(SECONDS):
        return await _post(parcel, await _allowed_address(parcel.url))


async def _allowed_address(url: str) -> str:
    host, port = addresses.host_of(url), addresses.port_of(url)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ips = list(dict.fromkeys(str(each[4][0]) for each in found))
    allowed = _allowed(ips)
    if allowed is None:
        raise ValueError(f"{host} is {', '.join(ips)[:200]}, to which no webhook goes.")
    return allowed


def _allowed(ips: Sequence[str]) -> str | None:
    return next((ip for ip in ips if addresses.is_allowed(ip, allowed=settings.WEBHOOK_NETWORKS)), None)


async def _post(parcel: Parcel, ip: str) -> tuple[int, str]:
    url = httpx.URL(parcel.url)
    # Connected to the address that was checked; the name, for TLS and for the endpoint, stays what it was.
    target = url.copy_with(host=ip)
    headers = {**parcel.headers, "host": url.netloc.decode("ascii"), "user-agent": USER_AGENT}
    extensions = {"sni_hostname": url.host}
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=SECONDS) as client,
        client.stream("POST", target, content=parcel.body, headers=headers, extensions=extensions) as response,
    ):
        read = b""
        async for block in response.aiter_raw(ANSWER_BYTES):
            read += block
            if len(read) >= ANSWER_BYTES:
                break
        return response.status_code, read[:ANSWER_BYTES].decode("utf-8", "replace").replace(
            "\0", "\N{REPLACEMENT CHARACTER}"
        )


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
