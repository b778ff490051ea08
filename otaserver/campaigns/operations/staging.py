"""Freezing lists of vehicles: the database finds the kinds that a fleet has, the rules judge each kind once, and one
INSERT … SELECT writes the list. No vehicle's row is read here, so that memory does not grow with the fleet.

Two temporary tables hold the moment: the vehicles as they are in one snapshot, and the kinds with their verdicts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from otaserver.campaigns.models import Assignment, Campaign, Wave
from otaserver.campaigns.operations import kinds
from otaserver.campaigns.operations.kinds import Kind
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import ranking
from otaserver.campaigns.states import AssignmentState, Verdict
from otaserver.fleet.models import Vehicle

_CHUNK = 500
_COLUMNS = ("vehicle", "configuration", "protocol", "flags", "block_list", "band", "hash")
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
        rows = kinds.of_each(campaign, vehicles, at=at, is_late=is_late)
        statement, values = rows.query.sql_with_params()
        cursor.execute(f"INSERT INTO staged_vehicle ({', '.join(_COLUMNS)}) {statement}", values)
        cursor.execute(
            "SELECT DISTINCT configuration, protocol, flags, block_list FROM staged_vehicle ORDER BY 1, 2, 3, 4"
        )
        _stage_kinds(campaign, release, [Kind(*row) for row in cursor.fetchall()])
    yield
    # After an error there is nothing to drop: the transaction takes both with it.
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE staged_vehicle")
        cursor.execute("DROP TABLE staged_kind")


def _stage_kinds(campaign: Campaign, release: bundles.ReleaseView, found: Sequence[Kind]) -> None:
    slots: dict[str, int] = {}
    judged = kinds.judge(campaign, release, found)
    while chunk := list(islice(judged, _CHUNK)):
        rows = [
            (
                *(each.kind.configuration, each.kind.protocol, each.kind.flags, each.kind.block_list),
                slots.setdefault(each.stratum, len(slots) + 1) if each.match.verdict == Verdict.FITS else _NO_SLOT,
                *(str(each.match.verdict), each.match.detail, each.stratum),
            )
            for each in chunk
        ]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO staged_kind VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", rows)


def fitting_by_band() -> dict[int, int]:
    """Return how many of the staged vehicles fit, by band."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT s.band, count(*) FROM {_JOINED} WHERE k.slot <> {_NO_SLOT} GROUP BY 1")
        return dict(cursor.fetchall())


def taking_part_by_band(campaign: Campaign) -> dict[int, int]:
    """Return how many of the staged vehicles fit and would be updated, by band: those held out are not."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT band, count(*) FROM ({_PLACED.format(only='')}) placed WHERE {_TAKES_PART} GROUP BY 1",
            _held_out(campaign),
        )
        return dict(cursor.fetchall())


def _held_out(campaign: Campaign) -> dict[str, int]:
    return {
        "thousandths": ranking.thousandths(campaign.control_percent),
        "late_limit": ranking.late_control_limit(campaign.control_percent),
    }


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
        **_held_out(campaign),
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
