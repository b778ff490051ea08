"""Tables of the console's pages, in the form in which Unfold's table component takes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import AssignmentState, CampaignState, GateVerdict, ReportOutcome, WaveState
from otaserver.console import words

NOTHING = "-"
# Colour says: moving, good, wants a look, bad. What has no colour waits or is over.
VARIANTS: dict[str, str] = {
    CampaignState.RUNNING: "info",
    CampaignState.IN_REVIEW: "warning",
    CampaignState.PAUSED: "warning",
    CampaignState.HALTED: "danger",
    CampaignState.COMPLETED: "success",
    WaveState.OPEN: "info",
    WaveState.MATURING: "info",
    WaveState.PASSED: "success",
    WaveState.FAILED: "danger",
    WaveState.UNDECIDED: "warning",
    AssignmentState.DOWNLOADING: "info",
    AssignmentState.DOWNLOADED: "info",
    AssignmentState.HELD: "warning",
    AssignmentState.INSTALLING: "info",
    AssignmentState.SOAKING: "info",
    AssignmentState.SUCCEEDED: "success",
    AssignmentState.REFUSED: "warning",
    AssignmentState.WITHDRAWING: "warning",
    ReportOutcome.SUCCESS: "success",
    ReportOutcome.FAILURE: "danger",
    GateVerdict.HALT: "danger",
    GateVerdict.PASS: "success",
    "published": "success",
    "accepted": "success",
    "blocked": "danger",
    "pending": "warning",
    "rejected": "danger",
    "withdrawn": "warning",
}


@dataclass(frozen=True)
class Table:
    """A titled table; cells are text, numbers or safe HTML."""

    title: object
    headers: Sequence[object]
    rows: Sequence[Sequence[Any]] = field(default_factory=tuple)
    note: str = ""


def badge(state: str) -> SafeString:
    """Return a coloured label for a state, an outcome or a verdict, in the viewer's language."""
    return format_html(
        '<span class="c-state c-state--{}">{}</span>', VARIANTS.get(state, "default"), words.of_state(state)
    )


def link_to(row: Model, label: str | None = None) -> SafeString:
    """Return a link to the row's page."""
    if isinstance(row, Campaign):
        return _link(reverse("console:control_room", args=[row.pk]), label or str(row))
    address = reverse(f"console:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return _link(address, label or str(row))


def link_to_list(model: type[Model], label: object, **filters: object) -> SafeString:
    """Return a link to the list of `model` with these filters set."""
    address = reverse(f"console:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return _link(f"{address}?{urlencode(filters)}", str(label))


def moment(value: datetime | None) -> str:
    """Return a time of day and date, or a dash."""
    if value is None:
        return NOTHING
    return formats.date_format(timezone.localtime(value), "DATETIME_FORMAT")


def lines(values: Iterable[object]) -> SafeString | str:
    """Return several values under one another, or a dash."""
    found = [str(value) for value in values]
    if not found:
        return NOTHING
    text: SafeString = format_html("<br>".join(["{}"] * len(found)), *found)
    return text


def _link(address: str, label: str) -> SafeString:
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, label)
