"""The kinds that a fleet has: vehicles that no rule tells apart. Each is judged once, however many there are of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    F,
    Func,
    IntegerField,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from otaserver.campaigns.models import Campaign, Wave
from otaserver.campaigns.queries import block_lists, bundles
from otaserver.campaigns.rules import matching, ranking
from otaserver.campaigns.rules.capabilities import ONE_PACKAGE_CLIENTS
from otaserver.campaigns.rules.matching import Candidate, Computer, Match
from otaserver.campaigns.states import Verdict
from otaserver.fleet.models import Configuration, Group, Vehicle

_CHUNK = 500
_ENROLLED, _BLOCKED, _STALE, _TAKES_ONE = 1, 2, 4, 8


@dataclass(frozen=True)
class Kind:
    """Vehicles with one configuration, of one protocol, in one state, on one block list; 0 where there is none."""

    configuration: int
    protocol: str
    flags: int
    block_list: int


@dataclass(frozen=True)
class Judged:
    """A kind, what a release comes to on it, and the stratum that it is counted in."""

    kind: Kind
    match: Match
    stratum: str


class VehicleHash(Func):
    """`ranking.vehicle_hash` of a campaign's name with a newline, and a vehicle id, in the database."""

    function = "campaigns_vehicle_hash"
    arity = 2
    output_field = BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "('x' || substr(encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint"
        return self.as_sql(compiler, connection, template=template, arg_joiner=" || ", **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        connection.ensure_connection()
        connection.connection.create_function(self.function, 2, _sqlite_hash, deterministic=True)
        return self.as_sql(compiler, connection, **context)


def _sqlite_hash(prefix: str, vehicle_id: str) -> int:
    return ranking.vehicle_hash(prefix.removesuffix("\n"), vehicle_id)


def of_each(campaign: Campaign, vehicles: QuerySet[Vehicle], *, at: datetime, is_late: bool) -> QuerySet[Any, Any]:
    """Return each of these vehicles with its kind, the band that it has its turn in, and its hash."""
    columns = ("pk", "_configuration", "protocol", "_flags", "_list", "_band", "_hash")
    hashed = VehicleHash(Value(f"{campaign.name}\n", output_field=CharField()), F("vehicle_id"))
    rows: QuerySet[Any, Any] = _described(campaign, vehicles, at=at, is_late=is_late).annotate(_hash=hashed)
    return rows.values_list(*columns)


def tally(
    campaign: Campaign, release: bundles.ReleaseView, vehicles: QuerySet[Vehicle], *, at: datetime
) -> Mapping[tuple[Verdict, int], int]:
    """Return how many of these vehicles have each verdict in each band (`rules.ranking`); the database counts kinds.

    Of each stratum those that a campaign with a control share would hold out have that verdict.
    """
    rows = _described(campaign, vehicles, at=at, is_late=False).values_list(
        "_configuration", "protocol", "_flags", "_list", "_band"
    )
    counts: dict[Kind, list[tuple[int, int]]] = {}
    for *kind, band, count in rows.annotate(_count=Count("pk")):
        counts.setdefault(Kind(*kind), []).append((band, count))
    found: Counter[tuple[Verdict, int]] = Counter()
    strata: Counter[str] = Counter()
    for judged in judge(campaign, release, list(counts)):
        for band, count in counts[judged.kind]:
            found[judged.match.verdict, band] += count
            if judged.match.verdict == Verdict.FITS and band == ranking.BULK_BAND:
                strata[judged.stratum] += count
    held_out = sum(ranking.held_out(size, campaign.control_percent) for size in strata.values())
    if held_out:
        found[Verdict.FITS, ranking.BULK_BAND] -= held_out
        found[Verdict.CONTROL, ranking.BULK_BAND] += held_out
    return found


def _described(campaign: Campaign, vehicles: QuerySet[Vehicle], *, at: datetime, is_late: bool) -> QuerySet[Any, Any]:
    lists = [
        When(block_lists.in_group(group), then=Value(group.pk)) for group in block_lists.block_lists(campaign.tenant)
    ]
    bands = [] if is_late else [When(block_lists.in_group(group), then=Value(n)) for n, group in group_waves(campaign)]
    band = ranking.LATE_BAND if is_late else ranking.BULK_BAND
    return vehicles.order_by().annotate(
        _configuration=Coalesce("configuration_id", Value(0), output_field=BigIntegerField()),
        _flags=_flags(campaign, at),
        _list=Case(*lists, default=Value(0), output_field=BigIntegerField()),
        _band=Case(*bands, default=Value(band), output_field=IntegerField()),
    )


def _flags(campaign: Campaign, at: datetime) -> Any:
    def flag(condition: Q, value: int) -> Case:
        return Case(When(condition, then=Value(value)), default=Value(0), output_field=IntegerField())

    flags = flag(Q(enrolled_at__isnull=False), _ENROLLED) + flag(Q(blocked_at__isnull=False), _BLOCKED)
    for protocol, beginnings in ONE_PACKAGE_CLIENTS.items():
        named = [Q(client__startswith=beginning) for beginning in beginnings]
        flags += flag(reduce(or_, named, Q()) & Q(protocol=protocol), _TAKES_ONE)
    if campaign.max_inventory_age_seconds is None:
        return flags
    oldest = at - timedelta(seconds=campaign.max_inventory_age_seconds)
    return flags + flag(Q(confirmed_at=None) | Q(confirmed_at__lt=oldest), _STALE)


def group_waves(campaign: Campaign) -> list[tuple[int, Group]]:
    """Return the waves of a campaign that are for a group, by number, each with its group."""
    waves = Wave.objects.filter(campaign_id=campaign.pk, group__isnull=False).select_related("group__tenant")
    return [(wave.number, wave.group) for wave in waves.order_by("number") if wave.group is not None]


def judge(campaign: Campaign, release: bundles.ReleaseView, kinds: Sequence[Kind]) -> Iterator[Judged]:
    """Judge each of these kinds, in their order."""
    software = bundles.KnownSoftware(campaign.tenant)
    lists = {group.pk: block_lists.label(group) for group in block_lists.block_lists(campaign.tenant)}
    pending = iter(kinds)
    while chunk := list(islice(pending, _CHUNK)):
        ecus = dict(
            Configuration.objects.filter(pk__in={kind.configuration for kind in chunk}).values_list("pk", "ecus")
        )
        for kind in chunk:
            computers = [
                # Serials are a vehicle's own; within a kind the place in the list tells its ECUs apart.
                Computer(str(place), hardware_id, sha256, software.of(target, sha256))
                for place, (hardware_id, target, sha256) in enumerate(ecus.get(kind.configuration, []))
            ]
            match = release.route(_candidate(kind, computers, lists.get(kind.block_list, ""))).match
            yield Judged(kind, match, matching.stratum(computers, release.bundle.items))


def _candidate(kind: Kind, computers: Sequence[Computer], block_list: str) -> Candidate:
    return Candidate(
        computers,
        is_enrolled=bool(kind.flags & _ENROLLED),
        is_blocked=bool(kind.flags & _BLOCKED),
        block_list=block_list,
        is_stale=bool(kind.flags & _STALE),
        protocol=kind.protocol,
        takes_one=bool(kind.flags & _TAKES_ONE),
    )
