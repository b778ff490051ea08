"""Who is at the other end of a request that came through `settings.TRUSTED_PROXIES`, addresses or networks."""

import ipaddress
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the address that a request really comes from: behind trusted proxies, the last one they did not write."""
    return address_behind(request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", ""))


def address_behind(peer: str, forwarded_for: str) -> str:
    """Return the same of a request that is none of Django's yet: its peer, and its header X-Forwarded-For."""
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    while hops and is_trusted(peer):
        peer = hops.pop()
    return peer


def is_from_trusted_proxy(request: HttpRequest) -> bool:
    """Return whether the peer of this connection is one of `settings.TRUSTED_PROXIES`."""
    return is_trusted(request.META.get("REMOTE_ADDR", ""))


def is_trusted(address: str) -> bool:
    """Return whether this address is one of `settings.TRUSTED_PROXIES`."""
    return is_one_of(address, tuple(settings.TRUSTED_PROXIES))


@lru_cache(maxsize=1024)
def is_one_of(address: str, proxies: tuple[str, ...]) -> bool:
    """Return whether an address is one of these addresses and networks."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in ipaddress.ip_network(proxy, strict=False) for proxy in proxies)
