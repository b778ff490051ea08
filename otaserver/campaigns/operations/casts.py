"""Who would play a campaign's waves: a sample of each band, with what is known of when each vehicle calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from otaserver.campaigns.errors import NoVehicleFitsError
from otaserver.campaigns.models import Assignment, Campaign, Wave
from otaserver.campaigns.operations import staging, starts
from otaserver.campaigns.queries import bundles
from otaserver.campaigns.rules import ranking
from otaserver.campaigns.rules import waves as rules
from otaserver.campaigns.states import AssignmentState
from otaserver.fleet.models import Vehicle

# How many vehicles of each band are looked at.
SAMPLE = 2000


@dataclass(frozen=True)
class Seen:
    """A vehicle of the sample: its stratum, how long from one call to this moment, and its time zone."""

    stratum: str
    hears_after: float | None
    zone: str


@dataclass(frozen=True)
class Company:
    """Who takes part: how many in all, and for each wave whom to choose from, its places, and how many may fail.

    `silent`: the share of those that were never heard of.
    """

    fitting: int
    roles: Sequence[tuple[Sequence[Seen], int, int]]
    silent: float


@transaction.atomic
def of_group(campaign: Campaign, release: bundles.ReleaseView, *, at: datetime) -> Company:
    """Return who would take part if the campaign started now.

    Raises:
        NoVehicleFitsError: nobody could.
    """
    with staging.staged(campaign, release, starts.targets(campaign), at=at):
        fitting = staging.taking_part_by_band(campaign)
        if not fitting:
            raise NoVehicleFitsError(f"No vehicle fits {release.label}.")
        seen = {band: _read(staging.sample(band, SAMPLE), at=at) for band in fitting}
    waves = list(campaign.waves.select_related("group"))
    places = rules.planned_places(starts.wave_sizes(waves), bulk=fitting.get(ranking.BULK_BAND, 0), grouped=fitting)
    return _company(sum(fitting.values()), waves, places, seen)


def of_list(campaign: Campaign) -> Company:
    """Return who takes part in a campaign that has started, from its list as it was frozen."""
    listed = Assignment.objects.filter(campaign=campaign).exclude(state=AssignmentState.EXCLUDED)
    waves = list(campaign.waves.select_related("group"))
    started_at = campaign.started_at
    assert started_at is not None
    seen = {}
    for band in {_band(wave) for wave in waves}:
        # Every stretch of a band mirrors the strata.
        rows = listed.filter(rank__range=ranking.band_ranks(band)).order_by("rank").values_list("vehicle_id", "stratum")
        seen[band] = _read([(vehicle, stratum) for vehicle, stratum in rows[:SAMPLE]], at=started_at)
    return _company(listed.count(), waves, [wave.places for wave in waves], seen)


def _company(fitting: int, waves: Sequence[Wave], places: Sequence[int], seen: Mapping[int, Sequence[Seen]]) -> Company:
    roles = [(seen.get(_band(wave), []), count, wave.max_failed) for wave, count in zip(waves, places, strict=True)]
    everybody = [vehicle for each in seen.values() for vehicle in each]
    silent = sum(vehicle.hears_after is None for vehicle in everybody)
    return Company(fitting, roles, silent / max(len(everybody), 1))


def _band(wave: Wave) -> int:
    return wave.number if wave.group_id is not None else ranking.BULK_BAND


def _read(sample: Sequence[tuple[int, str]], *, at: datetime) -> list[Seen]:
    rows = Vehicle.objects.filter(pk__in=[pk for pk, _ in sample]).values_list("pk", "last_contact_at", "time_zone")
    known = {pk: (contact, zone) for pk, contact, zone in rows}
    found = []
    for pk, stratum in sample:
        contact, zone = known[pk]
        # One that has called since the moment was as far from it.
        found.append(Seen(stratum, None if contact is None else abs((at - contact).total_seconds()), zone))
    return found
