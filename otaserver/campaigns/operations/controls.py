"""The control share: vehicles that fit and are held out, so that the others' health can be compared with theirs."""

from collections import Counter
from collections.abc import Mapping

from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.rules import waves
from otaserver.campaigns.states import AssignmentState, Verdict

HELD_OUT = "It is held out, so that the updated vehicles can be compared with it."


def hold_out(campaign: Campaign, strata: Mapping[str, int]) -> Counter[str]:
    """Exclude the campaign's control share from each of its strata, and return how many of each that were.

    Chosen are the last by rank: as good as random, and the same again whoever computes it.
    """
    held: Counter[str] = Counter()
    if not campaign.control_percent:
        return held
    for stratum, fitting in strata.items():
        count = waves.control_places(fitting, campaign.control_percent)
        if not count:
            continue
        waiting = campaign.assignments.filter(state=AssignmentState.WAITING, stratum=stratum)
        chosen = waiting.order_by("-rank", "-pk").values("pk")[:count]
        held[stratum] = Assignment.objects.filter(pk__in=chosen).update(
            state=AssignmentState.EXCLUDED, verdict=Verdict.CONTROL, verdict_detail=HELD_OUT
        )
    return held
