"""Four eyes: how many people a campaign needs, and who of them may not be one."""

# A fleet grows between the approval and the start, by so large a part at most of what the approvers saw.
_GROWTH_DIVISOR = 10


def required(*, is_way_back: bool, by_tenant: int, rollbacks_need_approval: bool) -> int:
    """Return how many people other than its authors must approve a campaign; 0: one person alone, who may be an author.

    `is_way_back`: it is a roll-back to the release that was approved as the way back with the first campaign. Every
    hour of that counts: a tenant decides whether it needs as many as any other campaign. A roll-back to something else
    is a release that nobody has approved for these vehicles.
    """
    return 0 if is_way_back and not rollbacks_need_approval else by_tenant


def growth_problem(*, approved: int | None, fitting: int) -> str | None:
    """Return why a campaign is another than was approved by the number of vehicles that fit, in a sentence, or None.

    `approved`: how many fitted when it was approved; None: nobody but its author had to. Fewer are no problem.
    """
    if approved is None or fitting <= approved + approved // _GROWTH_DIVISOR:
        return None
    return (
        f"Of its vehicles {approved} fitted at the approval, and {fitting} do now; only a tenth more may have come. "
        "Reject it, and submit it again."
    )


def missing(*, required: int, given: int) -> int:
    """Return how many approvals a campaign lacks. Somebody approves it in any case."""
    return max(max(required, 1) - given, 0)


def own_approval_problem(by: str, *, is_author: bool, required: int) -> str | None:
    """Return why this person cannot approve, in a sentence, or None."""
    if required == 0 or not is_author:
        return None
    people = "1 person" if required == 1 else f"{required} people"
    return f"{by} has drafted or changed this campaign; {people} other than its authors must approve it."
