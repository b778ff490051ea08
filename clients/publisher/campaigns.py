"""Campaigns: made from names, moved by actions, watched until they end."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from clients.publisher.api import Api
from clients.publisher.errors import CampaignEndedBadlyError, DecisionsDifferError, InputError
from clients.publisher.releases import Releases

ACTIONS = ("submit", "approve", "reject", "schedule", "start", "pause", "resume", "cancel", "stop", "close")
ENDED_WELL = "completed"
ENDED_BADLY = frozenset({"halted", "cancelled"})
# Where nothing goes on before a person does this.
WAITING_FOR = {
    "draft": "is sent for approval",
    "in_review": "is approved or rejected",
    "approved": "is started",
    "paused": "is resumed",
}


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
        `{"percent": "5", "max_failed": 0}`, or with `count` or `group` (its name) in place of `percent`; `settings` are
        further fields of the API's plan.
        """
        plan: dict[str, Any] = {
            **(settings or {}),
            "name": name,
            "release": self._releases.find(*release)["id"],
            "group": self._group(group),
            "waves": [self._wave(wave) for wave in waves],
        }
        if fallback is not None:
            plan["fallback_release"] = self._releases.find(*fallback)["id"]
        if requires:
            plan["requires"] = [self.find(each)["id"] for each in requires]
        return self._api.post("/campaigns", plan)

    def suggest(self, *, release: tuple[str, str], group: str, failure_budget: int, growth: int | None = None) -> Any:
        """Return waves that stay within a budget of vehicles that may break, and the reasons."""
        body: dict[str, Any] = {
            "release": self._releases.find(*release)["id"],
            "group": self._group(group),
            "failure_budget": failure_budget,
        }
        return self._api.post("/campaigns/suggest", body if growth is None else {**body, "growth": growth})

    def act(self, name: str, action: str, **fields: Any) -> Any:
        """Take one of `ACTIONS`; `reason` where the action asks for one, `starts_at` to schedule."""
        if action not in ACTIONS:
            raise InputError(f"There is no action {action!r}, only {', '.join(ACTIONS)}.", code="campaign.action")
        return self._api.post(f"/campaigns/{self.find(name)['id']}/{action}", fields)

    def change(
        self,
        name: str,
        changes: Mapping[str, Any],
        *,
        release: tuple[str, str] | None = None,
        group: str = "",
        fallback: tuple[str, str] | None = None,
        revision: int | None = None,
        reason: str = "",
    ) -> Any:
        """Change fields of a campaign's plan; without `revision`, starting from what it is at this moment."""
        body = {**changes, "reason": reason}
        if release is not None:
            body["release"] = self._releases.find(*release)["id"]
        if fallback is not None:
            body["fallback_release"] = self._releases.find(*fallback)["id"]
        if group:
            body["group"] = self._group(group)
        found = self.find(name)
        replaces = found["revision"] if revision is None else revision
        return self._api.patch(f"/campaigns/{found['id']}", body, replaces=replaces)

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

    def replay(self, name: str) -> Any:
        """Return all that the engine decided, made again from its records.

        Raises:
            DecisionsDifferError: something does not follow any more.
        """
        found = self._api.get(f"/campaigns/{self.find(name)['id']}/replay")
        differing = [each for each in found["replayed"] if not each["is_same"]]
        if differing:
            first = differing[0]
            raise DecisionsDifferError(
                f"{len(differing)} of {len(found['replayed'])} records of campaign {name!r} do not follow; "
                f"the first is {first['kind']}: {first['detail']}.",
                details={"differences": differing},
            )
        return found

    def forecast(self, name: str, *, rates: Sequence[float] = (), runs: int | None = None) -> Any:
        """Return what would come of a campaign that has not started, for each true failure rate."""
        body: dict[str, Any] = {**({"rates": list(rates)} if rates else {}), **({} if runs is None else {"runs": runs})}
        return self._api.post(f"/campaigns/{self.find(name)['id']}/forecast", body)

    def kept_forecast(self, name: str) -> Any:
        """Return the forecast that the server keeps of a campaign, made before its start."""
        return self._api.get(f"/campaigns/{self.find(name)['id']}/forecast")

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
            CampaignEndedBadlyError: it was halted or cancelled, or waits for a person; the sentence says why.
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
            if campaign["state"] in WAITING_FOR:
                raise CampaignEndedBadlyError(
                    f"Campaign {name!r} waits until it {WAITING_FOR[campaign['state']]} by a person.",
                    code="campaign.waiting",
                )
            undecided = [wave["number"] for wave in campaign["waves"] if wave["state"] == "undecided"]
            if undecided:
                raise CampaignEndedBadlyError(
                    f"Wave {undecided[0]} of campaign {name!r} waits for a person: `campaign decide {name} "
                    f"{undecided[0]} --pass` or `--fail`, with a `--reason`.",
                    code="campaign.undecided",
                )
            self._sleep(every_seconds)

    def _wave(self, wave: Mapping[str, Any]) -> dict[str, Any]:
        return {**wave, **({"group": self._group(wave["group"])} if "group" in wave else {})}

    def _group(self, name: str) -> int:
        found = next(self._api.rows("/groups", name=name), None)
        if found is None:
            raise InputError(f"There is no group {name!r}.", code="group.not_found")
        return int(found["id"])
