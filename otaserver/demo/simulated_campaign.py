"""The campaign of a simulation, made from the command's options with the publisher's tools."""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from clients.fleet.habits import Habits, Life
from clients.publisher.timing import read_precondition, read_window
from otaserver.demo.scenario import GROUP, Operator

NAME = "simulated"
PRODUCT = "city-car"


def add_habit_arguments(parser: ArgumentParser) -> None:
    """Declare what vehicles and owners do whatever the release is."""
    habit = parser.add_argument_group("vehicles and owners (shares of the vehicles, together at most 1)")
    habit.add_argument("--zones", default="UTC", help="time zones, spread over the fleet")
    habit.add_argument("--night-hours", type=float, default=0, help="out of reach from midnight on, by its own clock")
    for name in ("refusal", "postponement", "no-answer", "flat", "late-charge", "disappearance"):
        habit.add_argument(f"--{name}", type=share, default=0.0)
    habit.add_argument("--postponements", type=int, default=2, help="how often at most an owner puts it off")
    habit.add_argument("--charge-days", type=float, default=2)


def add_plan_arguments(parser: ArgumentParser) -> None:
    """Declare the campaign's plan."""
    plan = parser.add_argument_group("campaign")
    plan.add_argument("--waves", default="5,25,100", help="cumulative percents")
    plan.add_argument("--wave-limit", type=int, default=2, help="vehicles that may fail in a wave")
    plan.add_argument("--soak-hours", type=float, default=4)
    plan.add_argument("--window", action="append", default=[], help="like 'mon-fri 22:00-06:00'")
    plan.add_argument("--precondition", action="append", default=[], help="like 'state_of_charge >= 40'")
    plan.add_argument("--offers-per-minute", type=int)
    plan.add_argument("--consent", choices=["none", "ask", "ask_with_deadline"], default="none")
    plan.add_argument("--consent-postponements", type=int)
    plan.add_argument("--ends-after-days", type=float)


def habits_of(options: Mapping[str, Any]) -> Habits:
    """Return what the options say of vehicles and owners."""
    names = ("night_hours", "refusal", "postponement", "postponements", "no_answer", "flat", "late_charge")
    return Habits(
        zones=tuple(zone.strip() for zone in options["zones"].split(",")),
        charge_days=options["charge_days"],
        disappearance=options["disappearance"],
        **{name: options[name] for name in names},
    )


def windows_of(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the plan's windows as the API takes them."""
    return [read_window(text) for text in options["window"]]


def start(
    operator: Operator, lives: Sequence[Life], options: Mapping[str, Any], *, versions: tuple[str, str], at: datetime
) -> None:
    """Tell the server each vehicle's time zone, and bring the campaign from its draft to its start."""
    for life in lives:
        if life.zone != "UTC":
            path = f"/vehicles/{quote(life.vehicle_id, safe='')}/time-zone"
            operator.publisher.api.post(path, {"time_zone": life.zone})
    operator.make_group(options["vehicles"])
    old, new = versions
    campaigns = operator.publisher.campaigns
    campaigns.create(
        NAME,
        release=(PRODUCT, new),
        group=GROUP,
        waves=[
            {"percent": percent.strip(), "max_failed": options["wave_limit"]} for percent in options["waves"].split(",")
        ],
        fallback=(PRODUCT, old),
        settings=_settings(options, at=at),
    )
    for action in ("submit", "approve", "start"):
        campaigns.act(NAME, action)


def _settings(options: Mapping[str, Any], *, at: datetime) -> dict[str, Any]:
    days = options["ends_after_days"]
    stated = {
        "offers_per_minute": options["offers_per_minute"],
        "consent_postponements": options["consent_postponements"],
        "ends_at": None if days is None else (at + timedelta(days=days)).isoformat(),
    }
    return {
        "soak_seconds": round(options["soak_hours"] * 3600),
        "wave_rule": "proceed",
        "windows": windows_of(options),
        "preconditions": [read_precondition(text) for text in options["precondition"]],
        "consent": options["consent"],
        **{name: value for name, value in stated.items() if value is not None},
    }


def share(text: str) -> float:
    """Read a share of the vehicles."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is not between 0 and 1")
    return value
