"""What never stands in a log: whole vehicle ids, tokens, secrets. A leaf: it knows no model."""

import hashlib
import hmac
import logging
import re
from urllib.parse import unquote

from django.conf import settings

_KEPT = 4
_VIN = re.compile(r"\b(?=[A-HJ-NPR-Z0-9]*[0-9])(?=[A-HJ-NPR-Z0-9]*[A-HJ-NPR-Z])[A-HJ-NPR-Z0-9]{17}\b")
# Addresses that name a vehicle, whatever its id looks like.
_VEHICLE_PATH = re.compile(r"(/controller/v1/|/api/v1/vehicles/)([^/\s?]+)")
# Whoever has the link of an invitation may use it.
_INVITATION = re.compile(r"(/console/invitations/)[^/\s?]+")
_SECRETS = re.compile(
    r"\b(?:otap?_[A-Za-z0-9_-]{16,}|whsec_[A-Za-z0-9+/=]{16,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+)"
    r"|\b(?:Bearer|TargetToken|GatewayToken)\s+\S+"
)


def shortened(vehicle_id: str) -> str:
    """Return what stands in a log for a vehicle: a keyed hash, the same in all of this server's logs, and its end."""
    digest = hmac.digest(settings.SECRET_KEY.encode(), vehicle_id.encode(), hashlib.sha256).hex()[:10]
    return f"{digest}~{vehicle_id[-_KEPT:] if len(vehicle_id) > 2 * _KEPT else ''}"


def cleaned(text: str) -> str:
    """Return a text without what looks like a token, a secret, or a vehicle's id."""
    text = _SECRETS.sub("[secret]", text)
    text = _INVITATION.sub(r"\1[secret]", text)
    text = _VEHICLE_PATH.sub(lambda found: found[1] + shortened(unquote(found[2])), text)
    return _VIN.sub(lambda found: shortened(found[0]), text)


class Discreet(logging.Filter):
    """Shortens the vehicles among a record's arguments: whatever has a `vehicle_id` is one."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_argument(each) for each in record.args)
        return True


def _argument(value: object) -> object:
    vehicle_id = getattr(value, "vehicle_id", None)
    return shortened(vehicle_id) if isinstance(vehicle_id, str) else value
