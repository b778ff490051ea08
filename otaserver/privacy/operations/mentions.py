"""What is not one vehicle's own, and may name it: entries, events, decisions, and texts that people wrote."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Model, QuerySet

from otaserver.campaigns.models import Decision
from otaserver.events.models import Event
from otaserver.fleet.arrival_models import FleetImportProblem
from otaserver.fleet.models import Vehicle
from otaserver.fleet.watch_models import SeenRequest
from otaserver.privacy import words
from otaserver.privacy.holdings import HOLDINGS, NOTES, TEXTS
from otaserver.privacy.queries import naming
from otaserver.privacy.words import Replaced
from otaserver.tenants.answer_models import KeptAnswer

_LABEL = re.compile(r"([a-z_]+):([0-9]+) (.*)\Z", re.DOTALL)
_KINDS = frozenset(str(model._meta.model_name) for model in HOLDINGS)


class Names:
    """A vehicle's old names with the new ones, and what becomes of a record that may name it."""

    def __init__(self, vehicle: Vehicle, known: Mapping[str, str], *, others: Collection[str]) -> None:
        self.vehicle = vehicle
        self.id = vehicle.vehicle_id
        # In whatever is the tenant's the id, and serials that hold it; others mean something beside their vehicle only.
        self.anywhere = words.replacer({old: new for old, new in known.items() if self.id in old}, others=others)
        self.within = words.replacer_within(self.id, known, others=others)

    def erased(self, subject: str, details: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return what an audit entry says once the vehicle is named in it no more."""
        if not self._is_about(_LABEL.match(subject)) and details.get("vehicle") != self.id:
            return self.anywhere(subject), words.rewritten(details, self.anywhere)
        said = words.rewritten(details, self.within)
        # Who answered for the owner of this vehicle.
        return self.anywhere(subject), said | ({"owner": "erased"} if "owner" in said else {})

    def of_event(self, data: dict[str, Any]) -> Replaced:
        """Return what replaces names in an event's data."""
        about, details = data.get("object", {}), data.get("details", {})
        label = _LABEL.match(f"{about.get('kind')}:{about.get('id')} {about.get('name')}")
        return self.within if self._is_about(label) or details.get("vehicle") == self.id else self.anywhere

    def of_decision(self, inputs: dict[str, Any]) -> Replaced:
        """Return what replaces names in a decision."""
        return self.within if inputs.get("vehicle") == self.id else self.anywhere

    def _is_about(self, label: re.Match[str] | None) -> bool:
        if label is None:
            return False
        kind, pk, name = label.groups()
        if kind == "vehicle":
            return int(pk) == self.vehicle.pk
        return kind in _KINDS and self.anywhere(name) != name


def rewrite_mentions(names: Names) -> None:
    """Replace the vehicle's names in what its tenant keeps beside the vehicle's own rows and the audit record."""
    tenant = names.vehicle.tenant
    for model, (path, fields) in TEXTS.items():
        wanted = tenant.pk if path == "pk" else tenant
        rewrite(naming(model._default_manager.filter(**{path: wanted}), fields, names.id), fields, names.anywhere)
    fields = ("sentence", "inputs")
    for decision in naming(Decision.objects.filter(campaign__tenant=tenant), fields, names.id):
        _rewrite_row(decision, fields, names.of_decision(decision.inputs))
    fields = ("subject", "data")
    for event in naming(Event.objects.filter(tenant=tenant), fields, names.id):
        _rewrite_row(event, fields, names.of_event(event.data))
    _forget(names)


def rewrite(rows: QuerySet[Any], fields: tuple[str, ...], replaced: Replaced) -> None:
    """Write what becomes of these fields of each row by `replaced`, where that is something else."""
    for row in rows:
        _rewrite_row(row, fields, replaced)


def _rewrite_row(row: Model, fields: tuple[str, ...], replaced: Replaced) -> None:
    before = {name: getattr(row, name) for name in fields}
    after = {name: words.rewritten(value, replaced) for name, value in before.items()}
    changes = {name: value for name, value in after.items() if value != before[name]}
    if changes:
        type(row)._default_manager.filter(pk=row.pk).update(**changes)


def _forget(names: Names) -> None:
    """Empty what is kept for a while and names the vehicle: lines of files, refused requests, answers to requests."""
    tenant = names.vehicle.tenant
    lines = FleetImportProblem.objects.filter(fleet_import__tenant=tenant, value__contains=names.id)
    named = [line.pk for line in lines if names.anywhere(line.value) != line.value]
    FleetImportProblem.objects.filter(pk__in=named).update(value="")
    # Refused before anybody knew whose they were; in the address stood who it said it was.
    fields = NOTES[SeenRequest][1]
    refused = naming(SeenRequest.objects.filter(tenant=tenant, vehicle=None), fields, names.id)
    said = {row.pk: [getattr(row, name) for name in fields] for row in refused}
    named = [pk for pk, texts in said.items() if words.rewritten(texts, names.anywhere) != texts]
    SeenRequest.objects.filter(pk__in=named).delete()
    wanted = names.id.encode()
    answers = KeptAnswer.objects.filter(tenant=tenant).exclude(status=None).only("body")
    bodies = {row.pk: bytes(row.body) for row in answers if wanted in bytes(row.body)}
    # An answer that is forgotten for no reason would let its request be done twice.
    texts = {pk: body.decode("utf-8", "replace") for pk, body in bodies.items()}
    KeptAnswer.objects.filter(pk__in=[pk for pk, text in texts.items() if names.anywhere(text) != text]).delete()
