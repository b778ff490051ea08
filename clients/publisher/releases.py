"""Releases: the packages that a vehicle should run together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clients.publisher.api import Api
from clients.publisher.errors import InputError
from clients.publisher.packages import find_package


@dataclass(frozen=True)
class Condition:
    """A package that must (`requires`) or must not (`conflicts`) run beside a release; no versions means any."""

    kind: str
    package_name: str
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signal:
    """A number that vehicles report in their soak: above the limit one is bad; rates are fractions of vehicles."""

    name: str
    limit: float
    acceptable_rate: float
    unacceptable_rate: float


class Releases:
    """Releases of one tenant, made from the names of packages."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        name: str,
        version: str,
        packages: Sequence[tuple[str, int]],
        *,
        conditions: Sequence[Condition] = (),
        signals: Sequence[Signal] = (),
        halt_codes: Sequence[str] = (),
        notes: Mapping[str, str] | None = None,
        stepping_stone: tuple[str, str] | None = None,
    ) -> Any:
        """Create a release of published packages, given as target name and place in the order of installation.

        `stepping_stone` is the name and version of the release that must run first.
        """
        stone = None if stepping_stone is None else self.find(*stepping_stone)["id"]
        return self._api.post(
            "/releases",
            {
                "name": name,
                "version": version,
                "packages": [
                    {"package": find_package(self._api, target_name)["id"], "position": position}
                    for target_name, position in packages
                ],
                "conditions": [
                    {"kind": each.kind, "package_name": each.package_name, "versions": list(each.versions)}
                    for each in conditions
                ],
                "signals": [asdict(each) for each in signals],
                "halt_codes": list(halt_codes),
                "notes": dict(notes or {}),
                **({} if stone is None else {"stepping_stone": stone}),
            },
        )

    def find(self, name: str, version: str) -> Any:
        """Return the release of that name and version."""
        found = next(self._api.rows("/releases", name=name, version=version), None)
        if found is None:
            raise InputError(f"There is no release {name} {version}.", code="release.not_found")
        return found
