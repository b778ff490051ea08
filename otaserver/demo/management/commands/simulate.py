"""`manage.py simulate`: a campaign over a fleet of real clients, server and all on a virtual clock."""

import logging
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.models import Q
from rich.console import Console
from rich.table import Table

from clients.fleet.behaviour import ANY_RELEASE, Behaviour
from clients.fleet.habits import Life
from clients.fleet.plan import FleetPlan
from clients.fleet.report import read_fleet
from clients.fleet.schedule import VirtualClock, run_virtual
from clients.fleet.simulation import build_fleet
from clients.publisher.errors import PublisherError
from otaserver import clock
from otaserver.campaigns.models import Attempt, Campaign
from otaserver.campaigns.states import CampaignState, WaveState
from otaserver.demo import simulated_campaign, verdicts
from otaserver.demo.firmware import make_up_firmware
from otaserver.demo.fleet_plan import plan_fleet, release_label
from otaserver.demo.own_folder import restart_in_own_folder
from otaserver.demo.scenario import Operator, notes_for
from otaserver.demo.simulated_campaign import NAME
from otaserver.demo.ticks import tick
from otaserver.embedded import first_start
from otaserver.wsgi import without_front

OLD, NEW = "1.0", "2.0"
URL = "http://testserver"
START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
ENDED = (CampaignState.COMPLETED, CampaignState.HALTED, CampaignState.CANCELLED)


class Command(BaseCommand):
    help = "Try a campaign on a simulated fleet, server and vehicles in this process, on a virtual clock."

    def add_arguments(self, parser: ArgumentParser) -> None:
        number = parser.add_argument_group("fleet")
        number.add_argument("--vehicles", type=int, default=200)
        number.add_argument("--seed", type=int, default=1, help="the same seed gives the same fleet")
        number.add_argument("--polling-minutes", type=float, default=60)
        share = parser.add_argument_group("what the new release does (shares of the vehicles, 0 to 1)")
        for name in ("install-failure", "health-failure", "silence", "slow", "offline"):
            share.add_argument(f"--{name}", type=simulated_campaign.share, default=0.0)
        share.add_argument("--slow-minutes", type=float, default=60)
        share.add_argument("--offline-hours", type=float, default=12)
        simulated_campaign.add_habit_arguments(parser)
        simulated_campaign.add_plan_arguments(parser)
        parser.add_argument("--tick-minutes", type=float, default=5, help="how often the engine looks at the campaign")
        parser.add_argument("--days", type=float, default=30, help="give up after this virtual time")

    def handle(self, *args: Any, **options: Any) -> None:
        restart_in_own_folder("simulation")
        began = time.monotonic()
        # Every vehicle's log in one terminal would say nothing; the decisions are the report.
        logging.disable(logging.WARNING)
        # One connection for the whole run: closing SQLite's after each request costs more than many of them.
        connection.settings_dict["CONN_MAX_AGE"] = None
        virtual = VirtualClock(START)
        try:
            with clock.using(virtual):
                self._simulate(virtual, options, began)
        except PublisherError as error:
            raise CommandError(f"{error.code}: {error}") from error

    def _simulate(self, virtual: VirtualClock, options: Mapping[str, Any], began: float) -> None:
        made = first_start.prepare(settings.VAR_DIR, at=virtual())
        if made is None:
            raise CommandError(f"{settings.VAR_DIR} is in use by another simulation.")
        transport = httpx.WSGITransport(app=without_front)
        with Operator.at(URL, made.token, settings.VAR_DIR, transport=transport, clock=virtual) as operator:
            plan = self._prepare(operator, options)
            folder = settings.VAR_DIR / "fleet"
            fleet = build_fleet(
                plan,
                folder=folder,
                server_url=URL,
                transport=transport,
                clock=virtual,
                sleep=virtual.sleep,
            )
            run = _Run(operator, options, [vehicle.life for vehicle in fleet])
            run_virtual(
                [vehicle.take_turn for vehicle in fleet],
                virtual,
                until=START + timedelta(days=options["days"]),
                spread_seconds=plan.polling_seconds,
                tick=run.tick,
                tick_seconds=options["tick_minutes"] * 60,
                is_done=run.is_done,
            )
            disks = read_fleet(folder, plan.releases)
            self._report(run, disks.by_release, virtual() - START, began)
            problems = run.judge({disk.vehicle_id: disk.release == release_label(NEW) for disk in disks.vehicles})
            if problems:
                raise CommandError("\n".join([f"{len(problems)} problems:", *problems]))

    def _prepare(self, operator: Operator, options: Mapping[str, Any]) -> FleetPlan:
        operator.establish_trust(polling_seconds=round(options["polling_minutes"] * 60))
        firmware = {version: make_up_firmware(settings.VAR_DIR / "firmware", version) for version in (OLD, NEW)}
        for version, files in firmware.items():
            operator.publish(version, files, notes_for(version))
        behaviours = {
            release_label(NEW): Behaviour(
                install_failure=options["install_failure"],
                health_failure=options["health_failure"],
                silence=options["silence"],
                slow=options["slow"],
                slow_seconds=options["slow_minutes"] * 60,
            ),
            ANY_RELEASE: Behaviour(offline=options["offline"], offline_seconds=options["offline_hours"] * 3600),
        }
        return plan_fleet(
            operator.claim_codes(options["vehicles"]),
            factory=firmware[OLD],
            versions=(OLD, NEW),
            behaviours=behaviours,
            roots=operator.roots,
            polling_seconds=options["polling_minutes"] * 60,
            seed=options["seed"],
            habits=simulated_campaign.habits_of(options),
        )

    def _report(self, run: "_Run", disks: Mapping[str, int], virtual: timedelta, began: float) -> None:
        console = Console(highlight=False)
        if not Campaign.objects.exists():
            console.print("The fleet had not enrolled when the time was over.")
            return
        campaign = run.operator.publisher.campaigns.show(NAME)
        table = Table("after", "decision", "why", title=f"Campaign {campaign['state']}")
        for decision in run.operator.decisions(NAME):
            after = datetime.fromisoformat(decision["at"]) - START
            table.add_row(_hours(after), decision["kind"], decision["sentence"])
        console.print(table)
        counts = ", ".join(f"{count} {state}" for state, count in campaign["counts"].items() if count)
        console.print(f"Database: {counts}.")
        console.print("Disks: " + ", ".join(f"{count} on {release}" for release, count in disks.items()) + ".")
        console.print(f"{_hours(virtual)} of virtual time in {time.monotonic() - began:.0f} s.")


