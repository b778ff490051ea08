"""Decisions of the supervisor: pure, no Django."""

from collections.abc import Collection, Sequence

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0


def restart_delay(deaths: int) -> float:
    """Return the seconds to wait before starting a process again that has died `deaths` times in a row."""
    return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(deaths - 1, 16)))


def configure_nginx(text: str, *, host: str, port: int, web_ports: Sequence[int]) -> str:
    """Return `deploy/nginx.conf` with the addresses of this server in the lines that are there to be edited.

    Raises:
        ValueError: the file has none of these lines, or one of them several times.
    """
    edits = {
        "listen 443 ssl;": f"listen {host}:{port} ssl;",
        _servers([8000, 8001]): _servers(web_ports),
    }
    for before, after in edits.items():
        if text.count(f" {before}") != 1:
            raise ValueError(f"deploy/nginx.conf has {text.count(before)} lines {before!r}; one is needed.")
        text = text.replace(before, after)
    return text


def _servers(ports: Sequence[int]) -> str:
    return "\n        ".join(f"server 127.0.0.1:{port} max_fails=0;  # edit" for port in ports)


def host_names(allowed_hosts: Collection[str]) -> frozenset[str]:
    """Return the names that a server answering to these (Django's ALLOWED_HOSTS) has a certificate for."""
    own = {"localhost", "127.0.0.1", "[::1]"}
    named = {f"*{host}" if host.startswith(".") else host for host in allowed_hosts}
    return frozenset(own | named - {"*", "testserver"})
