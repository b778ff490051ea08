"""Packages as signed metadata has them, where the database knows less: signed is what vehicles go by."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from firmware_store import blobs
from firmware_store.models import Package
from firmware_store.operations import contents
from firmware_store.states import PackageState
from firmware_store.trust import publication, queries
from firmware_store.trust.contents import Target
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant

ACTOR = "restore"


@dataclass(frozen=True)
class Followed:
    """Target names by what became of them; `missing` are signed and published, and their files are not stored."""

    published: tuple[str, ...]
    withdrawn: tuple[str, ...]
    missing: tuple[str, ...]


@transaction.atomic
def follow_metadata(tenant: Tenant, *, at: datetime) -> Followed:
    """Make the tenant's packages those of its signed metadata, in the state that it gives them.

    What is signed and unknown was published after this database was copied; what is published here and signed no more
    was withdrawn. Repeating changes nothing.
    """
    publication.lock(tenant)
    signed = dict(_signed(tenant))
    here = Package.objects.filter(tenant=tenant).exclude(state=PackageState.REFUSED)
    states = dict(here.values_list("target_name", "state"))
    gone = [name for name, state in states.items() if state == PackageState.PUBLISHED and name not in signed]
    here.filter(target_name__in=gone, state=PackageState.PUBLISHED).update(state=PackageState.WITHDRAWN)
    unknown = [name for name in signed if states.get(name) not in (PackageState.PUBLISHED, PackageState.WITHDRAWN)]
    # An upload under this name was not finished when the database was copied.
    here.filter(target_name__in=unknown).delete()
    missing = [name for name in unknown if not _publish(tenant, name, signed[name], at=at)]
    return Followed(tuple(sorted(unknown)), tuple(sorted(gone)), tuple(sorted(missing)))


def _signed(tenant: Tenant) -> Iterator[tuple[str, Target]]:
    top = queries.current_targets(tenant, "targets")
    for role in (top.delegations or {}) if top else {}:
        current = queries.current_targets(tenant, role)
        yield from current.targets.items() if current else ()


def _publish(tenant: Tenant, name: str, target: Target, *, at: datetime) -> bool:
    """Write down a package by its signed entry, and return whether its file is stored."""
    is_stored = blobs.has_blob(target.sha256, length=target.length)
    digests = blobs.digest_blob(target.sha256) if is_stored else None
    package = Package.objects.create(
        tenant=tenant,
        role=name.partition("/")[0],
        name=target.name,
        version=target.version,
        target_name=name,
        hardware_ids=list(target.hardware_ids),
        release_counter=target.release_counter,
        # What it was called is signed nowhere.
        filename=f"{target.name}-{target.version}",
        length=target.length,
        sha256=target.sha256,
        sha512=target.sha512,
        sha1=digests.sha1 if digests else "",
        md5=digests.md5 if digests else "",
        created_by=ACTOR,
        created_at=at,
    )
    if is_stored:
        _read(package, at=at)
    package.move_to(PackageState.VERIFYING)
    package.move_to(PackageState.PUBLISHED, published_at=at)
    return is_stored


def _read(package: Package, *, at: datetime) -> None:
    try:
        contents.settle_contents(package, at=at)
    except OtaError:
        # It was read when it was published, perhaps against a key that has come since: vehicles have it, as it is.
        return
