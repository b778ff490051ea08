"""Hard limits: what halts a campaign before anything is mature."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from otaserver.campaigns.rules.failures import VERIFICATION_FAILED


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


def first_breach(limits: Limits, failures: Mapping[str, int]) -> Breach | None:
    """Return the first limit that these failures (how many by code) break, or None.

    A verification failure means an attack or a publishing error, hence its own limit.
    """
    for code in sorted(limits.halt_codes):
        if failures.get(code, 0) > 0:
            found = failures[code]
            return Breach("halt_codes", found, 0, f"{found} failed with {code}, which halts the campaign at once.")
    found = failures.get(VERIFICATION_FAILED, 0)
    if found > limits.max_verification_failed:
        allowed = limits.max_verification_failed
        return Breach("max_verification_failed", found, allowed, f"{found} failed verification; at most {allowed} may.")
    found = sum(failures.values())
    if limits.max_failed is not None and found > limits.max_failed:
        return Breach("max_failed", found, limits.max_failed, f"{found} failed; at most {limits.max_failed} may.")
    return None
