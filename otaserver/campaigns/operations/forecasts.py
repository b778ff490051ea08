"""What would come of a campaign, before it is launched: rehearsals with this fleet's poll rhythm, windows and pace.

A vehicle that was last heard of so long ago is, seen from a random moment, as far from its next call as it is from its
last one (a renewal process looks the same in both directions). So the ages of last contacts are how long vehicles will
take to hear of an offer; those that were never heard of will not.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from statistics import fmean, median

from otaserver.campaigns.errors import PlanRefusedError
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import casts, checks
from otaserver.campaigns.operations.casts import Company, Seen
from otaserver.campaigns.queries import bundles, schedules
from otaserver.campaigns.queries.gates import gate_plan
from otaserver.campaigns.rules import prospects, rehearsal, windows
from otaserver.campaigns.rules.prospects import Prospect
from otaserver.campaigns.rules.rehearsal import Member, Rehearsal, RehearsedWave, Script, Truth
from otaserver.campaigns.rules.windows import Window
from otaserver.campaigns.states import CampaignKind, CampaignState
from otaserver.fleet.rules import zone_of

RATES = (0.001, 0.005, 0.02, 0.05, 0.2)
MAX_RATES = 10
MAX_RUNS = 50
# How many members play one wave: each stands for several, if need be.
MEMBERS = 500
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Outlook:
    """What comes of the campaign if so many vehicles that install fail. Seconds count from its start.

    `wave_ends`: the median over the runs in which the wave ended, None where it never did. `broken` is the mean,
    `most_broken` the worst run. `load`: mean bytes on the wire by hours since the start. `prospect`: its mean course,
    with bytes counted as they are ordered.
    """

    rate: float
    halted: float
    halted_after: float | None
    broken: float
    most_broken: int
    unreached: float
    asked: float
    wave_ends: Sequence[float | None]
    load: Mapping[int, int]
    prospect: Prospect


@dataclass(frozen=True)
class Forecast:
    """What would come of a campaign started at `starts_at`, for each true failure rate."""

    starts_at: datetime
    fitting: int
    places: Sequence[int]
    never_heard_of: float
    outlooks: Sequence[Outlook]


def forecast_campaign(
    campaign: Campaign, *, at: datetime, rates: Sequence[float] = RATES, runs: int = 10, seed: int = 1
) -> Forecast:
    """Rehearse a campaign that has not started. The same seed gives the same forecast; nothing is stored.

    Raises:
        InvalidTransitionError: it has started.
        PlanRefusedError: it has no waves to rehearse, or the rates or runs are out of range.
        ReleaseNotPublishedError: see `checks`.
        NoVehicleFitsError: no vehicle could take part now.
    """
    checks.require_state(campaign, *checks.NOT_STARTED)
    problem = _problem(campaign, rates, runs)
    if problem is not None:
        raise PlanRefusedError(problem)
    release = checks.require_published(campaign.release)
    company = casts.of_group(campaign, release, at=at)
    return _Stage(campaign, release, company, max(at, campaign.starts_at or at)).play(rates, runs, seed)


def forecast_started(
    campaign: Campaign, *, at: datetime, rates: Sequence[float] = RATES, runs: int = 10, seed: int = 1
) -> Forecast:
    """Rehearse a campaign that has just started, with its list as it was frozen; as it was to be from its start on.

    The longer ago it started, the less the times of last contacts say: see `kept_forecasts`.

    Raises:
        InvalidTransitionError: it has not started, or it no longer runs.
        PlanRefusedError: see `forecast_campaign`.
    """
    checks.require_state(campaign, CampaignState.RUNNING)
    problem = _problem(campaign, rates, runs)
    if problem is not None:
        raise PlanRefusedError(problem)
    release = bundles.release_view(campaign.release)
    return _Stage(campaign, release, casts.of_list(campaign), campaign.started_at or at).play(rates, runs, seed)


class _Stage:
    """All that the runs of a forecast share."""

    def __init__(self, campaign: Campaign, release: bundles.ReleaseView, company: Company, starts_at: datetime) -> None:
        self._campaign, self._release, self._company, self._starts_at = campaign, release, company, starts_at
        self._opens_at = _Openings(schedules.windows_of(campaign), campaign, starts_at)

    def play(self, rates: Sequence[float], runs: int, seed: int) -> Forecast:
        company = self._company
        outlooks = [
            _outlook(rate, [self._once(rate, seed * MAX_RUNS + n) for n in range(runs)], len(company.roles))
            for rate in rates
        ]
        places = [count for _, count, _ in company.roles]
        return Forecast(self._starts_at, company.fitting, places, company.silent, outlooks)

    def _once(self, rate: float, seed: int) -> Rehearsal:
        rng = random.Random(seed)
        lengths = _Lengths(self._release)
        waves = [RehearsedWave(_cast(seen, places, lengths, rng), most) for seen, places, most in self._company.roles]
        script = _script(self._campaign, waves, ends_after=self._opens_at.ends_after)
        return rehearsal.rehearse(script, Truth(rate), seed=seed, opens_at=self._opens_at)


def _problem(campaign: Campaign, rates: Sequence[float], runs: int) -> str | None:
    if campaign.kind != CampaignKind.ROLLOUT:
        return f"{campaign} is a {campaign.get_kind_display().lower()}; only rollouts in waves are forecast."
    if not 1 <= len(rates) <= MAX_RATES or any(not 0 <= rate <= 1 for rate in rates):
        return f"A forecast is for 1 to {MAX_RATES} failure rates from 0 to 1, not {list(rates)}."
    if not 1 <= runs <= MAX_RUNS:
        return f"A forecast plays 1 to {MAX_RUNS} runs for each rate, not {runs}."
    return None


class _Lengths:
    """What vehicles of each stratum have to fetch of a release: the packages for their own hardware."""

    def __init__(self, release: bundles.ReleaseView) -> None:
        self._packages = list(release.packages.values())
        self._known = {hardware_id for package in self._packages for hardware_id in package.hardware_ids}
        self._total = sum(package.length for package in self._packages)

    def of(self, stratum: str) -> int:
        own = set(stratum.split("+"))
        if not own <= self._known:
            # Its name is too long to say all of its hardware.
            return self._total
        return sum(package.length for package in self._packages if own & set(package.hardware_ids))


def _cast(seen: Sequence[Seen], places: int, lengths: _Lengths, rng: random.Random) -> list[Member]:
    """Choose who plays a wave: as many members as it has places, or fewer that stand for several vehicles each."""
    if not places or not seen:
        return []
    weight = -(-places // MEMBERS)
    full, rest = divmod(places, weight)
    chosen = rng.choices(seen, k=full + (rest > 0))
    weights = [weight] * full + [rest] * (rest > 0)
    return [
        Member(each.stratum, each.hears_after, each.zone, weight=count, length=lengths.of(each.stratum))
        for each, count in zip(chosen, weights, strict=True)
    ]


def _script(campaign: Campaign, waves: Sequence[RehearsedWave], *, ends_after: float | None) -> Script:
    return Script(
        plan=gate_plan(campaign),
        waves=waves,
        soak_seconds=campaign.soak_seconds,
        is_stratified=campaign.is_stratified,
        is_dynamic=campaign.is_dynamic,
        wave_rule=campaign.wave_rule,
        failure_budget=campaign.failure_budget,
        max_failed=campaign.max_failed,
        max_in_flight=campaign.max_in_flight,
        offers_per_minute=campaign.offers_per_minute,
        bytes_per_hour=campaign.bytes_per_hour,
        downloads_early=campaign.downloads_early,
        ends_after=ends_after,
        offer_timeout_seconds=campaign.offer_timeout_seconds,
        download_timeout_seconds=campaign.download_timeout_seconds,
        install_timeout_seconds=campaign.install_timeout_seconds,
    )


class _Openings:
    """When a campaign's windows are open next in a zone, in seconds since its start."""

    def __init__(self, listed: Sequence[Window], campaign: Campaign, starts_at: datetime) -> None:
        self._windows = listed
        self._starts_at = starts_at
        self.ends_after = None if campaign.ends_at is None else (campaign.ends_at - starts_at).total_seconds()
        self._of_day = lru_cache(maxsize=None)(self._read_day)

    def __call__(self, zone: str, moment: float) -> float | None:
        opens = self._next(zone, moment) if self._windows else moment
        return opens if opens is not None and (self.ends_after is None or opens < self.ends_after) else None

    def _next(self, zone: str, moment: float) -> float | None:
        first = int(moment // _DAY.total_seconds())
        # In eight days each weekday has come.
        for day in range(first, first + 9):
            for start, end in self._of_day(zone, day):
                if end > moment:
                    return max(start, moment)
        return None

    def _read_day(self, zone: str, day: int) -> list[tuple[float, float]]:
        known = zone_of(zone)
        if known is None:
            return []
        begins = self._starts_at + day * _DAY
        found = windows.openings(self._windows, known, begins, begins + _DAY)
        return [
            ((each.start - self._starts_at).total_seconds(), (each.end - self._starts_at).total_seconds())
            for each in found
        ]


def _outlook(rate: float, played: Sequence[Rehearsal], waves: int) -> Outlook:
    halts = [each.halted_at for each in played if each.halted_at is not None]
    ends: list[float | None] = []
    for wave in range(waves):
        ended = [each.wave_ends[wave] for each in played if wave < len(each.wave_ends)]
        # Only where most runs come so far is there an end to speak of.
        ends.append(median(ended) if 2 * len(ended) > len(played) else None)
    hours = sorted({hour for each in played for hour in each.load})
    return Outlook(
        rate=rate,
        halted=len(halts) / len(played),
        halted_after=median(halts) if halts else None,
        broken=fmean(each.broken for each in played),
        most_broken=max(each.broken for each in played),
        unreached=fmean(each.unreached for each in played),
        asked=sum(bool(each.asked) for each in played) / len(played),
        wave_ends=ends,
        load={hour: round(fmean(each.load.get(hour, 0) for each in played)) for hour in hours},
        prospect=prospects.prospect([each.moments for each in played]),
    )
