"""Which packages of a release belong on which ECU of a vehicle, and whether the vehicle can take part.

Judged on what the vehicle last confirmed plus this release, and on nothing that was merely ordered: an order may be
blocked half-way (partial-bundle attack; Uptane deployment practice, "Dependencies and conflicts").
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from otaserver.campaigns.rules import capabilities
from otaserver.campaigns.states import Verdict
from otaserver.fleet.states import Protocol

REQUIRES = "requires"
CONFLICTS = "conflicts"
STRATUM_MAX_LENGTH = 64


@dataclass(frozen=True)
class Item:
    """One package of a release."""

    package_id: int
    name: str
    version: str
    target_name: str
    sha256: str
    hardware_ids: frozenset[str]
    release_counter: int
    position: int = 0


@dataclass(frozen=True)
class Condition:
    """What must (`requires`) or must not (`conflicts`) run beside the release; no versions means any."""

    kind: str
    package_name: str
    versions: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Software:
    """What runs on an ECU, where the tenant's packages tell."""

    name: str
    version: str
    release_counter: int
    # Of packages with equal counters the higher one was declared later.
    package_id: int = 0


@dataclass(frozen=True)
class Computer:
    """One ECU as last confirmed; `software` is None where no package of the tenant is known by its digest."""

    serial: str
    hardware_id: str
    installed_sha256: str = ""
    software: Software | None = None


@dataclass(frozen=True)
class Candidate:
    """A vehicle as last confirmed. `block_list` says which list it is on, and why; empty: on none."""

    computers: Sequence[Computer]
    is_enrolled: bool = True
    is_blocked: bool = False
    block_list: str = ""
    is_stale: bool = False
    protocol: str = Protocol.UPTANE
    # Its client takes one package at a time, though others of its protocol take several.
    takes_one: bool = False


@dataclass(frozen=True)
class Bundle:
    """A release: its packages and its conditions."""

    items: Sequence[Item]
    conditions: Sequence[Condition] = ()


@dataclass(frozen=True)
class Match:
    """Whether a vehicle can take part and why not; `packages` are the ones to install, by ECU serial."""

    verdict: Verdict
    detail: str = ""
    packages: Sequence[tuple[str, Item]] = field(default_factory=tuple)


def packages_for(items: Sequence[Item], computers: Sequence[Computer]) -> list[tuple[Computer, Item]]:
    """Return the packages that belong on these ECUs, by hardware id, in the order of installation."""
    pairs = [(computer, item) for computer in computers for item in items if computer.hardware_id in item.hardware_ids]
    return sorted(pairs, key=lambda pair: (pair[1].position, pair[0].serial))


def runs(pairs: Sequence[tuple[Computer, Item]]) -> bool:
    """Return whether each ECU last confirmed that it runs its package. Digests speak, not names."""
    return bool(pairs) and all(computer.installed_sha256 == item.sha256 for computer, item in pairs)


def proves(pairs: Sequence[tuple[Computer, Item]], told: Collection[str]) -> bool | None:
    """Return whether one manifest proves that the release runs (True), or that it does not (False).

    `told` are the serials that the manifest speaks of. None: it proves neither, since it leaves an ECU out; what that
    one proved in an earlier manifest need not be true of it beside the others.
    """
    spoken_of = [(computer, item) for computer, item in pairs if computer.serial in told]
    if any(computer.installed_sha256 != item.sha256 for computer, item in spoken_of):
        return False
    return True if pairs and len(spoken_of) == len(pairs) else None


