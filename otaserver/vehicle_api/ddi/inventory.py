"""What a DDI vehicle says of itself: configData."""

import re
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from otaserver.campaigns import operations as campaigns
from otaserver.fleet import operations as fleet
from otaserver.fleet.operations import InventoryMode
from otaserver.vehicle_api.ddi import answers, bodies, callers
from otaserver.vehicle_api.ddi.errors import BadAttributesError
from otaserver.vehicle_api.errors import FieldsInvalidError

MAX_LENGTH = 128
_TEXT = re.compile(r"""[a-zA-Z0-9_\-!@#$%^&*()+=\[\]{}|;:'",.<>/\\?\s]*\Z""")


@answers.endpoint("PUT")
def config_data(request: HttpRequest, *, tenant: str, controller: str, at: datetime) -> HttpResponseBase:
    vehicle = callers.identify(request, tenant, controller, at=at)
    body = bodies.read(request)
    mode = InventoryMode(bodies.choice(body, "mode", InventoryMode.values) if body.get("mode") else "merge")
    data = bodies.member(body, "data")
    if not data:
        raise FieldsInvalidError("data is empty.", field="data")
    attributes = {_checked(name): _value(name, value) for name, value in data.items()}
    version = fleet.record_config_data(vehicle, attributes, mode=mode, at=at)
    if version is not None:
        campaigns.record_version(vehicle, version=version, at=at)
    return answers.done()


def _checked(text: str) -> str:
    if not text or len(text) > MAX_LENGTH or not _TEXT.match(text):
        raise BadAttributesError(f"An attribute has 1 to {MAX_LENGTH} plain characters; {text[:80]!r} has not.")
    return text


def _value(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict | list):
        raise FieldsInvalidError(f"{name} is no text.", field=name)
    # Numbers and booleans are taken for their text, as hawkBit does.
    text = value if isinstance(value, str) else str(value).lower()
    return _checked(text) if text else ""
