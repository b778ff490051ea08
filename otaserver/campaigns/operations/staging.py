"""Freezing lists of vehicles: the database finds the kinds that a fleet has, the rules judge each kind once, and one
INSERT … SELECT writes the list. No vehicle's row is read here, so that memory does not grow with the fleet.

Two temporary tables hold the moment: the vehicles as they are in one snapshot, and the kinds with their verdicts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import BigIntegerField, Case, CharField, F, Func, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from otaserver.campaigns.models import Assignment, Campaign, Wave
from otaserver.campaigns.queries import block_lists, bundles
from otaserver.campaigns.rules import matching, ranking
from otaserver.campaigns.rules.capabilities import ONE_PACKAGE_CLIENTS
from otaserver.campaigns.rules.matching import Candidate, Computer
from otaserver.campaigns.states import AssignmentState, Verdict
from otaserver.fleet.models import Configuration, Group, Vehicle

_CHUNK = 500
_COLUMNS = ("vehicle", "configuration", "protocol", "flags", "block_list", "band", "hash")
_ENROLLED, _BLOCKED, _STALE, _TAKES_ONE = 1, 2, 4, 8
# Whoever does not fit stands in no stratum.
_NO_SLOT = 0
_STAGED = """
    CREATE TEMPORARY TABLE staged_vehicle (
        vehicle bigint NOT NULL, configuration bigint NOT NULL, protocol varchar(10) NOT NULL, flags integer NOT NULL,
        block_list bigint NOT NULL, band integer NOT NULL, hash bigint NOT NULL)"""
_KINDS = """
    CREATE TEMPORARY TABLE staged_kind (
        configuration bigint NOT NULL, protocol varchar(10) NOT NULL,
        flags integer NOT NULL, block_list bigint NOT NULL,
        slot integer NOT NULL, verdict varchar(20) NOT NULL, detail text NOT NULL, stratum varchar(64) NOT NULL)"""
# A million vehicles are sorted twice, by turn and by key; with the usual 4 MB both go through files.
_SORTED_IN_MEMORY = "SET LOCAL work_mem = '256MB'"
_JOINED = (
    "staged_vehicle s JOIN staged_kind k ON k.configuration = s.configuration AND k.protocol = s.protocol"
    " AND k.flags = s.flags AND k.block_list = s.block_list"
)
# As `ranking.held_out`, `ranking.rank` and `ranking.late_control_limit` say, in the whole numbers of SQL.
_PLACED = f"""
    SELECT vehicle, configuration, verdict, detail, stratum, slot, band, hash,
        place - held AS place, size - held AS size,
        slot <> {_NO_SLOT} AND (place <= held OR (band = {ranking.LATE_BAND} AND hash < %(late_limit)s)) AS is_control
    FROM (
        SELECT *, CASE WHEN slot <> {_NO_SLOT} AND band = {ranking.BULK_BAND}
            THEN size * %(thousandths)s / 100000 ELSE 0 END AS held
        FROM (
            SELECT s.vehicle, s.configuration, s.band, s.hash, k.verdict, k.detail, k.stratum, k.slot,
                row_number() OVER (PARTITION BY s.band, k.slot ORDER BY s.hash, s.vehicle) AS place,
                count(*) OVER (PARTITION BY s.band, k.slot) AS size
            FROM {_JOINED} {{only}}
        ) counted
    ) held_out"""
_RANK = (
    f"band * {1 << ranking.BAND_SHIFT} + CASE WHEN is_control THEN 0 ELSE"
    f" (2 * place - 1) * {1 << (ranking.POSITION_BITS - 1)} / size * {1 << ranking.TIE_BITS} END"
    f" + hash / {1 << (ranking.HASH_BITS - ranking.TIE_BITS)}"
)


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


@dataclass(frozen=True)
class Frozen:
    """How many vehicles of each verdict a campaign's list has, and of those that fit, of each stratum and band."""

    verdicts: Mapping[str, int]
    strata: Mapping[str, int]
    bands: Mapping[int, int]

    @property
    def fitting(self) -> int:
        return self.verdicts.get(Verdict.FITS, 0)


