"""What vehicles say of themselves in protocols without manifests: attributes, as text."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from otaserver.fleet import rules
from otaserver.fleet.errors import InventoryRefusedError, InventoryTooLargeError
from otaserver.fleet.models import Attribute, Vehicle
from otaserver.fleet.operations.attributes import set_attributes
from otaserver.fleet.protocol_models import REPORTED_NAME_LENGTH, ReportedAttribute
from otaserver.fleet.states import InventoryMode

MAX_ATTRIBUTES = 100
MAX_TEXT_LENGTH = 4096


@transaction.atomic
def record_inventory(
    vehicle: Vehicle,
    *,
    attributes: Mapping[str, str | None],
    at: datetime,
    mode: InventoryMode = InventoryMode.MERGE,
) -> int:
    """Keep what a vehicle says of itself, in its own words, and return how many attributes changed.

    Those that the tenant has declared (by `rules.declared_name`) are set as well, where the text is a value of their
    type. None takes an attribute away, and so do the modes `remove` and, for what is not named, `replace`; what nobody
    but an operator has set is never taken away. That the vehicle was to send its inventory is done with this.

    Raises:
        InventoryRefusedError: a name or a text is out of its form; nothing is kept.
        InventoryTooLargeError: the vehicle would have more than MAX_ATTRIBUTES; nothing is kept.
    """
    _check(attributes)
    # The parent first: of two inventories at once, each is kept as a whole.
    Vehicle.objects.select_for_update(no_key=True).get(pk=vehicle.pk)
    before = dict(vehicle.reported_attributes.values_list("name", "text"))
    after = _after(before, attributes, mode)
    if len(after) > MAX_ATTRIBUTES and len(after) > len(before):
        raise InventoryTooLargeError(
            f"{vehicle} would have {len(after)} attributes; {MAX_ATTRIBUTES} are kept.", limit=MAX_ATTRIBUTES
        )
    gone = before.keys() - after.keys()
    changed = {name: text for name, text in after.items() if before.get(name) != text}
    vehicle.reported_attributes.filter(name__in=gone).delete()
    ReportedAttribute.objects.bulk_create(
        [ReportedAttribute(vehicle=vehicle, name=name, text=text, changed_at=at) for name, text in changed.items()],
        update_conflicts=True,
        unique_fields=["vehicle", "name"],
        update_fields=["text", "changed_at"],
    )
    _set_declared(vehicle, dict.fromkeys(gone) | changed, at=at)
    Vehicle.objects.filter(pk=vehicle.pk).update(is_manifest_wanted=False)
    vehicle.is_manifest_wanted = False
    return len(gone) + len(changed)


def _check(attributes: Mapping[str, str | None]) -> None:
    for name, text in attributes.items():
        if not 1 <= len(name) <= REPORTED_NAME_LENGTH or not name.isprintable():
            raise InventoryRefusedError(
                f"An attribute's name is 1 to {REPORTED_NAME_LENGTH} printable characters; {name[:80]!r} is not.",
                name=name[:80],
            )
        if text is not None and len(text) > MAX_TEXT_LENGTH:
            raise InventoryRefusedError(
                f"Attribute {name} has {len(text)} characters; {MAX_TEXT_LENGTH} are kept.", name=name
            )


def _after(before: Mapping[str, str], said: Mapping[str, str | None], mode: InventoryMode) -> dict[str, str]:
    if mode == InventoryMode.REMOVE:
        return {name: text for name, text in before.items() if name not in said}
    kept = {} if mode == InventoryMode.REPLACE else dict(before)
    named = kept | {name: text for name, text in said.items() if text is not None}
    return {name: text for name, text in named.items() if said.get(name, text) is not None}


def _set_declared(vehicle: Vehicle, changes: Mapping[str, str | None], *, at: datetime) -> None:
    names = {name: rules.declared_name(name) for name in changes}
    declared = Attribute.objects.filter(tenant=vehicle.tenant_id, name__in=names.values())
    types = dict(declared.values_list("name", "type"))
    values: dict[str, rules.Value | None] = {}
    for name, text in changes.items():
        kind = types.get(names[name])
        if kind is None:
            continue
        # A text that is no value of the type is worse than none: a filter would go by what was true once.
        values[names[name]] = None if text is None else rules.value_in_text(kind, text)
    if values:
        set_attributes(vehicle, values, at=at)
