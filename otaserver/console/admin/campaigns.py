from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse_lazy
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from otaserver import clock
from otaserver.campaigns import queries as campaign_queries
from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.rules.windows import WEEKDAYS
from otaserver.console import queries
from otaserver.console.access import tenants_visible_to
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.console.tables import NOTHING, Table, badge, link_to, link_to_list, moment
from otaserver.tenants.states import Permission

DECISIONS_SHOWN = 100


@admin.register(Campaign, site=site)
class CampaignAdmin(ReadOnlyAdmin):
    change_list_template = "console/campaigns_list.html"
    list_links = [(_("New campaign"), reverse_lazy("console:new_campaign", args=["what"]), Permission.MANAGE_CAMPAIGNS)]
    # The control room is a campaign's page; this one tells all of its settings.
    list_display_links = None
    list_display = ["room", "tenant", "shown_state", "release", "group", "wave", "progress", "started_at"]
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
            "Gate",
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
            "Vehicles",
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
            "When",
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

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        found = super().get_changelist_instance(request)
        shown = queries.campaign_progress([campaign.pk for campaign in found.result_list])
        for campaign in found.result_list:
            campaign.shown_progress = shown[campaign.pk]
        return found

    @admin.display(description="name", ordering="name")
    def room(self, campaign: Campaign) -> SafeString:
        return link_to(campaign)

    @admin.display(description="state", ordering="state")
    def shown_state(self, campaign: Campaign) -> SafeString:
        return badge(campaign.state)

    @admin.display(description="wave")
    def wave(self, campaign: Any) -> str:
        return str(campaign.shown_progress.wave or NOTHING)

    @admin.display(description="vehicles")
    def progress(self, campaign: Any) -> str:
        return str(campaign.shown_progress.sentence)

    @admin.display(description="requires")
    def required_first(self, campaign: Campaign) -> str:
        return ", ".join(str(row.required) for row in campaign.requirements.select_related("required")) or NOTHING

    def tables(self, row: Campaign) -> Sequence[Table]:
        return [_waves(row), _windows(row), _people(row), _gate(row), _failures(row), _decisions(row)]


@admin.register(Assignment, site=site)
class AssignmentAdmin(ReadOnlyAdmin):
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
        ("vehicle", "campaign", "wave"),
        "explanation",
        ("shown_state", "verdict", "stratum"),
        ("code", "message", "verdict_detail"),
        ("offered_at", "installing_at"),
        ("settled_at", "due_at"),
        "next_attempt_at",
        "configuration",
    ]

    @admin.display(description="state", ordering="state")
    def shown_state(self, assignment: Assignment) -> SafeString:
        return badge(assignment.state)

    @admin.display(description="why")
    def explanation(self, assignment: Assignment) -> str:
        return campaign_queries.explain(assignment, at=clock.now())

    @admin.display(description="wave", ordering="wave__number")
    def wave_number(self, assignment: Assignment) -> str:
        return str(assignment.wave.number) if assignment.wave else NOTHING

    def tables(self, row: Assignment) -> Sequence[Table]:
        attempts = row.attempts.select_related("assignment__campaign").order_by("-number")
        reports = queries.reports_of(attempts)
        return [
            Table(
                "Attempts",
                ["number", "opened", "closed", "outcome", "code"],
                [[a.number, moment(a.opened_at), moment(a.closed_at), badge(a.outcome), a.code] for a in attempts],
            ),
            Table("Reports", queries.REPORT_HEADERS, reports),
            _consents(row),
        ]


def _windows(campaign: Campaign) -> Table:
    rows = [
        [
            ", ".join(day for bit, day in enumerate(WEEKDAYS) if window.weekdays >> bit & 1),
            f"{window.start_minute // 60:02}:{window.start_minute % 60:02}",
            f"{window.length_minutes} minutes",
        ]
        for window in campaign.windows.all()
    ]
    return Table("Windows, by each vehicle's own clock", ["weekdays", "from", "for"], rows)


def _consents(assignment: Assignment) -> Table:
    rows = [
        [
            moment(each.received_at),
            badge(each.decision),
            each.by,
            each.recorded_by or "the vehicle",
            each.language,
            each.text_sha256[:16],
            "as ordered" if each.is_text_known else "unknown",
        ]
        for each in assignment.consents.order_by("-received_at", "-pk")
    ]
    return Table("Consent", ["received", "decision", "by", "recorded by", "language", "text", "text is"], rows)


def _waves(campaign: Campaign) -> Table:
    """The ladder: each wave with its vehicles by state, every number a link to them."""
    rows = [
        [
            step.wave.number,
            step.wave.size,
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
    headers = ["wave", "up to", "state", *queries.LADDER_COLUMNS, "opened", "finished"]
    return Table("Waves", headers, rows, note=_all_vehicles(campaign))


def _all_vehicles(campaign: Campaign) -> str:
    return link_to_list(Assignment, "All vehicles of this campaign", campaign__id__exact=campaign.pk)


def _people(campaign: Campaign) -> Table:
    """Who has approved this round of it, and how many people are missing."""
    view = campaign_queries.approval_view(campaign)
    rows = [[approval.by, moment(approval.at), approval.revision] for approval in view.given]
    others = "one person, who may be an author" if view.required == 0 else f"{view.required} other than the authors"
    note = f"Needs {others}; {view.missing} missing. Authors: {', '.join(view.authors)}."
    return Table("Approvals", ["by", "at", "revision"], rows, note=note)


def _gate(campaign: Campaign) -> Table:
    rows = [
        [
            test.stratum or "all vehicles",
            test.successes,
            test.failures,
            f"{test.lowest_rate:.2%} to {test.highest_rate:.2%}",
            "guard" if test.is_guard else "test",
            f"{test.statistic:+.2f}",
            NOTHING if test.is_guard else f"{test.pass_limit:+.2f}",
            f"{test.limit:+.2f}",
            badge(test.verdict),
        ]
        for test in campaign_queries.gate_view(campaign).tests
    ]
    headers = ["of", "good", "failed", "failure rate", "now", "evidence", "passes at", "halts at", "says"]
    return Table("Gate", headers, rows)


def _failures(campaign: Campaign) -> Table:
    found = sorted(campaign_queries.failures_by_code(campaign).items())
    rows = [
        [
            code or NOTHING,
            link_to_list(Assignment, count, campaign__id__exact=campaign.pk, state__exact="failed", q=code),
        ]
        for code, count in found
    ]
    return Table("Failures", ["code", "vehicles"], rows)


def _decisions(campaign: Campaign) -> Table:
    found = campaign_queries.decisions(campaign)[:DECISIONS_SHOWN]
    rows = [[moment(d.at), d.wave.number if d.wave else NOTHING, d.kind, d.actor, d.sentence] for d in found]
    return Table("Decisions", ["at", "wave", "kind", "by", "what was decided"], rows)