@contextmanager
def staged(
    campaign: Campaign,
    release: bundles.ReleaseView,
    vehicles: QuerySet[Vehicle],
    *,
    at: datetime,
    is_late: bool = False,
) -> Iterator[None]:
    """Hold these vehicles, judged, for as long as the caller's transaction needs them. One at a time a connection."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_SORTED_IN_MEMORY)
        cursor.execute(_STAGED)
        cursor.execute(_KINDS)
        rows = _snapshot(campaign, vehicles, at=at, is_late=is_late)
        statement, values = rows.query.sql_with_params()
        cursor.execute(f"INSERT INTO staged_vehicle ({', '.join(_COLUMNS)}) {statement}", values)
        cursor.execute(
            "SELECT DISTINCT configuration, protocol, flags, block_list FROM staged_vehicle ORDER BY 1, 2, 3, 4"
        )
        _judge(campaign, release, cursor.fetchall())
    yield
    # After an error there is nothing to drop: the transaction takes both with it.
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE staged_vehicle")
        cursor.execute("DROP TABLE staged_kind")


def _snapshot(campaign: Campaign, vehicles: QuerySet[Vehicle], *, at: datetime, is_late: bool) -> QuerySet[Any, Any]:
    lists = [
        When(block_lists.in_group(group), then=Value(group.pk)) for group in block_lists.block_lists(campaign.tenant)
    ]
    bands = [] if is_late else [When(block_lists.in_group(group), then=Value(n)) for n, group in group_waves(campaign)]
    band = ranking.LATE_BAND if is_late else ranking.BULK_BAND
    return (
        vehicles.order_by()
        .annotate(
            _configuration=Coalesce("configuration_id", Value(0), output_field=BigIntegerField()),
            _flags=_flags(campaign, at),
            _list=Case(*lists, default=Value(0), output_field=BigIntegerField()),
            _band=Case(*bands, default=Value(band), output_field=IntegerField()),
            _hash=VehicleHash(Value(f"{campaign.name}\n", output_field=CharField()), F("vehicle_id")),
        )
        .values_list("pk", "_configuration", "protocol", "_flags", "_list", "_band", "_hash")
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


def _judge(campaign: Campaign, release: bundles.ReleaseView, kinds: Sequence[tuple[int, str, int, int]]) -> None:
    software = bundles.KnownSoftware(campaign.tenant)
    lists = {group.pk: block_lists.label(group) for group in block_lists.block_lists(campaign.tenant)}
    slots: dict[str, int] = {}
    pending = iter(kinds)
    while chunk := list(islice(pending, _CHUNK)):
        ecus = dict(Configuration.objects.filter(pk__in={kind[0] for kind in chunk}).values_list("pk", "ecus"))
        judged = []
        for configuration, protocol, flags, block_list in chunk:
            computers = [
                # Serials are a vehicle's own; within a kind the place in the list tells its ECUs apart.
                Computer(str(place), hardware_id, sha256, software.of(target, sha256))
                for place, (hardware_id, target, sha256) in enumerate(ecus.get(configuration, []))
            ]
            candidate = Candidate(
                computers,
                is_enrolled=bool(flags & _ENROLLED),
                is_blocked=bool(flags & _BLOCKED),
                block_list=lists.get(block_list, ""),
                is_stale=bool(flags & _STALE),
                protocol=protocol,
                takes_one=bool(flags & _TAKES_ONE),
            )
            match = release.route(candidate).match
            stratum = matching.stratum(computers, release.bundle.items)
            slot = slots.setdefault(stratum, len(slots) + 1) if match.verdict == Verdict.FITS else _NO_SLOT
            judged.append((configuration, protocol, flags, block_list, slot, str(match.verdict), match.detail, stratum))
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO staged_kind VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", judged)


def fitting_by_band() -> dict[int, int]:
    """Return how many of the staged vehicles fit, by band."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT s.band, count(*) FROM {_JOINED} WHERE k.slot <> {_NO_SLOT} GROUP BY 1")
        return dict(cursor.fetchall())


def verdicts() -> dict[str, int]:
    """Return how many of the staged vehicles have each verdict."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT k.verdict, count(*) FROM {_JOINED} GROUP BY 1")
        return dict(cursor.fetchall())


def sample(band: int, count: int) -> list[tuple[int, str]]:
    """Return up to so many of the staged vehicles of a band that fit, as good as random, each with its stratum."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT s.vehicle, k.stratum FROM {_JOINED} WHERE k.slot <> {_NO_SLOT} AND s.band = %s"
            " ORDER BY s.hash, s.vehicle LIMIT %s",
            [band, count],
        )
        return list(cursor.fetchall())


