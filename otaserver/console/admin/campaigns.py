from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse, reverse_lazy
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from otaserver import clock
from otaserver.campaigns import queries as campaign_queries
from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.console import queries, sentences, words
from otaserver.console.access import tenants_visible_to
from otaserver.console.admin.base import List, ReadOnlyAdmin
from otaserver.console.admin.campaign_tables import (
    approvals_table,
    consents_table,
    decisions_table,
    windows_table,
)
from otaserver.console.failure_words import with_meaning
from otaserver.console.site import site
from otaserver.console.tables import NOTHING, Table, badge, link_to_list, moment
from otaserver.tenants.states import Permission


class CampaignList(List):
    """The control room is a campaign's page; the admin's tells all of its settings."""

    def url_for_result(self, result: Model) -> str:
        return reverse("console:control_room", args=[result.pk])


@admin.register(Campaign, site=site)
class CampaignAdmin(ReadOnlyAdmin):
    empty_note = _("No campaign is here yet. Plan one: it needs a release and a group.")
    change_list_template = "console/campaigns_list.html"
    list_links = [(_("New campaign"), reverse_lazy("console:new_campaign", args=["what"]), Permission.MANAGE_CAMPAIGNS)]
    list_display = ["name", "tenant", "shown_state", "release", "group", "wave", "progress", "started_at"]
    list_select_related = ["tenant", "release", "group"]
    list_filter = ["state", "kind"]
    search_fields = ["name", "release__name"]
    ordering = ["-created_at"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("name", "shown_state", "kind"),
                    ("release", "group", "rolls_back"),
                    ("fallback_release", "no_way_back_reason"),
                    "reason",
                    ("created_by", "approved_by", "revision"),
                    "created_at",
                    ("started_at", "finished_at"),
                ]
            },
        ),
        (
            _("Gate"),
            {
                "classes": ["tab"],
                "fields": [
                    ("acceptable_rate", "unacceptable_rate"),
                    ("alpha", "beta", "is_stratified"),
                    ("soak_seconds", "wave_rule", "failure_budget"),
                    ("max_failed", "max_verification_failed", "max_in_flight"),
                    "halt_codes",
                ],
            },
        ),
        (
            _("Vehicles"),
            {
                "classes": ["tab"],
                "fields": [
                    ("offer_timeout_seconds", "download_timeout_seconds", "install_timeout_seconds"),
                    ("max_attempts", "retry_seconds", "grace_hours"),
                    ("max_inventory_age_seconds", "control_percent"),
                    ("priority", "halt_action", "foreign_software"),
                    "required_first",
                    ("is_dynamic", "closed_at"),
                ],
            },
        ),
        (
            _("When"),
            {
                "classes": ["tab"],
                "fields": [
                    ("starts_at", "ends_at", "downloads_early"),
                    ("offers_per_minute", "bytes_per_hour"),
                    "preconditions",
                    ("consent", "consent_postponements", "consent_deadline_seconds"),
                ],
            },
        ),
    ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        managed = tenants_visible_to(request.user, Permission.MANAGE_CAMPAIGNS)
        drafts = PlanDraft.objects.filter(person=request.user.pk, tenant__in=managed).select_related("tenant")
        shown = [
            (draft, (draft.steps.get("what", {}).get("name") or [""])[0], urlencode({"tenant": draft.tenant.name}))
            for draft in drafts.order_by("-changed_at")
        ]
        return super().changelist_view(request, {"plan_drafts": shown, **(extra_context or {})})

    # Unfold calls it a list; it is the class of one.
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[List]:  # type: ignore[override]
        return CampaignList

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        found = super().get_changelist_instance(request)
        shown = queries.campaign_progress([campaign.pk for campaign in found.result_list])
        for campaign in found.result_list:
            campaign.shown_progress = shown[campaign.pk]
        return found

    @admin.display(description=_("state"), ordering="state")
    def shown_state(self, campaign: Campaign) -> SafeString:
        return badge(campaign.state)

    @admin.display(description=_("wave"))
    def wave(self, campaign: Any) -> str:
        return str(campaign.shown_progress.wave or NOTHING)

    @admin.display(description=_("Vehicles"))
    def progress(self, campaign: Any) -> str:
        return str(campaign.shown_progress.sentence)

    @admin.display(description=_("requires"))
    def required_first(self, campaign: Campaign) -> str:
        return ", ".join(str(row.required) for row in campaign.requirements.select_related("required")) or NOTHING

    def tables(self, row: Campaign) -> Sequence[Table]:
        tables = [_waves(row), windows_table(row), approvals_table(row), _gate(row)]
        return [*tables, _failures(row), decisions_table(row)]


