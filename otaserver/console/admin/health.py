"""How the vehicles of a campaign are: each signal of its release, alone and against the vehicles held out."""

from django.utils.translation import gettext_lazy as _

from otaserver.campaigns import queries
from otaserver.campaigns.models import Campaign
from otaserver.console.tables import NOTHING, Table, badge


def health_tables(campaign: Campaign) -> list[Table]:
    """Return the tables of a campaign's signals; none if its release states none."""
    views = queries.signal_views(campaign)
    compared = [(view.name, view.comparison) for view in views if view.comparison is not None]
    return [*([_signals(views)] if views else []), *([_comparisons(compared)] if compared else [])]


def _signals(views: list[queries.SignalView]) -> Table:
    rows = [
        [
            view.name,
            f"{view.signal_limit:g}",
            view.good,
            view.bad,
            view.missing,
            _("guard") if view.is_guard else _("test"),
            f"{view.statistic:+.2f}",
            NOTHING if view.is_guard else f"{view.pass_limit:+.2f}",
            f"{view.limit:+.2f}",
            badge(view.verdict),
        ]
        for view in views
    ]
    headers = [
        _("signal"),
        _("bad above"),
        _("good"),
        _("bad"),
        _("silent"),
        _("now"),
        _("evidence"),
        _("passes at"),
        _("halts at"),
        _("says"),
    ]
    return Table(_("Health"), headers, rows)


def _comparisons(compared: list[tuple[str, queries.ComparisonView]]) -> Table:
    rows = [
        [
            name,
            _("%(part)s of %(all)s") % {"part": view.treated_bad, "all": view.treated},
            _("%(part)s of %(all)s") % {"part": view.control_bad, "all": view.control},
            f"{view.log_evidence:+.2f}",
            f"{view.limit:+.2f}",
            badge(view.verdict),
        ]
        for name, view in compared
    ]
    headers = [_("signal"), _("bad, updated"), _("bad, held out"), _("evidence"), _("halts at"), _("says")]
    return Table(_("Against the vehicles held out"), headers, rows)
