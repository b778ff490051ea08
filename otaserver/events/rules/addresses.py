"""Where webhooks may go: a server that is told to fetch any address would be a way into its own network."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

MAX_URL_LENGTH = 500
Network = IPv4Network | IPv6Network
_NAT64 = ip_network("64:ff9b::/96")
_6TO4 = ip_network("2002::/16")
# Nobody's own server stands there, though the library takes them for public (IANA special-purpose registries).
_NOT_PUBLIC = tuple(
    ip_network(each)
    for each in (
        "192.0.0.0/24",  # IETF protocol assignments
        "::/96",  # IPv4-compatible: may end at a loopback or private address
        "64:ff9b:1::/48",  # NAT64 within a network
        "fec0::/10",  # site-local
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)


def url_problem(url: str, *, requires_https: bool) -> str | None:
    """Return why no webhook can go to this URL, as a sentence, or None if one can."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"{url!a:.200} is not a URL."
    schemes = ("https",) if requires_https else ("https", "http")
    if len(url) > MAX_URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        return f"A URL has at most {MAX_URL_LENGTH} printable ASCII characters without blanks."
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        return f"Webhooks go to {' or '.join(f'{one}://host/…' for one in schemes)}, not to {url!a:.200}."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "The URL of a webhook has no user, password or fragment."
    return None


def host_of(url: str) -> str:
    """Return the host of a URL that has none of the problems above."""
    return urlsplit(url).hostname or ""


def port_of(url: str) -> int:
    """Return the port of such a URL."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_allowed(address: str, *, allowed: Sequence[Network]) -> bool:
    """Return whether webhooks may go to this IP address: a public one, or one of the networks that are allowed."""
    ip = _plain(ip_address(address))
    if any(ip in network for network in allowed):
        return True
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC)


def _plain(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address carries (mapped, NAT64, 6to4), or the address itself."""
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
        if ip in _6TO4:
            return IPv4Address((int(ip) >> 80) & 0xFFFFFFFF)
    return ip
