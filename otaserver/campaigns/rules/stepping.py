"""Stepping stones: releases that must have run on a vehicle before the campaign's own may.

A vehicle is taken from stone to stone, one order each, and every hop is judged as if the ones before it had been
proved: hardware, release counters, dependencies and conflicts hold for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from otaserver.campaigns.rules.matching import Bundle, Candidate, Computer, Item, Match, Software, match, packages_for
from otaserver.campaigns.states import Verdict


@dataclass(frozen=True)
class Route:
    """What a vehicle's next order is: the place of its release in the chain, and how it matches."""

    hop: int
    match: Match


def route(chain: Sequence[Bundle], vehicle: Candidate) -> Route:
    """Return a vehicle's next hop, or why it cannot come to the end of the chain.

    `chain` holds the stones, the earliest first, and the campaign's release last. The verdict is of the whole way: a
    vehicle that could make the first hop and not the last takes no part.
    """
    last = len(chain) - 1
    first: Route | None = None
    for hop in range(_first_hop(chain, vehicle), len(chain)):
        if hop != last and not is_behind(chain[hop], vehicle.computers):
            continue
        found = Route(hop, match(chain[hop], vehicle))
        if found.match.verdict != Verdict.FITS:
            return found if hop == last or first is None else Route(first.hop, found.match)
        first = first or found
        vehicle = _after(vehicle, found.match)
    return first or Route(last, match(chain[last], vehicle))


def _first_hop(chain: Sequence[Bundle], vehicle: Candidate) -> int:
    """Return the first stone that the vehicle is behind, or the end."""
    # One that cannot take part at all, or is there already, has no way to go.
    last = len(chain) - 1
    if match(chain[last], vehicle).verdict in (Verdict.NOT_ENROLLED, Verdict.BLOCKED, Verdict.ALREADY_THERE):
        return last
    return next((hop for hop in range(last) if is_behind(chain[hop], vehicle.computers)), last)


def is_behind(stone: Bundle, computers: Sequence[Computer]) -> bool:
    """Return whether an ECU runs older software than the stone has for it.

    Older is a lower release counter, or with an equal one a package declared earlier: version names say nothing. What
    nobody knows is older.
    """
    return any(_is_older(computer, item) for computer, item in packages_for(stone.items, computers))


def _is_older(computer: Computer, item: Item) -> bool:
    if computer.installed_sha256 == item.sha256:
        return False
    if computer.software is None:
        return True
    runs = computer.software.release_counter, computer.software.package_id
    return runs < (item.release_counter, item.package_id)


def _after(vehicle: Candidate, found: Match) -> Candidate:
    """Return the vehicle as it is once these packages are proved to run."""
    installed = dict(found.packages)
    return replace(
        vehicle, computers=[_with(computer, installed.get(computer.serial)) for computer in vehicle.computers]
    )


def _with(computer: Computer, item: Item | None) -> Computer:
    if item is None:
        return computer
    software = Software(item.name, item.version, item.release_counter, item.package_id)
    return replace(computer, installed_sha256=item.sha256, software=software)