def write_list(campaign: Campaign, *, only_fitting: bool = False, wave: Wave | None = None) -> int:
    """Write the staged vehicles into the campaign's list and return how many; who fits waits, in `wave` if given."""
    chosen = {
        "campaign": "%(campaign)s",
        "vehicle": "vehicle",
        "wave": f"CASE WHEN {_TAKES_PART} THEN %(wave)s ELSE NULL END" if wave else "NULL",
        "state": f"CASE WHEN {_TAKES_PART} THEN '{AssignmentState.WAITING}' ELSE '{AssignmentState.EXCLUDED}' END",
        "verdict": f"CASE WHEN is_control THEN '{Verdict.CONTROL}' ELSE verdict END",
        "verdict_detail": "CASE WHEN is_control THEN %(held_out)s ELSE detail END",
        "rank": _RANK,
        "stratum": "stratum",
        "configuration": "NULLIF(configuration, 0)",
    }
    values: dict[str, Any] = {
        "campaign": campaign.pk,
        "wave": wave.pk if wave else None,
        "held_out": f"The vehicle is held out to compare with, one of {campaign.control_percent.normalize():f} %.",
        "thousandths": ranking.thousandths(campaign.control_percent),
        "late_limit": ranking.late_control_limit(campaign.control_percent),
    }
    columns, expressions = [], []
    for field in Assignment._meta.concrete_fields:
        if field.primary_key:
            continue
        columns.append(f'"{field.column}"')
        if field.name not in chosen:
            values[field.name] = field.get_db_prep_save(field.get_default(), connection)
        expressions.append(chosen.get(field.name, f"%({field.name})s"))
    placed = _PLACED.format(only=f"WHERE k.slot <> {_NO_SLOT}" if only_fitting else "")
    statement = (
        f"INSERT INTO {Assignment._meta.db_table} ({', '.join(columns)})"
        # As the tables of vehicles lie: keys of theirs come to indexes in order, and each page is locked in once.
        f" SELECT {', '.join(expressions)} FROM ({placed}) placed ORDER BY vehicle"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


_TAKES_PART = f"slot <> {_NO_SLOT} AND NOT is_control"


def forget_excluded(campaign: Campaign, *, only_fitting: bool) -> int:
    """Delete the campaign's rows of staged vehicles that it had excluded: they were judged anew."""
    only = f" WHERE k.slot <> {_NO_SLOT}" if only_fitting else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {Assignment._meta.db_table} WHERE campaign_id = %s AND state = %s"
            f" AND vehicle_id IN (SELECT s.vehicle FROM {_JOINED}{only})",
            [campaign.pk, AssignmentState.EXCLUDED],
        )
        return int(cursor.rowcount)


def waiting(campaign: Campaign) -> dict[str, int]:
    """Return how many of the staged vehicles wait in the campaign for their turn, by stratum."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT a.stratum, count(*) FROM {Assignment._meta.db_table} a"
            " JOIN staged_vehicle s ON s.vehicle = a.vehicle_id"
            " WHERE a.campaign_id = %s AND a.state = %s GROUP BY 1",
            [campaign.pk, AssignmentState.WAITING],
        )
        return dict(cursor.fetchall())


def frozen(campaign: Campaign) -> Frozen:
    """Count the campaign's list as it was written, in one query."""
    verdicts: dict[str, int] = {}
    strata: dict[str, int] = {}
    bands: dict[int, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT verdict, stratum, rank / {1 << ranking.BAND_SHIFT}, count(*)"
            f" FROM {Assignment._meta.db_table} WHERE campaign_id = %s GROUP BY 1, 2, 3",
            [campaign.pk],
        )
        for verdict, stratum, band, count in cursor.fetchall():
            verdicts[verdict] = verdicts.get(verdict, 0) + count
            if verdict == Verdict.FITS:
                strata[stratum] = strata.get(stratum, 0) + count
                bands[band] = bands.get(band, 0) + count
    return Frozen(verdicts, strata, bands)
