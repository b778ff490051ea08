"""The glossary in the viewer's language: states and kinds of decisions are stored in English."""

from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from otaserver.campaigns.models import Wave

_STATES = {
    "draft": _("draft"),
    "in_review": _("in review"),
    "approved": _("approved"),
    "scheduled": _("scheduled"),
    "running": _("running"),
    "paused": _("paused"),
    "halted": _("halted"),
    "completed": _("completed"),
    "cancelled": _("cancelled"),
    "waiting": _("waiting"),
    "open": _("open"),
    "maturing": _("maturing"),
    "passed": _("passed"),
    "failed": _("failed"),
    "undecided": _("undecided"),
    "excluded": _("excluded"),
    "offered": _("offered"),
    "downloading": _("downloading"),
    "downloaded": _("downloaded"),
    "held": _("held"),
    "installing": _("installing"),
    "installed": _("installed"),
    "finished": _("finished"),
    "soaking": _("soaking"),
    "succeeded": _("succeeded"),
    "refused": _("refused"),
    "lapsed": _("lapsed"),
    "withdrawing": _("withdrawing"),
    "withdrawn": _("withdrawn"),
    "superseded": _("superseded"),
    "under way": _("under way"),
    "neutral": _("neutral"),
    "pass": pgettext_lazy("verdict", "pass"),
    "halt": pgettext_lazy("verdict", "halt"),
    "uploading": _("uploading"),
    "verifying": _("verifying"),
    "published": _("published"),
    "success": _("success"),
    "failure": _("failure"),
    "none": _("none"),
    "workshop": _("workshop"),
    "accepted": _("accepted"),
    "blocked": _("blocked"),
    "enrolled": _("enrolled"),
    "expected": _("expected"),
    "decommissioned": _("decommissioned"),
    "fits": _("fits"),
    "already_there": _("already there"),
    "wrong_hardware": _("wrong hardware"),
    "unmet_dependency": _("unmet dependency"),
    "conflict": _("conflict"),
    "rollback_barred": _("rollback barred"),
    "not_enrolled": _("not enrolled"),
    "on_block_list": _("on block list"),
    "stale_inventory": _("stale inventory"),
    "not_deliverable": _("not deliverable"),
    "control": _("control"),
}

_DECISIONS = {
    "campaign.approval_given": _("campaign approval given"),
    "campaign.approved": _("campaign approved"),
    "campaign.cancelled": _("campaign cancelled"),
    "campaign.changed": _("campaign changed"),
    "campaign.closed": _("campaign closed"),
    "campaign.completed": _("campaign completed"),
    "campaign.created": _("campaign created"),
    "campaign.ended": _("campaign ended"),
    "campaign.excluded": _("campaign excluded"),
    "campaign.joined": _("campaign joined"),
    "campaign.kept_open": _("campaign kept open"),
    "campaign.missed_vehicle": _("campaign missed vehicle"),
    "campaign.not_started": _("campaign not started"),
    "campaign.not_rolled_back": _("campaign not rolled back"),
    "campaign.notify": _("people told"),
    "campaign.ordered_now": _("campaign ordered now"),
    "campaign.overrode": _("campaign overrode"),
    "campaign.overtaken": _("campaign overtaken"),
    "campaign.paused": _("campaign paused"),
    "campaign.reconciled": _("campaign reconciled"),
    "campaign.rejected": _("campaign rejected"),
    "campaign.resumed": _("campaign resumed"),
    "campaign.retried": _("campaign retried"),
    "campaign.rolling_back": _("campaign rolling back"),
    "campaign.scheduled": _("campaign scheduled"),
    "campaign.started": _("campaign started"),
    "campaign.stopped": _("campaign stopped"),
    "campaign.submitted": _("campaign submitted"),
    "campaign.unscheduled": _("campaign unscheduled"),
    "campaign.workshop": _("campaign workshop"),
    "engine.halted": _("halted, for it cannot be judged"),
    "gate.halted": _("gate halted"),
    "gate.passed": _("gate passed"),
    "limit.halted": _("limit halted"),
    "control.halted": _("control halted"),
    "wave.failed": _("wave failed"),
    "wave.opened": _("wave opened"),
    "wave.passed": _("wave passed"),
    "wave.refilled": _("wave refilled"),
    "wave.undecided": _("wave undecided"),
}
WEEKDAYS = {
    "mon": _("Mon"),
    "tue": _("Tue"),
    "wed": _("Wed"),
    "thu": _("Thu"),
    "fri": _("Fri"),
    "sat": _("Sat"),
    "sun": _("Sun"),
}


def of_state(state: str) -> str:
    """Return the word for a state, a verdict or an outcome; one that is not in the list as it is stored."""
    known = _STATES.get(state)
    return str(known) if known is not None else gettext(state.replace("_", " "))


def of_size(wave: Wave) -> str:
    """Return how large a wave is to be, in the viewer's language."""
    if wave.percent is not None:
        return wave.size
    if wave.group is not None:
        return gettext("group %(group)s") % {"group": wave.group}
    number = wave.count or 0
    return ngettext("%(number)s vehicle", "%(number)s vehicles", number) % {"number": number}


def known_state(state: str) -> str:
    """Return the word for what is stored as a state; nothing for what is none, such as a name."""
    return str(_STATES.get(state, ""))


def of_decision(kind: str) -> str:
    """Return a kind of decision for people; one that is not in the list as it is stored, with a blank for the point."""
    known = _DECISIONS.get(kind)
    return str(known) if known is not None else kind.replace(".", " ").replace("_", " ")


def of_record(action: str) -> str:
    """Return an action of the records for people; one that is not in the list as it is stored."""
    return str(_DECISIONS.get(action, action))


def of_weekday(day: str) -> str:
    return str(WEEKDAYS.get(day, day))
