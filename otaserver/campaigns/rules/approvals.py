"""Four eyes: how many people a campaign needs, and who of them may not be one."""


def required(*, is_rollback: bool, by_tenant: int, rollbacks_need_approval: bool) -> int:
    """Return how many people other than its authors must approve a campaign; 0: one person alone, who may be an author.

    A roll-back brings back what was approved before, and every hour of it counts: a tenant decides whether it needs as
    many as any other campaign.
    """
    return 0 if is_rollback and not rollbacks_need_approval else by_tenant


def missing(*, required: int, given: int) -> int:
    """Return how many approvals a campaign lacks. Somebody approves it in any case."""
    return max(max(required, 1) - given, 0)


def own_approval_problem(by: str, *, is_author: bool, required: int) -> str | None:
    """Return why this person cannot approve, in a sentence, or None."""
    if required == 0 or not is_author:
        return None
    people = "1 person" if required == 1 else f"{required} people"
    return f"{by} has drafted or changed this campaign; {people} other than its authors must approve it."
