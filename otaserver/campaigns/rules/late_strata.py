"""Alpha for strata that nobody knew of at the start: a dynamic campaign takes in hardware that came later.

A test whose share is made smaller while it runs has spent the larger one already. So a share for late strata is kept
back from the start, and no share ever changes: the first late one takes half of it, the second a sixth, the nth
1/(n(n+1)), which never add up to more than all of it.
"""

from otaserver.campaigns.rules import gate

LATE_SHARE_OF_ALPHA = 0.25


def alpha_share(stratum: str, *, known: int, place: int, takes_in: bool) -> float:
    """Return which part of alpha belongs to one test, so that all of a campaign's tests together keep to it.

    `known`: how many strata it began with; `place`: which of the late ones this is, from 1, or 0: it was known.
    `takes_in`: late ones are tested too. The pool is the stratum `""`.
    """
    if not takes_in:
        return gate.alpha_share(stratum, known)
    if stratum == "":
        return gate.POOL_SHARE_OF_ALPHA
    if place:
        return LATE_SHARE_OF_ALPHA / (place * (place + 1))
    return (1 - gate.POOL_SHARE_OF_ALPHA - LATE_SHARE_OF_ALPHA) / known
