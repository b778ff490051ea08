"""Suggesting waves for a campaign that is not drafted yet."""

from dataclasses import dataclass
from datetime import datetime

from firmware_store.models import Release
from otaserver.campaigns.errors import PlanRefusedError
from otaserver.campaigns.operations import checks, fits
from otaserver.campaigns.rules import gate, plans, suggestions
from otaserver.fleet.models import Group


@dataclass(frozen=True)
class SuggestedPlan:
    """What waves a campaign could have, and for how many vehicles."""

    fitting: int
    failure_budget: int
    suggestion: suggestions.Suggestion


def suggest_waves(
    release: Release,
    group: Group,
    *,
    failure_budget: int,
    at: datetime,
    counted: fits.Fit | None = None,
    growth: int = 4,
    acceptable_rate: float = 0.005,
    unacceptable_rate: float = 0.02,
    alpha: float = 0.01,
    beta: float = 0.05,
) -> SuggestedPlan:
    """Return waves that bring a release to a group within a failure budget, with the reasons. Nothing is stored.

    `counted`: who of the group fits, where that is known already.

    Raises:
        PlanRefusedError: the sentence says what of it cannot be.
        ReleaseNotPublishedError: see `checks`.
    """
    problem = plans.gate_problem(
        acceptable_rate=acceptable_rate, unacceptable_rate=unacceptable_rate, alpha=alpha, beta=beta
    )
    if problem is not None:
        raise PlanRefusedError(problem)
    checks.require_published(release)
    fitting = (counted or fits.judge_group(release, group, at=at)).fitting
    problem = suggestions.inputs_problem(fleet=fitting, failure_budget=failure_budget, growth=growth)
    if problem is not None:
        raise PlanRefusedError(problem)
    plan = gate.GatePlan(acceptable_rate=acceptable_rate, unacceptable_rate=unacceptable_rate, alpha=alpha, beta=beta)
    test = gate.make_test(plan, share=1.0, planned_results=fitting)
    found = suggestions.suggest(test, fleet=fitting, failure_budget=failure_budget, growth=growth)
    return SuggestedPlan(fitting, failure_budget, found)
