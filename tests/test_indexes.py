"""Every index costs each write: in tables that grow with vehicles none is there twice."""

from django.db.models import CheckConstraint, F, ForeignKey, Model
from django.db.models.expressions import OrderBy

from otaserver.audit.models import Entry
from otaserver.campaigns.models import (
    Assignment,
    Attempt,
    ConsentRecord,
    Decision,
    HealthReading,
    LogTail,
    Report,
    SoftwareChange,
)
from otaserver.director.models import InstalledImage, Manifest, VehicleMetadata
from otaserver.events.models import Delivery, Event
from otaserver.fleet.models import AttributeValue, Credential, Ecu, Membership, Vehicle
from otaserver.fleet.naming import Spells
from otaserver.fleet.watch_models import SeenRequest
from otaserver.tenants.telling import Tells

GROWING: list[type[Model]] = [
    Assignment,
    Attempt,
    AttributeValue,
    ConsentRecord,
    Credential,
    Decision,
    Delivery,
    Ecu,
    Entry,
    Event,
    HealthReading,
    InstalledImage,
    LogTail,
    Manifest,
    Membership,
    Report,
    SeenRequest,
    SoftwareChange,
    Vehicle,
    VehicleMetadata,
]


def first_columns(model):
    """Return the first field of every index and unique constraint that holds for all rows."""
    for each in [*model._meta.indexes, *model._meta.constraints]:
        if isinstance(each, CheckConstraint | Spells | Tells) or each.condition is not None:
            continue
        first = [*each.fields, *each.expressions][0]
        first = first.expression if isinstance(first, OrderBy) else first
        yield first.name if isinstance(first, F) else first


def test_no_foreign_key_has_an_index_of_its_own_beside_one_that_begins_with_it():
    doubled = [
        f"{model.__name__}.{field.name}"
        for model in GROWING
        for field in model._meta.local_fields
        if isinstance(field, ForeignKey) and field.db_index and not field.unique and field.name in first_columns(model)
    ]

    assert doubled == []
