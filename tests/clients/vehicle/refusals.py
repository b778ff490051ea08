"""What every refusal has in common: the right reason, reported, nothing changed, and the vehicle still updatable."""

from collections.abc import Callable
from typing import Any

from tests.clients.vehicle.repositories import Oem
from tests.clients.vehicle.vehicles import Vehicle


def assert_refused(
    vehicle: Vehicle,
    oem: Oem,
    reason: str,
    *,
    attempt: str = "",
    still: str = "",
    mend: Callable[[], Any] = lambda: None,
) -> None:
    """Run a cycle that must be refused for `reason`, then recover.

    `attempt` must be reported as failed: what is signed proves it wrong. `still` must not be, and must be completed
    when the attack has ended: anybody could have done that. `mend` is what the maker does then.
    """
    before = (vehicle.trust(), vehicle.runs(), _slots(vehicle))

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", reason), result.detail
    assert (vehicle.trust(), vehicle.runs(), _slots(vehicle)) == before
    assert not list(vehicle.config.state_dir.glob("downloads/*"))
    assert oem.attacks()[-1].startswith(f"{reason}:")
    if attempt:
        assert oem.finished(attempt) == [("failure", "verification_failed")]
        assert oem.manifests[-1]["report"]["code"] == "verification_failed"
        assert oem.logs[-1]["attempt"] == attempt
    if still:
        assert_completed(vehicle, oem, still, mend=mend)
    assert_updatable(vehicle, oem)


def assert_completed(vehicle: Vehicle, oem: Oem, attempt: str, *, mend: Callable[[], Any] = lambda: None) -> None:
    """The attacker gone, the same order installs."""
    assert oem.finished(attempt) == []
    oem.overrides.clear()
    mend()

    result = vehicle.run()

    assert result.status == "installed", result.detail
    assert oem.finished(attempt) == [("success", "")]


def assert_updatable(vehicle: Vehicle, oem: Oem) -> None:
    """The attacker gone, the next release installs."""
    oem.overrides.clear()
    new = oem.publish_release("9.0", counter=9)
    attempt = oem.order(new)

    result = vehicle.run()

    assert result.status == "installed", result.detail
    assert vehicle.runs() == new
    assert oem.installed() == new
    assert oem.finished(attempt) == [("success", "")]
    assert oem.problems == []


def _slots(vehicle: Vehicle) -> dict[str, Any]:
    files = vehicle.config.state_dir.glob("ecus/*/[ab]/*")
    return {str(file): file.read_bytes() for file in files}
