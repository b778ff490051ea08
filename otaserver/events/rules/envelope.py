"""An event as a CloudEvents 1.0 document in structured mode (https://cloudevents.io, JSON event format)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from otaserver.events.rules.types import DATA_VERSION, EventType

CONTENT_TYPE = "application/cloudevents+json"
_ROW = re.compile(r"([a-z_]+):([0-9]+) (.*)\Z", re.DOTALL)


@dataclass(frozen=True)
class Object:
    """What an event is about; `id` is None for what is no row of a table."""

    kind: str
    id: int | None
    name: str

    @property
    def subject(self) -> str:
        """The event's subject: events of one subject arrive in order."""
        return f"{self.kind}/{self.name if self.id is None else self.id}"


def object_of(label: str, *, action: str) -> Object:
    """Return what an audit entry is about, from its subject (`campaign:12 autumn`) and action."""
    found = _ROW.match(label)
    if found is None:
        return Object(action.partition(".")[0], None, label)
    return Object(found[1], int(found[2]), found[3])


def data_of(type: EventType, about: Object, *, tenant: str, actor: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's data: the same fields for every type, and those `details` that the type hands on."""
    return {
        "tenant": tenant,
        "actor": actor,
        "object": {"kind": about.kind, "id": about.id, "name": about.name},
        "sentence": details.get("sentence") or type.sentence.format(name=about.name),
        "wave": details.get("wave"),
        "details": {name: details[name] for name in type.details if name in details},
    }


def document(
    *, id: str, type: str, tenant: str, subject: str, sequence: int, at: datetime, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the whole event. `sequence` (a CloudEvents extension) rises within a tenant, as text of 20 digits."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"urn:ota:tenant:{tenant}",
        "type": type,
        "subject": subject,
        "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "dataschema": f"urn:ota:event-data:v{DATA_VERSION}",
        "sequence": f"{sequence:020}",
        "data": dict(data),
    }


def body(event: Mapping[str, Any]) -> bytes:
    """Return the bytes of an event: the same at every try, since signatures cover them."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
