from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from django.db import IntegrityError, transaction

from firmware_store import health, rules
from firmware_store.errors import (
    PackageNotFoundError,
    ReleaseConditionsError,
    ReleaseExistsError,
    ReleaseHardwareTwiceError,
    ReleasePackageUnpublishedError,
    ReleaseRefusedError,
    ReleaseSignalsError,
)
from firmware_store.health import Signal
from firmware_store.models import Package, Release, ReleaseCondition, ReleaseItem, ReleaseSignal
from firmware_store.rules import Condition, PackageFacts
from firmware_store.states import PackageState
from otaserver.audit import operations as audit
from otaserver.tenants.models import Tenant

MAX_POSITION = 32767
# So many orders one assignment may take at most, beside its retries.
MAX_STONES = 8


@transaction.atomic
def create_release(
    tenant: Tenant,
    *,
    name: str,
    version: str,
    packages: Sequence[tuple[Package, int]],
    conditions: Sequence[Condition] = (),
    signals: Sequence[Signal] = (),
    halt_codes: Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
    stepping_stone: Release | None = None,
    by: str,
    at: datetime,
) -> Release:
    """Create a release of published packages, each with its position in the order of installation; final at once.

    Raises:
        PackageNotFoundError: a package is another tenant's.
        ReleasePackageUnpublishedError: vehicles could not verify a package, not published or withdrawn.
        ReleaseHardwareTwiceError: two packages fit the same hardware id.
        ReleaseConditionsError: the conditions contradict the packages or each other.
        ReleaseSignalsError: a signal, or a code that halts, is out of its form or stated twice.
        ReleaseRefusedError: a value is out of its form, or the stepping stone cannot be one.
        ReleaseExistsError: the tenant has a release of this name and version.
    """
    _check_form(name, version, [position for _, position in packages], notes or {})
    _check_packages(tenant, [package for package, _ in packages], conditions)
    problem = health.signals_problem(signals) or health.halt_codes_problem(halt_codes)
    if problem:
        raise ReleaseSignalsError(problem)
    _check_stone(tenant, stepping_stone)
    try:
        with transaction.atomic():
            release = Release.objects.create(
                tenant=tenant,
                name=name,
                version=version,
                notes=dict(notes or {}),
                halt_codes=sorted(halt_codes),
                stepping_stone=stepping_stone,
                created_by=by,
                created_at=at,
                published_at=at,
            )
    except IntegrityError as error:
        raise ReleaseExistsError(f"There is a release {name} {version} already.", name=name, version=version) from error
    ReleaseItem.objects.bulk_create(
        ReleaseItem(release=release, package=package, position=position) for package, position in packages
    )
    ReleaseCondition.objects.bulk_create(
        ReleaseCondition(release=release, kind=one.kind, package_name=one.package_name, versions=list(one.versions))
        for one in conditions
    )
    ReleaseSignal.objects.bulk_create(ReleaseSignal(release=release, **asdict(one)) for one in signals)
    audit.record(
        "release.published",
        release,
        tenant=tenant,
        by=by,
        at=at,
        packages=[package.target_name for package, _ in packages],
        **({"signals": [asdict(one) for one in signals]} if signals else {}),
        **({"halt_codes": sorted(halt_codes)} if halt_codes else {}),
        **({} if stepping_stone is None else {"stepping_stone": str(stepping_stone)}),
    )
    return release


def _check_form(name: str, version: str, positions: Sequence[int], notes: Mapping[str, str]) -> None:
    problem = (
        rules.label_problem(name, "name", longest=80)
        or rules.label_problem(version, "version", longest=60)
        or rules.notes_problem(notes)
        or (None if positions else "A release has at least one package.")
        or (None if all(0 <= one <= MAX_POSITION for one in positions) else f"Positions are 0 to {MAX_POSITION}.")
    )
    if problem:
        raise ReleaseRefusedError(problem)


def _check_packages(tenant: Tenant, packages: Sequence[Package], conditions: Sequence[Condition]) -> None:
    for package in packages:
        if package.tenant_id != tenant.pk:
            raise PackageNotFoundError(f"No package {package.pk}.")
    # Asked of the database now, in a shared lock's stead: a package withdrawn later is caught again at approval.
    states = dict(Package.objects.filter(pk__in=[one.pk for one in packages]).values_list("pk", "state"))
    for package in packages:
        if states.get(package.pk) != PackageState.PUBLISHED:
            raise ReleasePackageUnpublishedError(f"{package} is not published.", target=package.target_name)
    facts = [PackageFacts(one.name, one.version, one.hardware_ids) for one in packages]
    twice = rules.hardware_twice(facts)
    if twice:
        raise ReleaseHardwareTwiceError(f"Two packages fit {', '.join(twice)}: an ECU gets one.", hardware_ids=twice)
    problem = rules.conditions_problem(conditions, facts)
    if problem:
        raise ReleaseConditionsError(problem)


def _check_stone(tenant: Tenant, stone: Release | None) -> None:
    if stone is None:
        return
    if stone.tenant_id != tenant.pk or stone.published_at is None:
        raise ReleaseRefusedError(f"{stone} is no published release of this tenant, and cannot be a stepping stone.")
    length, earlier = 1, stone
    while earlier.stepping_stone is not None:
        length, earlier = length + 1, earlier.stepping_stone
    if length > MAX_STONES:
        raise ReleaseRefusedError(f"{length} stepping stones before a release are too many; at most {MAX_STONES} are.")
