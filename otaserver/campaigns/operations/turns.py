"""Turns: which vehicles a wave takes in, so many at a time, and who stands in for those that ended neither way."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from otaserver.campaigns.models import Assignment, Attempt, Campaign, Report, Wave
from otaserver.campaigns.rules import ranking
from otaserver.campaigns.rules import waves as rules
from otaserver.campaigns.states import NEUTRAL_STATES, AssignmentState

# How many one tick takes in: a wave of a million is not one transaction.
TAKE_CHUNK = 10_000
# How many neutral ends one tick looks at.
REPLACE_CHUNK = 5000
# In the order of the index's condition: SQLite compares the two word by word.
_NEUTRAL = sorted(NEUTRAL_STATES)


def without_turn(campaign: Campaign) -> QuerySet[Assignment]:
    """Return the campaign's vehicles that no wave has taken in yet."""
    return Assignment.objects.filter(campaign=campaign, state=AssignmentState.WAITING, wave=None)


def has_any(without: QuerySet[Assignment]) -> bool:
    """Return whether any of these vehicles without a turn is there.

    Asked for the first by rank, so that one step in an index answers. "Is there one" alone has PostgreSQL read the
    whole table for a row that it takes to be common, and the last wave has taken in every one of them.
    """
    return without.order_by("rank").values_list("pk", flat=True).first() is not None


def left_for(campaign: Campaign, wave: Wave) -> QuerySet[Assignment]:
    """Return the vehicles that this wave may still take in.

    A group's wave takes the members that were reserved for it at the start, other waves those that are reserved for
    none, and the last one everybody who is left: those too who joined after the start.
    """
    left = without_turn(campaign)
    if wave.group_id is not None:
        return left.filter(rank__range=ranking.band_ranks(wave.number))
    if campaign.waves.filter(number__gt=wave.number).exists():
        return left.filter(rank__range=ranking.band_ranks(ranking.BULK_BAND))
    return left


@dataclass(frozen=True)
class Opening:
    """How many vehicles a wave takes in as it opens, and what `rules.waves.taken_in` said so many by.

    Of what is left no more is counted than the wave has places for, unless it is the last.
    """

    vehicles: int
    places: int
    left: int
    is_last: bool


def begin(campaign: Campaign, wave: Wave) -> Opening:
    """Plan how many vehicles a wave that opens takes in, and return it; `fill` takes them, so many at a time."""
    left = left_for(campaign, wave)
    is_last = not campaign.waves.filter(number__gt=wave.number).exists()
    count = left.count() if is_last else left.order_by("rank")[: wave.places].count()
    wanted = rules.taken_in(places=wave.places, left=count, is_last=is_last)
    wave.untaken = None if is_last else wanted
    Wave.objects.filter(pk=wave.pk).update(untaken=wave.untaken)
    return Opening(wanted, wave.places, count, is_last)


def fill(campaign: Campaign, wave: Wave) -> None:
    """Take in the next vehicles of a wave that has not taken in all that it is to."""
    if wave.untaken == 0:
        return
    chunk = TAKE_CHUNK if wave.untaken is None else min(TAKE_CHUNK, wave.untaken)
    taken = _take(campaign, wave, chunk)
    if taken < chunk:
        wave.untaken = 0
    elif wave.untaken is not None:
        wave.untaken -= taken
    Wave.objects.filter(pk=wave.pk).update(untaken=wave.untaken)


def _take(campaign: Campaign, wave: Wave, count: int) -> int:
    first = left_for(campaign, wave).order_by("rank").values("pk")[:count]
    return Assignment.objects.filter(pk__in=first).update(wave=wave)


@dataclass(frozen=True)
class Refill:
    """How many vehicles a wave took in for neutral ends, and what of `rules.waves.refill` said so many."""

    vehicles: int
    places: int
    counting: int
    in_vain: int
    left: int


def refill(campaign: Campaign, wave: Wave) -> Refill | None:
    """Take in vehicles for those that ended neither way since the last tick; None: there are none to take in.

    Each that was replaced is marked so: a tick looks at those alone whose mark and state disagree. One that came to
    life again after it was replaced stands for the next that would be.
    """
    if not has_any(left_for(campaign, wave)):
        return None
    ended = wave.assignments.filter(state__in=_NEUTRAL, is_replaced=False).order_by("pk")
    vacant = list(ended.values_list("pk", flat=True)[:REPLACE_CHUNK])
    if not vacant:
        return None
    come_back = wave.assignments.filter(Q(is_replaced=True) & ~Q(state__in=_NEUTRAL)).order_by("pk")
    surplus = list(come_back.values_list("pk", flat=True)[: len(vacant)])
    if surplus:
        Assignment.objects.filter(pk__in=surplus).update(is_replaced=False)
        Assignment.objects.filter(pk__in=vacant[: len(surplus)]).update(is_replaced=True)
    vacant = vacant[len(surplus) :]
    found = _wanted(campaign, wave, len(vacant)) if vacant else None
    if found is None or not found.vehicles:
        return None
    _take(campaign, wave, found.vehicles)
    Assignment.objects.filter(pk__in=vacant[: found.vehicles]).update(is_replaced=True)
    wave.replaced += found.vehicles
    Wave.objects.filter(pk=wave.pk).update(replaced=wave.replaced)
    return found


def _wanted(campaign: Campaign, wave: Wave, missing: int) -> Refill:
    left = left_for(campaign, wave).order_by("rank")[:missing].count()
    may_exhaust = rules.may_exhaust_tries(places=wave.places, missing=missing, replaced=wave.replaced)
    in_vain = _tried_in_vain(wave) if left and may_exhaust else 0
    basis = {"places": wave.places, "counting": wave.places - missing, "in_vain": in_vain, "left": left}
    return Refill(vehicles=rules.refill(**basis), **basis)


def _tried_in_vain(wave: Wave) -> int:
    # A call or a report since an attempt was opened: the vehicle may have met the release. One that only called after
    # it had lapsed looks the same, and errs on the side of asking.
    heard = Q(opened_at__lte=OuterRef("vehicle__last_contact_at")) | Exists(
        Report.objects.filter(attempt=OuterRef("pk"))
    )
    tries = Attempt.objects.filter(heard, assignment=OuterRef("pk"))
    return wave.assignments.filter(Exists(tries), state__in=_NEUTRAL).count()
