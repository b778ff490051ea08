"""Hard limits: what halts a campaign before anything is mature."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from otaserver.campaigns.rules.failures import VERIFICATION_FAILED

# What breaks one of these speaks against every order, those too that a halt lets go on.
GRAVE_LIMITS = frozenset({"halt_codes", "max_verification_failed"})
_NOBODY: Mapping[str, int] = {}


@dataclass(frozen=True)
class Limits:
    """More than these many failed vehicles halt; any failure with one of the codes halts at once. None is no limit."""

    max_failed: int | None
    max_verification_failed: int
    halt_codes: Collection[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Breach:
    """A limit that was broken: which, by how much, and the limit."""

    limit: str
    found: int
    allowed: int
    sentence: str


def first_breach(limits: Limits, failures: Mapping[str, int], reporters: Mapping[str, int] = _NOBODY) -> Breach | None:
    """Return the first limit that these failures (how many by code) break, or None.

    `reporters`: how many vehicles reported an end with a code that halts, whatever has become of them since. One that
    is trying again, refused, or soaks again on its proof met the danger all the same.

    A verification failure means an attack or a publishing error, hence its own limit.
    """
    for code in sorted(limits.halt_codes):
        found = max(failures.get(code, 0), reporters.get(code, 0))
        if found > 0:
            return Breach("halt_codes", found, 0, f"{found} failed with {code}, which halts the campaign at once.")
    found = failures.get(VERIFICATION_FAILED, 0)
    if found > limits.max_verification_failed:
        allowed = limits.max_verification_failed
        return Breach("max_verification_failed", found, allowed, f"{found} failed verification; at most {allowed} may.")
    found = sum(failures.values())
    if limits.max_failed is not None and found > limits.max_failed:
        return Breach("max_failed", found, limits.max_failed, f"{found} failed; at most {limits.max_failed} may.")
    return None
