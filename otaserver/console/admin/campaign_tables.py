"""What stands below a campaign's settings and an assignment, as tables."""

from django.utils.translation import gettext_lazy as _

from otaserver.campaigns import queries as campaign_queries
from otaserver.campaigns.models import Assignment, Campaign
from otaserver.campaigns.rules.windows import WEEKDAYS
from otaserver.console import sentences, words
from otaserver.console.tables import NOTHING, Table, badge, moment

DECISIONS_SHOWN = 100


def windows_table(campaign: Campaign) -> Table:
    rows = [
        [
            ", ".join(words.of_weekday(day) for bit, day in enumerate(WEEKDAYS) if window.weekdays >> bit & 1),
            f"{window.start_minute // 60:02}:{window.start_minute % 60:02}",
            _("%(number)s minutes") % {"number": window.length_minutes},
        ]
        for window in campaign.windows.all()
    ]
    return Table(_("Windows, by each vehicle's own clock"), [_("weekdays"), _("from"), _("for")], rows)


def consents_table(assignment: Assignment) -> Table:
    rows = [
        [
            moment(each.received_at),
            badge(each.decision),
            each.by,
            each.recorded_by or _("the vehicle"),
            each.language,
            each.text_sha256[:16],
            _("as ordered") if each.is_text_known else _("unknown"),
        ]
        for each in assignment.consents.order_by("-received_at", "-pk")
    ]
    return Table(
        _("Consent"),
        [_("received"), _("decision"), _("by"), _("recorded by"), _("language"), _("text"), _("text is")],
        rows,
    )


def approvals_table(campaign: Campaign) -> Table:
    """Who has approved this round of it, and how many people are missing."""
    view = campaign_queries.approval_view(campaign)
    rows = [[approval.by, moment(approval.at), approval.revision] for approval in view.given]
    values = {"required": view.required, "missing": view.missing, "authors": ", ".join(view.authors)}
    if view.required == 0:
        note = _("Needs one person, who may be an author; %(missing)s missing. Authors: %(authors)s.") % values
    else:
        note = _("Needs %(required)s other than the authors; %(missing)s missing. Authors: %(authors)s.") % values
    return Table(_("Approvals"), [_("by"), _("at"), _("revision")], rows, note=note)


def decisions_table(campaign: Campaign) -> Table:
    found = campaign_queries.decisions(campaign)[:DECISIONS_SHOWN]
    rows = [
        [
            moment(d.at),
            d.wave.number if d.wave else NOTHING,
            words.of_decision(d.kind),
            d.actor,
            sentences.of(d.sentence),
        ]
        for d in found
    ]
    return Table(_("Decisions"), [_("at"), _("wave"), _("kind"), _("by"), _("what was decided")], rows)
