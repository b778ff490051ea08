"""What came of a campaign's vehicles, by code, by hardware, and by what they ran before."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import NEUTRAL_STATES, AssignmentState
from otaserver.fleet.models import Configuration

_RESULTS = frozenset({AssignmentState.SUCCEEDED, AssignmentState.FAILED})
_ENDED = _RESULTS | NEUTRAL_STATES


@dataclass(frozen=True)
class CodeCount:
    """How many vehicles ended, or wait, in a state with a code."""

    state: str
    code: str
    vehicles: int


@dataclass(frozen=True)
class Share:
    """Of vehicles that are alike in something: how many failed, of how many with a result.

    `label` names what they share; `configurations` are the ids of their configurations where it is what they ran.
    """

    label: str
    failed: int
    results: int
    configurations: Sequence[int] = ()


@dataclass(frozen=True)
class Breakdown:
    """Failures first by code, then by hardware and by the software before; the neutral ends by code."""

    failures: Sequence[CodeCount]
    neutral: Sequence[CodeCount]
    by_hardware: Sequence[Share]
    by_version: Sequence[Share]


def breakdown(campaign: Campaign) -> Breakdown:
    """Return how a campaign's ended vehicles divide, in two queries."""
    rows = list(
        campaign.assignments.filter(state__in=sorted(_ENDED))
        .order_by()
        .values_list("state", "code", "stratum", "configuration")
        .annotate(count=Count("pk"))
    )
    codes: Counter[tuple[str, str]] = Counter()
    for state, code, _, _, count in rows:
        if state != AssignmentState.SUCCEEDED:
            codes[state, code] += count
    counted = [CodeCount(state, code, count) for (state, code), count in sorted(codes.items(), key=_most_first)]
    return Breakdown(
        failures=[each for each in counted if each.state == AssignmentState.FAILED],
        neutral=[each for each in counted if each.state != AssignmentState.FAILED],
        by_hardware=_shares([(stratum, None, state, count) for state, _, stratum, _, count in rows]),
        by_version=_shares(_with_labels([(row[0], row[3], row[4]) for row in rows])),
    )


def _most_first(item: tuple[tuple[str, str], int]) -> tuple[int, tuple[str, str]]:
    return -item[1], item[0]


def _with_labels(rows: Sequence[tuple[str, int | None, int]]) -> list[tuple[str, int | None, str, int]]:
    known = dict(Configuration.objects.filter(pk__in={pk for _, pk, _ in rows if pk}).values_list("pk", "ecus"))
    labels = {pk: ", ".join(sorted({target for _, target, _ in ecus if target})) for pk, ecus in known.items()}
    return [(labels.get(pk or 0, ""), pk, state, count) for state, pk, count in rows]


def _shares(rows: Sequence[tuple[str, int | None, str, int]]) -> Sequence[Share]:
    failed: Counter[str] = Counter()
    results: Counter[str] = Counter()
    members: dict[str, set[int]] = {}
    for label, configuration, state, count in rows:
        if state not in _RESULTS:
            continue
        results[label] += count
        failed[label] += count if state == AssignmentState.FAILED else 0
        members.setdefault(label, set()).update({configuration} if configuration else ())
    ordered = sorted(results, key=lambda label: (-failed[label], -results[label], label))
    return [Share(label, failed[label], results[label], sorted(members[label])) for label in ordered]