class _Run:
    """The operator's part: starts the campaign once the fleet is there, and sees when and how it has ended."""

    def __init__(self, operator: Operator, options: Mapping[str, Any], lives: Sequence[Life]) -> None:
        self.operator = operator
        self._options = options
        self._lives = lives
        self._is_started = False

    def tick(self) -> None:
        tick()
        if not self._is_started and self.operator.count_confirmed(OLD) == self._options["vehicles"]:
            self._is_started = True
            simulated_campaign.start(self.operator, self._lives, self._options, versions=(OLD, NEW), at=clock.now())

    def is_done(self) -> bool:
        # Undecided: a person would have to decide, and there is none.
        return Campaign.objects.filter(Q(state__in=ENDED) | Q(waves__state=WaveState.UNDECIDED), name=NAME).exists()

    def judge(self, runs_new: Mapping[str, bool]) -> list[str]:
        """Print why vehicles were not updated, truly and by the server, and return what is not as it must be."""
        campaign = Campaign.objects.filter(name=NAME).first()
        if campaign is None:
            return []
        problems = self._judge_installations(campaign)
        if campaign.state == CampaignState.COMPLETED:
            problems += self._judge_answers(campaign, runs_new)
        elif self._options["ends_after_days"] is not None and campaign.state not in ENDED:
            problems.append(f"The campaign is {campaign.state} although its end was to come before.")
        return problems

    def _judge_installations(self, campaign: Campaign) -> list[str]:
        windows, pace = simulated_campaign.windows_of(self._options), self._options["offers_per_minute"]
        problems = [each for life in self._lives for each in verdicts.outside_window(life, windows)]
        if self._options["consent"] != "none":
            problems += [each for life in self._lives for each in verdicts.without_consent(life)]
        if pace is not None:
            offered_at = Attempt.objects.filter(assignment__campaign=campaign).values_list("opened_at", flat=True)
            problems += verdicts.faster_than(pace, list(offered_at))
        return problems

    def _judge_answers(self, campaign: Campaign, runs_new: Mapping[str, bool]) -> list[str]:
        api = self.operator.publisher.api
        found = verdicts.judge_answers(
            self._lives,
            runs_new=runs_new,
            assignments={each["vehicle"]: each for each in api.rows(f"/campaigns/{campaign.pk}/assignments")},
            explanations={life.vehicle_id: api.get(f"/vehicles/{life.vehicle_id}/explanation") for life in self._lives},
        )
        table = Table("truly", "the server's answer", "vehicles", title="Why vehicles were or were not updated")
        for (truly, answered), count in sorted(found.table.items()):
            table.add_row(truly, answered, str(count))
        Console(highlight=False).print(table)
        return found.problems


def _hours(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"
