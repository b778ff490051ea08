"""The demo, step by step, over the same addresses and with the same tools that anybody would use."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from django.core.management.base import CommandError

from clients.publisher.api import connect
from clients.publisher.errors import CampaignEndedBadlyError
from clients.publisher.keystore import KeyStore
from clients.publisher.packages import PackageSpec
from clients.publisher.publisher import Publisher, system_time
from otaserver.demo.firmware import Firmware
from otaserver.demo.fleet_plan import HARDWARE, POLLING_SECONDS, PRODUCT, ROLE, release_label, target_name, vehicle_ids

GROUP = "demo-fleet"
# Long enough to watch, short enough for a demo: hours in a real fleet.
SOAK_SECONDS = 4
# A wave of the bad release may not stop the campaign by its own rule before the gate has seen enough to do so.
WAVES = (("5", 5), ("25", 25), ("100", 100))
CAMPAIGN_SECONDS = 240
WATCH_SECONDS = 0.5

Show = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Operator:
    """Somebody with the tenant's keys and a token, and what they have seen of the running server."""

    publisher: Publisher
    roots: Path

    @classmethod
    @contextmanager
    def at(
        cls,
        url: str,
        token: str,
        folder: Path,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], datetime] = system_time,
    ) -> Iterator["Operator"]:
        """Make the tenant's keys below `folder`; the connection lasts as long as the block."""
        keys = KeyStore.create(folder / "keys", tenant="default", roles=[ROLE])
        with connect(url, token, transport=transport) as client:
            yield cls(Publisher(client, keys, clock=clock), folder / "roots")

    def establish_trust(self, *, polling_seconds: int = POLLING_SECONDS) -> None:
        """Sign and upload the first roots and delegations; save the roots that vehicles leave the factory with."""
        self.publisher.trust.init()
        self.publisher.trust.save_first_roots(self.roots)
        self.publisher.api.patch("/tenant", {"polling_seconds": polling_seconds})

    def publish(self, version: str, firmware: Firmware, notes: Mapping[str, str]) -> None:
        """Sign and publish one package for each ECU, and the release that holds them."""
        for ecu, hardware_ids in HARDWARE.items():
            self.publisher.packages.publish(firmware.files[ecu], PackageSpec(ROLE, ecu, version, hardware_ids))
        packages = [(target_name(ecu, version), place) for place, ecu in enumerate(HARDWARE)]
        self.publisher.releases.create(PRODUCT, version, packages, notes=notes)

    def claim_codes(self, count: int) -> dict[str, str]:
        """Return a claim code for each vehicle of the fleet."""
        answer = self.publisher.api.post("/claim-codes", {"vehicle_ids": vehicle_ids(count)})
        return {each["vehicle_id"]: each["claim_code"] for each in answer["claim_codes"]}

    def wait_for_fleet(self, count: int, version: str, show: Callable[[int], None]) -> None:
        """Wait until every vehicle has enrolled and sent a signed manifest of its factory software."""
        deadline = time.monotonic() + CAMPAIGN_SECONDS
        while time.monotonic() < deadline:
            confirmed = self.count_confirmed(version)
            show(confirmed)
            if confirmed == count:
                return
            time.sleep(WATCH_SECONDS)
        raise CommandError(f"Only {confirmed} of {count} vehicles came within {CAMPAIGN_SECONDS} s.")

    def count_confirmed(self, version: str) -> int:
        """Return how many vehicles have proved that they run this version on every ECU."""
        return sum(_runs(vehicle, version) for vehicle in self.publisher.api.rows("/vehicles"))

    def make_group(self, count: int) -> None:
        self.publisher.api.post("/groups", {"name": GROUP, "vehicles": vehicle_ids(count)})

    def roll_out(self, name: str, version: str, fallback: str, show: Show) -> Mapping[str, Any]:
        """Bring a release to the fleet in waves; return the campaign as it ended."""
        self.publisher.campaigns.create(
            name,
            release=(PRODUCT, version),
            group=GROUP,
            waves=[{"percent": percent, "max_failed": limit} for percent, limit in WAVES],
            fallback=(PRODUCT, fallback),
            settings={"soak_seconds": SOAK_SECONDS, "wave_rule": "proceed"},
        )
        return self._run(name, show)

    def roll_back(self, bad: str, name: str, version: str, show: Show) -> Mapping[str, Any]:
        """Bring every vehicle whose confirmed software is the halted campaign's release back to `version`."""
        self.publisher.campaigns.roll_back(bad, new_name=name, release=(PRODUCT, version))
        return self._run(name, show)

    def decisions(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the engine's record of one campaign, oldest first."""
        return list(reversed(self.publisher.campaigns.decisions(name)))

    def _run(self, name: str, show: Show) -> Mapping[str, Any]:
        for action in ("submit", "approve", "start"):
            self.publisher.campaigns.act(name, action)
        deadline = time.monotonic() + CAMPAIGN_SECONDS
        try:
            for campaign in self.publisher.campaigns.watch(name, every_seconds=WATCH_SECONDS):
                show(campaign)
                if time.monotonic() > deadline:
                    raise CommandError(f"Campaign {name!r} is still {campaign['state']} after {CAMPAIGN_SECONDS} s.")
        except CampaignEndedBadlyError:
            pass
        ended: Mapping[str, Any] = self.publisher.campaigns.show(name)
        return ended


def _runs(vehicle: Mapping[str, Any], version: str) -> bool:
    ecus = vehicle["ecus"]
    return len(ecus) == len(HARDWARE) and all(ecu["installed_target"].endswith(f"-{version}") for ecu in ecus)


def notes_for(version: str) -> dict[str, str]:
    """Return release notes in three languages."""
    return {
        "en": f"{release_label(version)}: smoother display, steadier radio. The car cannot be driven for two minutes.",
        "de": f"{release_label(version)}: ruhigere Anzeige, stabileres Radio. Zwei Minuten lang nicht fahrbereit.",
        "zh-Hans": f"{release_label(version)}：显示更流畅，收音更稳定。更新期间车辆有两分钟不能行驶。",
    }
