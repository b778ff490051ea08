"""Whether a simulated campaign kept to its plan, and whether the server knows why a vehicle was not updated."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from clients.fleet.habits import CHARGE, Cause, Life
from otaserver.campaigns.states import SETTLED_STATES, AssignmentState

UPDATED = "updated"
# What the answer must hold, all of it, to tell the true cause.
TELLING: Mapping[Cause, tuple[str, ...]] = {
    Cause.NOT_ASKED: ("campaign_ended",),
    Cause.REFUSED: ("assignment.refused", "consent_refused"),
    Cause.POSTPONED: ("campaign_ended", "held (consent)"),
    Cause.UNANSWERED: ("campaign_ended", "held (consent)"),
    Cause.CHARGE: ("campaign_ended", "held (precondition)", CHARGE),
    Cause.INSTALL: ("assignment.failed", "install_failed"),
    Cause.HEALTH: ("assignment.failed", "health_failed"),
    Cause.SILENT: ("assignment.failed", "silent"),
    Cause.GONE: ("vehicle.silent",),
    # Its owner agreed and its state was good: only time was lacking.
    Cause.NOTHING: ("campaign_ended",),
}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass
class Findings:
    """`table` counts vehicles by (true cause, the server's answer); no problem is good."""

    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def judge_answers(
    lives: Sequence[Life],
    *,
    runs_new: Mapping[str, bool],
    assignments: Mapping[str, Mapping[str, Any]],
    explanations: Mapping[str, Mapping[str, Any]],
) -> Findings:
    """Compare vehicle by vehicle what its own disk and hooks know with its assignment and `explanation`."""
    found = Findings()
    for life in lives:
        name = life.vehicle_id
        state = assignments[name]["state"]
        if state not in SETTLED_STATES:
            found.problems.append(f"{name}: it is not settled but {state}.")
        # What runs it and has gone away since was updated too, and so was what nothing had to be asked of.
        if runs_new[name] and life.cause in (Cause.NOTHING, Cause.NOT_ASKED, Cause.GONE):
            found.table[UPDATED, f"assignment.{state}"] += 1
            if state != AssignmentState.SUCCEEDED:
                found.problems.append(f"{name}: it was updated, but is {state}.")
            continue
        answers = [f"{each['code']} {each['value']} {each['sentence']}" for each in explanations[name]["answers"]]
        missing = [part for part in TELLING[life.cause] if not any(part in answer for answer in answers)]
        found.table[life.cause, _short(explanations[name], assignments[name])] += 1
        if missing:
            found.problems.append(f"{name}: {life.cause}, but {', '.join(missing)} is not in {answers}.")
    return found


def outside_window(life: Life, windows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the installations outside all of the windows (as the API declares them) by the vehicle's own clock."""
    zone = ZoneInfo(life.zone)
    return [
        f"{life.vehicle_id}: it installed at {at.astimezone(zone):%a %H:%M} {life.zone}, outside its windows."
        for at in life.switched.values()
        if windows and not any(_is_open(window, at.astimezone(zone)) for window in windows)
    ]


def without_consent(life: Life) -> list[str]:
    """Return the installations to which the owner had not agreed, nor been told that they go ahead."""
    return [
        f"{life.vehicle_id}: it installed attempt {attempt} without consent."
        for attempt in life.switched
        if attempt not in life.agreed
    ]


def faster_than(offers_per_minute: int, offered_at: Sequence[datetime]) -> list[str]:
    """Return where more vehicles were offered the release within a minute than the pace allows."""
    times = sorted(offered_at)
    late = [
        first
        for first, last in zip(times, times[offers_per_minute:], strict=False)
        if last - first < timedelta(minutes=1)
    ]
    # One line for each burst.
    bursts = late[:1] + [at for before, at in pairwise(late) if at - before >= timedelta(minutes=1)]
    return [f"More than {offers_per_minute} offers in the minute from {at:%Y-%m-%d %H:%M:%S} on." for at in bursts]


def _is_open(window: Mapping[str, Any], local: datetime) -> bool:
    now = local.replace(tzinfo=None)
    hour, minute = map(int, window["start"].split(":"))
    for back in range(8):
        day = (now - timedelta(days=back)).replace(hour=hour, minute=minute, second=0, microsecond=0)
        is_chosen = _WEEKDAYS[day.weekday()] in window["weekdays"]
        if is_chosen and day <= now < day + timedelta(minutes=window["length_minutes"]):
            return True
    return False


def _short(explanation: Mapping[str, Any], assignment: Mapping[str, Any]) -> str:
    codes = [each["code"] for each in explanation["answers"]]
    held = assignment["message"].partition("the vehicle held (")[2].partition(")")[0]
    return " ".join(part for part in (", ".join(codes), assignment["code"], held and f"held: {held}") if part)
