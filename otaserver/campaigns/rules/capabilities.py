"""What each protocol can do (DESIGN.md, "The narrow waist"): what cannot be delivered is said, never skipped."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from otaserver.fleet.states import Protocol


class Evidence(Enum):
    """What the server has to go by for what a vehicle runs."""

    PROVED = "proved"  # a signed manifest
    ASSERTED = "asserted"  # the vehicle's word


@dataclass(frozen=True)
class Capability:
    """What vehicles of one protocol can be asked. `max_packages` at once; None: any number."""

    evidence: Evidence
    can_hold: bool
    can_abort: bool
    echoes_preconditions: bool
    # The order may stand at the vehicle while its owner has not agreed: it is not installed before.
    awaits_consent: bool = True
    max_packages: int | None = None

    @property
    def keeps_every_order(self) -> bool:
        """Return whether no order need be kept back for it: it holds and judges all by itself."""
        return self.can_hold and self.echoes_preconditions and self.awaits_consent


CAPABILITIES: Mapping[str, Capability] = {
    Protocol.UPTANE: Capability(Evidence.PROVED, can_hold=True, can_abort=True, echoes_preconditions=True),
    Protocol.AKTUALIZR: Capability(
        Evidence.PROVED, can_hold=False, can_abort=True, echoes_preconditions=False, awaits_consent=False
    ),
    # Of its clients some hold (HOLDING_CLIENTS) and the others, like SWUpdate, take what is not to be installed yet for
    # installed. Preconditions are judged by their attributes. Consent is its `confirmationBase`.
    Protocol.DDI: Capability(Evidence.ASSERTED, can_hold=False, can_abort=True, echoes_preconditions=False),
    # Those that read update control maps hold (HOLDING_CLIENTS). Preconditions are judged by their inventory.
    Protocol.MENDER: Capability(
        Evidence.ASSERTED, can_hold=False, can_abort=True, echoes_preconditions=False, max_packages=1
    ),
}

# Clients that download an order and install it when they may, by what they call themselves: {protocol: beginnings}.
HOLDING_CLIENTS: Mapping[str, tuple[str, ...]] = {
    Protocol.DDI: ("rauc-hawkbit-c-agent/",),
    # As `vehicle_api.mender` notes of them: they say so with every request for work.
    Protocol.MENDER: ("update-control-map",),
}


# Clients that take one package where others of their protocol take several, as they call themselves. Zephyr calls
# itself nothing (`vehicle_api.ddi.polling` notes that): it reads one chunk, and falls silent where there are two.
ONE_PACKAGE_CLIENTS: Mapping[str, tuple[str, ...]] = {
    Protocol.DDI: ("rauc-hawkbit-c-agent/", "nameless"),
}


def can_hold(protocol: str, client: str) -> bool:
    """Return whether this client of a protocol waits at the install gate for a window, having downloaded."""
    return CAPABILITIES[protocol].can_hold or client.startswith(HOLDING_CLIENTS.get(protocol, ()))


def of_client(protocol: str, client: str) -> Capability:
    """Return what this client of a protocol can be asked."""
    return replace(CAPABILITIES[protocol], can_hold=can_hold(protocol, client))


def takes_one(protocol: str, client: str) -> bool:
    """Return whether this client takes one package at a time, though others of its protocol take several."""
    return client.startswith(ONE_PACKAGE_CLIENTS.get(protocol, ()))


def delivery_problem(protocol: str, packages: int, *, takes_one: bool = False) -> str | None:
    """Return why a vehicle cannot be brought so many packages at once, in a sentence, or None."""
    most, taker = CAPABILITIES[protocol].max_packages, str(Protocol(protocol).label)
    if takes_one and most is None:
        most, taker = 1, "its client"
    if most is None or packages <= most:
        return None
    taken = "one package" if most == 1 else f"{most} packages"
    return f"The release has {packages} packages for the vehicle, and {taker} takes {taken} at once."
