"""Which changes of a vehicle's ECUs are covered by what an operator has announced: pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class EcuFacts:
    """What makes an ECU the one that it is."""

    serial: str
    hardware_id: str
    is_primary: bool
    keyid: str


@dataclass(frozen=True)
class AnnouncedSwap:
    """One ECU may become another (`new_serial` empty: any) of this hardware, or get another key."""

    old_serial: str
    new_serial: str
    hardware_id: str


def change_problem(
    held: Collection[EcuFacts], declared: Collection[EcuFacts], swaps: Collection[AnnouncedSwap]
) -> str | None:
    """Return why a vehicle's ECUs may not become the declared ones, as a sentence, or None if they may.

    Each ECU that goes needs a swap that was announced for it, and exactly one that comes by it, in the same place (the
    Primary for the Primary). What stays as it was needs nothing.
    """
    before, after = {ecu.serial: ecu for ecu in held}, {ecu.serial: ecu for ecu in declared}
    going = [ecu for serial, ecu in before.items() if after.get(serial) != ecu]
    coming = [ecu for serial, ecu in after.items() if before.get(serial) != ecu]
    by_serial = {swap.old_serial: swap for swap in swaps}
    missing = sorted(ecu.serial for ecu in going if ecu.serial not in by_serial)
    if missing:
        return f"Nobody has announced that {' and '.join(missing)} would be replaced."
    left = _unplaced(going, {ecu.serial: ecu for ecu in coming}, by_serial)
    if left is None:
        return "What was announced does not fit the ECUs that were declared: other serials, hardware or places."
    if left:
        return f"Nobody has announced that {' and '.join(sorted(left))} would come."
    return None


def _unplaced(
    going: Collection[EcuFacts], coming: Mapping[str, EcuFacts], swaps: Mapping[str, AnnouncedSwap]
) -> set[str] | None:
    """Give each ECU that goes the one that comes for it; return what is left over, or None if one gets none."""
    left = dict(coming)
    # Those with a serial of their own first: what is left may be anybody's.
    for ecu in sorted(going, key=lambda ecu: (not swaps[ecu.serial].new_serial, ecu.serial)):
        swap = swaps[ecu.serial]
        fitting = [
            new.serial
            for new in left.values()
            if swap.new_serial in ("", new.serial)
            and new.hardware_id == swap.hardware_id
            and new.is_primary == ecu.is_primary
        ]
        if not fitting:
            return None
        del left[min(fitting)]
    return set(left)
