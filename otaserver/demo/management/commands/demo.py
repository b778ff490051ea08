"""`manage.py demo`: signed firmware through staged campaigns into a hundred vehicles; a bad release and its end."""

import time
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from clients.fleet.behaviour import Behaviour
from clients.fleet.plan import FleetPlan, save_plan
from clients.publisher.errors import PublisherError
from otaserver.demo.display import CampaignDisplay, Counting
from otaserver.demo.firmware import VERSIONS, Firmware, fetch_firmware
from otaserver.demo.fleet_plan import BAD_REVISION, plan_fleet, release_label
from otaserver.demo.own_folder import restart_in_own_folder
from otaserver.demo.processes import running_fleet, running_server, stop_on_signals
from otaserver.demo.scenario import Operator, notes_for
from otaserver.demo.summary import Summary, summarize
from otaserver.tenants.models import Tenant

OLD, GOOD, BAD = VERSIONS


class Command(BaseCommand):
    help = "Watch signed firmware go through staged campaigns into a hundred simulated vehicles."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="end after the summary; exit 0 only if all figures agree"
        )
        parser.add_argument("--vehicles", type=int, default=100, help="how many vehicles (50 to 1000)")

    def handle(self, *args: Any, once: bool, vehicles: int, **options: Any) -> None:
        if not 50 <= vehicles <= 1000:
            # Of fewer, too few have the bad revision for the gate to be sure.
            raise CommandError(f"--vehicles {vehicles}: 50 to 1000.")
        restart_in_own_folder("demo")
        stop_on_signals()
        self.console = Console(highlight=False)
        self.plan_file = settings.VAR_DIR / "fleet.json"
        self.fleet_folder = settings.VAR_DIR / "fleet"
        try:
            self._run(once=once, count=vehicles)
        except PublisherError as error:
            raise CommandError(f"{error.code}: {error}") from error
        except KeyboardInterrupt:
            self.console.print("Stopped.")
            if once:
                raise CommandError("It was stopped before its end.") from None

    def _run(self, *, once: bool, count: int) -> None:
        began = time.monotonic()
        firmware = fetch_firmware(settings.VAR_DIR.parent / "firmware")
        if not all(each.is_real for each in firmware.values()):
            self.console.print("[yellow]No package index answered: the firmware is generated, not real.[/]")
        with running_server(settings.VAR_DIR / "demo.log") as url:
            self._say(f"Server: {url}/console/  (user admin, password in {settings.VAR_DIR / 'console-password'})")
            token = (settings.VAR_DIR / "operator-token").read_text().strip()
            with Operator.at(url, token, settings.VAR_DIR) as operator:
                plan = self._publish(operator, firmware, count)
                with running_fleet(self.plan_file, self.fleet_folder, url, settings.VAR_DIR / "fleet.log"):
                    self._run_campaigns(operator, count)
            tenant = Tenant.objects.get(name="default")
            summary = summarize(tenant, self.fleet_folder, plan.releases, expected=release_label(GOOD))
            self._show_summary(summary, time.monotonic() - began)
            if not once:
                self._stay(url)
        if summary.disagreements:
            raise CommandError(f"{len(summary.disagreements)} disagreements.")

    def _publish(self, operator: Operator, firmware: Mapping[str, Firmware], count: int) -> FleetPlan:
        self._say("Making keys, signing the first roots.")
        operator.establish_trust()
        for version in VERSIONS:
            size = sum(path.stat().st_size for path in firmware[version].files.values())
            self._say(f"Signing and publishing {release_label(version)}: 3 packages, {size:,} bytes.")
            operator.publish(version, firmware[version], notes_for(version))
        codes = operator.claim_codes(count)
        plan = plan_fleet(
            codes,
            factory=firmware[OLD],
            versions=tuple(VERSIONS),
            behaviours={release_label(BAD): Behaviour(failing_hardware=(BAD_REVISION,))},
            roots=operator.roots,
        )
        save_plan(plan, self.plan_file)
        return plan

    def _run_campaigns(self, operator: Operator, count: int) -> None:
        with Counting(self.console, f"vehicles enrolled, {release_label(OLD)} confirmed", count) as counting:
            operator.wait_for_fleet(count, OLD, counting.show)
        operator.make_group(count)
        self._campaign(operator, f"Bring {release_label(GOOD)} to everybody", "good", GOOD, OLD)
        self._say(f"Now a release that fails its health check on hardware {BAD_REVISION}.")
        ended = self._campaign(operator, f"Bring {release_label(BAD)} to everybody", "bad", BAD, GOOD)
        if ended["state"] != "halted":
            raise CommandError(f"The gate did not halt the bad release: the campaign is {ended['state']}.")
        with CampaignDisplay(self.console, f"Roll back to {release_label(GOOD)}") as display:
            operator.roll_back("bad", "back", GOOD, display.show)

    def _campaign(self, operator: Operator, title: str, name: str, version: str, fallback: str) -> Mapping[str, Any]:
        with CampaignDisplay(self.console, title) as display:
            ended = operator.roll_out(name, version, fallback, display.show)
            display.show(ended)
        colour = "green" if ended["state"] == "completed" else "red"
        self.console.print(f"  [{colour}]{ended['state']}[/] {ended['reason']}")
        return ended

    def _show_summary(self, summary: Summary, seconds: float) -> None:
        table = Table("campaign", "state", "vehicles", "why", title="What the database says")
        for name, state, counts, reason in summary.campaigns:
            table.add_row(name, state, ", ".join(f"{n} {s}" for s, n in sorted(counts.items())), reason)
        self.console.print(table)
        disks = ", ".join(f"{count} on {release}" for release, count in summary.by_release.items())
        self.console.print(f"The vehicles' own disks start: {disks}.")
        self.console.print(f"{summary.manifests} signed manifests were accepted. {seconds:.0f} s in all.")
        for sentence in summary.disagreements:
            self.console.print(f"[red]{sentence}[/]")
        if not summary.disagreements:
            self.console.print("[green]Disks, database and signed manifests agree.[/]")

    def _stay(self, url: str) -> None:
        self._say(f"The server stays up at {url}/console/ until Ctrl-C.")
        while True:
            time.sleep(3600)

    def _say(self, sentence: str) -> None:
        self.console.print(sentence, soft_wrap=True)
