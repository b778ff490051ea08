"""Campaigns: made from names, moved by actions, watched until they end."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from clients.publisher.api import Api
from clients.publisher.errors import CampaignEndedBadlyError, InputError
from clients.publisher.releases import Releases

ACTIONS = ("submit", "approve", "reject", "schedule", "start", "pause", "resume", "cancel", "stop")
ENDED_WELL = "completed"
ENDED_BADLY = frozenset({"halted", "cancelled"})


class Campaigns:
    """Campaigns of one tenant, addressed by their names."""

    def __init__(self, api: Api, releases: Releases, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._releases = releases
        self._sleep = sleep

    def create(
        self,
        name: str,
        *,
        release: tuple[str, str],
        group: str,
        waves: Sequence[Mapping[str, Any]],
        fallback: tuple[str, str] | None = None,
        requires: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> Any:
        """Create a draft that brings a release (name and version) to a group in waves.

        `requires` are the names of campaigns that must have succeeded on a vehicle first. `waves` are objects like
        `{"percent": "5", "max_failed": 0}`; `settings` are further fields of the API's plan.
        """
        plan: dict[str, Any] = {
            **(settings or {}),
            "name": name,
            "release": self._releases.find(*release)["id"],
            "group": self._group(group),
            "waves": [dict(wave) for wave in waves],
        }
        if fallback is not None:
            plan["fallback_release"] = self._releases.find(*fallback)["id"]
        if requires:
            plan["requires"] = [self.find(each)["id"] for each in requires]
        return self._api.post("/campaigns", plan)

    def act(self, name: str, action: str, **fields: Any) -> Any:
        """Take one of `ACTIONS`; `reason` where the action asks for one, `starts_at` to schedule."""
        if action not in ACTIONS:
            raise InputError(f"There is no action {action!r}, only {', '.join(ACTIONS)}.", code="campaign.action")
        return self._api.post(f"/campaigns/{self.find(name)['id']}/{action}", fields)

    def roll_back(self, name: str, *, new_name: str, release: tuple[str, str] | None = None) -> Any:
        """Draft the campaign that brings the vehicles that run the campaign's release back to `release`.

        Without `release` it is the way back that the campaign was approved with.
        """
        body: dict[str, Any] = {"name": new_name}
        if release is not None:
            body["release"] = self._releases.find(*release)["id"]
        return self._api.post(f"/campaigns/{self.find(name)['id']}/rollback", body)

    def find(self, name: str) -> Any:
        """Return the campaign of that name."""
        found = next(self._api.rows("/campaigns", name=name), None)
        if found is None:
            raise InputError(f"There is no campaign {name!r}.", code="campaign.not_found")
        return found

    def show(self, name: str) -> Any:
        """Return the campaign with its waves and how many vehicles stand where."""
        return self._api.get(f"/campaigns/{self.find(name)['id']}")

    def decisions(self, name: str) -> list[Any]:
        """Return what the engine and people have decided in this campaign, newest first."""
        return list(self._api.rows(f"/campaigns/{self.find(name)['id']}/decisions"))

    def decide_wave(self, name: str, number: int, *, passed: bool, reason: str) -> Any:
        """Decide a wave that the gate has left to a person."""
        waves = self._api.rows(f"/campaigns/{self.find(name)['id']}/waves")
        wave = next((each for each in waves if each["number"] == number), None)
        if wave is None:
            raise InputError(f"Campaign {name!r} has no wave {number}.", code="wave.not_found")
        return self._api.post(f"/waves/{wave['id']}/decide", {"passed": passed, "reason": reason})

    def watch(self, name: str, *, every_seconds: float = 2.0) -> Iterator[Any]:
        """Yield the campaign again and again until it has ended.

        Raises:
            CampaignEndedBadlyError: it was halted or cancelled, or a wave is left to a person; the sentence says why.
        """
        path = f"/campaigns/{self.find(name)['id']}"
        while True:
            campaign = self._api.get(path)
            yield campaign
            if campaign["state"] == ENDED_WELL:
                return
            if campaign["state"] in ENDED_BADLY:
                raise CampaignEndedBadlyError(
                    f"Campaign {name!r} is {campaign['state']}: {campaign['reason'] or 'no reason given'}",
                    code=f"campaign.{campaign['state']}",
                )
            undecided = [wave["number"] for wave in campaign["waves"] if wave["state"] == "undecided"]
            if undecided:
                raise CampaignEndedBadlyError(
                    f"Wave {undecided[0]} of campaign {name!r} waits for a person: `campaign decide {name} "
                    f"{undecided[0]} --pass` or `--fail`, with a `--reason`.",
                    code="campaign.undecided",
                )
            self._sleep(every_seconds)

    def _group(self, name: str) -> int:
        found = next(self._api.rows("/groups", name=name), None)
        if found is None:
            raise InputError(f"There is no group {name!r}.", code="group.not_found")
        return int(found["id"])
