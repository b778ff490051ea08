"""Why an ECU runs other software than before."""

from collections.abc import Collection

from otaserver.campaigns.states import ChangeCause

# Of each vehicle so many changes are kept; older ones are pruned, the newest never.
MAX_CHANGES = 200
# The order that stands or stood last, and the one before: a vehicle may have been carrying that one out.
ORDERS_CONSIDERED = 2


def cause(*, before: str, now: str, ran_before_that: str, ordered: Collection[str]) -> ChangeCause:
    """Return why an ECU runs `now` and no longer `before` (SHA-256 digests; empty: nothing was known).

    `ordered` are the digests that its last orders asked for on this ECU. From one of those back to what ran before it
    is a revert; what nobody ordered is foreign.
    """
    if not before:
        return ChangeCause.FIRST
    if now in ordered:
        return ChangeCause.ORDER
    if before in ordered and now == ran_before_that:
        return ChangeCause.REVERTED
    return ChangeCause.FOREIGN
