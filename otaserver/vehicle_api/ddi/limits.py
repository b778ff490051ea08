"""Who asks too often, and who may not ask at all; per web process, since it is there to shield that process.

Addresses of private networks are not counted, as in hawkBit: behind a proxy that is no trusted one, or a gateway, the
whole fleet would come from there.
"""

import ipaddress
import threading
import time
from collections import defaultdict
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

from otaserver.vehicle_api import identity
from otaserver.vehicle_api.ddi.errors import AddressBlockedError, TooManyRequestsError

READS_PER_SECOND = 200
WRITES_PER_SECOND = 50
_lock = threading.Lock()
# Of the second that runs: how many requests each (address, is it a write) has made.
_second = 0
_counts: dict[tuple[str, bool], int] = defaultdict(int)


def check(request: HttpRequest) -> None:
    """Refuse a request from a blocked address, and one beyond what an address may ask in a second.

    Raises:
        AddressBlockedError, TooManyRequestsError: as they say.
    """
    check_address(identity.client_address(request), is_write=request.method not in ("GET", "HEAD"))


def check_address(address: str, *, is_write: bool) -> None:
    """The same of an address alone. Raises as `check`."""
    if address in settings.BLOCKED_ADDRESSES:
        raise AddressBlockedError(f"Nothing is answered to {address}.")
    if not _is_counted(address):
        return
    limit = WRITES_PER_SECOND if is_write else READS_PER_SECOND
    if _count(address, is_write, int(time.monotonic())) > limit:
        raise TooManyRequestsError(f"{address} asks more than {limit} times a second.", retry_after_seconds=1)


def _count(address: str, is_write: bool, second: int) -> int:
    global _second
    with _lock:
        if second != _second:
            _counts.clear()
            _second = second
        _counts[address, is_write] += 1
        return _counts[address, is_write]


@lru_cache(maxsize=4096)
def _is_counted(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