def match(bundle: Bundle, vehicle: Candidate) -> Match:
    """Return whether a vehicle can take part in bringing out a release, and what it would install."""
    if not vehicle.is_enrolled:
        return Match(Verdict.NOT_ENROLLED, "The vehicle has not enrolled.")
    if vehicle.is_blocked:
        return Match(Verdict.BLOCKED, "The vehicle is blocked.")
    if vehicle.block_list:
        return Match(Verdict.ON_BLOCK_LIST, f"The vehicle is on the block list {vehicle.block_list}.")
    if vehicle.is_stale:
        return Match(Verdict.STALE_INVENTORY, "The vehicle has not confirmed what it runs for too long.")
    pairs = packages_for(bundle.items, vehicle.computers)
    if not pairs:
        found = ", ".join(sorted({computer.hardware_id for computer in vehicle.computers})) or "none"
        return Match(Verdict.WRONG_HARDWARE, f"No package fits the vehicle's hardware ({found}).")
    if len({computer.serial for computer, _ in pairs}) < len(pairs):
        return Match(Verdict.CONFLICT, "More than one package of the release fits the same ECU.")
    if runs(pairs):
        return Match(Verdict.ALREADY_THERE, "The vehicle runs all packages of the release that fit it.")
    wanted = [(computer, item) for computer, item in pairs if computer.installed_sha256 != item.sha256]
    problem = _rollback_problem(wanted) or _condition_problem(bundle.conditions, pairs, vehicle.computers)
    if problem is not None:
        return problem
    undeliverable = capabilities.delivery_problem(vehicle.protocol, len(wanted), takes_one=vehicle.takes_one)
    if undeliverable is not None:
        return Match(Verdict.NOT_DELIVERABLE, undeliverable)
    return Match(Verdict.FITS, packages=tuple((computer.serial, item) for computer, item in wanted))


def _rollback_problem(wanted: Sequence[tuple[Computer, Item]]) -> Match | None:
    for computer, item in wanted:
        if computer.software is not None and item.release_counter < computer.software.release_counter:
            return Match(
                Verdict.ROLLBACK_BARRED,
                f"{item.target_name} has release counter {item.release_counter}; the ECU with hardware "
                f"{computer.hardware_id} has committed {computer.software.release_counter}.",
            )
    return None


def _condition_problem(
    conditions: Sequence[Condition], pairs: Sequence[tuple[Computer, Item]], computers: Sequence[Computer]
) -> Match | None:
    replaced = {computer.serial for computer, _ in pairs}
    after = {(item.name, item.version) for _, item in pairs}
    after |= {(c.software.name, c.software.version) for c in computers if c.software and c.serial not in replaced}
    for condition in conditions:
        found = any(_speaks_of(condition, name, version) for name, version in after)
        if condition.kind == REQUIRES and not found:
            return Match(Verdict.UNMET_DEPENDENCY, f"{_label(condition)} is required and is not confirmed to run.")
        if condition.kind == CONFLICTS and found:
            return Match(Verdict.CONFLICT, f"{_label(condition)} must not run beside this release.")
    return None


def _speaks_of(condition: Condition, name: str, version: str) -> bool:
    return name == condition.package_name and (not condition.versions or version in condition.versions)


def _label(condition: Condition) -> str:
    return f"{condition.package_name} ({' or '.join(sorted(condition.versions)) or 'any version'})"


def stratum(computers: Sequence[Computer], items: Sequence[Item]) -> str:
    """Return the stratum of a vehicle: the hardware ids that the release may change in it, shortened by a hash."""
    label = "+".join(sorted({computer.hardware_id for computer, _ in packages_for(items, computers)}))
    if len(label) <= STRATUM_MAX_LENGTH:
        return label
    return f"{label[:47]}~{hashlib.sha256(label.encode()).hexdigest()[:16]}"


def unreachable(new: Collection[Item], fallback: Collection[Item]) -> str | None:
    """Return why a fallback release could not be installed after `new` was, as a sentence, or None if it could.

    Each hardware id that the new release changes needs a fallback package whose release counter is not lower than what
    the new one commits: equal is allowed, lower is refused by every client. One that has the very same packages leads
    nowhere.
    """
    if {item.sha256 for item in new} <= {item.sha256 for item in fallback}:
        return "The fallback release has every package of the release: it brings nothing back."
    for item in sorted(new, key=lambda item: item.target_name):
        for hardware_id in sorted(item.hardware_ids):
            ways = [other for other in fallback if hardware_id in other.hardware_ids]
            if not ways:
                return f"The fallback release has no package for hardware {hardware_id}."
            for way in ways:
                if way.release_counter < item.release_counter:
                    return (
                        f"On hardware {hardware_id} the release commits counter {item.release_counter}, "
                        f"and {way.target_name} has {way.release_counter}: it would be refused."
                    )
    return None