@admin.register(Assignment, site=site)
class AssignmentAdmin(ReadOnlyAdmin):
    empty_note = _("No vehicle takes part in a campaign yet: each gets its part when one starts.")
    tenant_field = "campaign__tenant"
    list_display = [
        "vehicle",
        "campaign",
        "wave_number",
        "shown_state",
        "verdict",
        "code",
        "offered_at",
        "installing_at",
        "settled_at",
    ]
    list_select_related = ["vehicle", "campaign", "wave"]
    list_filter = ["state", "verdict"]
    search_fields = ["vehicle__vehicle_id", "code"]
    ordering = ["campaign", "rank"]
    fields = [
        ("vehicle", "campaign", "wave_number"),
        "explanation",
        ("shown_state", "verdict", "stratum"),
        ("told_code", "message", "told_detail"),
        ("offered_at", "installing_at"),
        ("settled_at", "due_at"),
        "next_attempt_at",
        "configuration",
    ]

    def shown_fields(self, request: HttpRequest) -> frozenset[str]:
        # Shown by its number alone; numbers of a campaign lead to the vehicles of one wave.
        return super().shown_fields(request) | {"wave"}

    @admin.display(description=_("state"), ordering="state")
    def shown_state(self, assignment: Assignment) -> SafeString:
        return badge(assignment.state)

    @admin.display(description=_("code"))
    def told_code(self, assignment: Assignment) -> str:
        return with_meaning(assignment.code)

    @admin.display(description=_("verdict detail"))
    def told_detail(self, assignment: Assignment) -> str:
        return sentences.of(assignment.verdict_detail) or NOTHING

    @admin.display(description=_("why"))
    def explanation(self, assignment: Assignment) -> str:
        return sentences.of(campaign_queries.explain(assignment, at=clock.now()))

    @admin.display(description=_("wave"), ordering="wave__number")
    def wave_number(self, assignment: Assignment) -> str:
        return str(assignment.wave.number) if assignment.wave else NOTHING

    def tables(self, row: Assignment) -> Sequence[Table]:
        attempts = row.attempts.select_related("assignment__campaign").order_by("-number")
        reports = queries.reports_of(attempts)
        return [
            Table(
                _("Attempts"),
                [_("number"), _("opened"), _("closed"), _("outcome"), _("code")],
                [
                    [a.number, moment(a.opened_at), moment(a.closed_at), badge(a.outcome), with_meaning(a.code)]
                    for a in attempts
                ],
            ),
            Table(_("Reports"), queries.REPORT_HEADERS, reports),
            consents_table(row),
        ]


def _waves(campaign: Campaign) -> Table:
    """The ladder: each wave with its vehicles by state, every number a link to them."""
    rows = [
        [
            step.wave.number,
            words.of_size(step.wave),
            badge(step.wave.state),
            *(
                link_to_list(Assignment, number, wave__id__exact=step.wave.pk, state__in=",".join(states))
                if number
                else 0
                for number, states in step.cells
            ),
            moment(step.wave.opened_at),
            moment(step.wave.finished_at),
        ]
        for step in queries.ladder(campaign)
    ]
    headers = [
        _("wave"),
        _("up to"),
        _("state"),
        *map(words.of_state, queries.LADDER_COLUMNS),
        _("opened"),
        _("finished"),
    ]
    return Table(_("Waves"), headers, rows, note=_all_vehicles(campaign))


def _all_vehicles(campaign: Campaign) -> str:
    return link_to_list(Assignment, _("All vehicles of this campaign"), campaign__id__exact=campaign.pk)


def _gate(campaign: Campaign) -> Table:
    rows = [
        [
            test.stratum or _("all vehicles"),
            test.successes,
            test.failures,
            f"{test.lowest_rate:.2%} - {test.highest_rate:.2%}",
            _("guard") if test.is_guard else _("test"),
            f"{test.statistic:+.2f}",
            NOTHING if test.is_guard else f"{test.pass_limit:+.2f}",
            f"{test.limit:+.2f}",
            badge(test.verdict),
        ]
        for test in campaign_queries.gate_view(campaign).tests
    ]
    headers = [
        _("of"),
        _("good"),
        _("failed"),
        _("failure rate"),
        _("now"),
        _("evidence"),
        _("passes at"),
        _("halts at"),
        _("says"),
    ]
    return Table(_("Gate"), headers, rows)


def _failures(campaign: Campaign) -> Table:
    found = sorted(campaign_queries.failures_by_code(campaign).items())
    rows = [
        [
            with_meaning(code),
            link_to_list(Assignment, count, campaign__id__exact=campaign.pk, state__exact="failed", code__exact=code),
        ]
        for code, count in found
    ]
    return Table(_("Failures"), [_("code"), _("vehicles")], rows)
