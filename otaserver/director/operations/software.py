"""What the images that ECUs report are, to the Image repository: a package of the tenant, or nothing known."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet
from django.db.models.functions import JSONObject

from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.director.findings import KnownImage
from otaserver.director.manifests import UNKNOWN_IMAGE, EcuReport
from otaserver.fleet.models import Ecu, Vehicle

NOTHING_KNOWN = ("", "")
_FIELDS = ("sha256", "length", "hardware_ids", "name", "version")


def ecus_with_images(vehicle: Vehicle) -> tuple[dict[str, Ecu], dict[str, KnownImage]]:
    """Return a vehicle's ECUs by serial, and by target name what the repository says of what they last reported."""
    known = _known(vehicle).filter(target_name=OuterRef("installed_target"))
    described = JSONObject(**{name: name for name in _FIELDS})
    ecus = vehicle.ecus.annotate(image=known.values(described=described)[:1]).order_by("pk")
    images: dict[str, KnownImage] = {}
    found: dict[str, Ecu] = {}
    for ecu in ecus:
        found[ecu.serial] = ecu
        if ecu.image is not None:
            images[ecu.installed_target] = _image(ecu.image)
    return found, images


def known_images(
    vehicle: Vehicle, reports: Sequence[EcuReport], ecus: Mapping[str, Ecu], images: Mapping[str, KnownImage]
) -> dict[str, KnownImage]:
    """Return what the repository says of the targets that are reported, by name, after `ecus_with_images`: it is asked
    once more only where an ECU reports another target than before."""
    looked_up = {ecu.installed_target for ecu in ecus.values()} | {UNKNOWN_IMAGE}
    others = {report.target_name for report in reports} - looked_up
    if not others:
        return dict(images)
    rows = _known(vehicle).filter(target_name__in=others).values_list("target_name", *_FIELDS)
    return dict(images) | {name: KnownImage(*values) for name, *values in rows}


def software_of(report: EcuReport, image: KnownImage | None) -> tuple[str, str]:
    """Return name and version of what an ECU reports; nothing where it is no package of the tenant, or has a package's
    name and other bytes."""
    return (image.name, image.version) if image is not None and image.sha256 == report.sha256 else NOTHING_KNOWN


def _known(vehicle: Vehicle) -> QuerySet[Package]:
    return Package.objects.filter(tenant=vehicle.tenant_id, state__in=[PackageState.PUBLISHED, PackageState.WITHDRAWN])


def _image(described: Mapping[str, Any]) -> KnownImage:
    stored = described["hardware_ids"]
    # SQLite puts JSON into JSON as a text.
    hardware_ids = json.loads(stored) if isinstance(stored, str) else stored
    return KnownImage(**{**described, "hardware_ids": hardware_ids})
