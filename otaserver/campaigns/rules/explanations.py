"""What keeps a vehicle from being updated, as a table: a stable code, the rule, and what would change it."""

from collections.abc import Mapping
from dataclasses import dataclass

from otaserver.campaigns.states import AssignmentState, CampaignState, Verdict


@dataclass(frozen=True)
class Remedy:
    """One kind of reason: its code, the rule behind it, what would change it, and a sentence where none is made."""

    code: str
    rule: str
    remedy: str
    sentence: str = ""


@dataclass(frozen=True)
class HoldUp:
    """What holds one vehicle up now: its kind, a sentence with the values, the rule's value and the vehicle's own."""

    remedy: Remedy
    sentence: str
    limit: str
    value: str


TENANT_STOPPED = Remedy(
    "tenant.stopped",
    "While everything of a tenant is stopped, nothing is offered.",
    "Resume the tenant, then each campaign.",
    "Everything of the tenant is stopped.",
)
NOT_ENROLLED = Remedy(
    "vehicle.not_enrolled",
    "Only a vehicle that has enrolled gets orders.",
    "Issue a claim code and let the vehicle enrol.",
    "The vehicle has not enrolled.",
)
BLOCKED = Remedy(
    "vehicle.blocked",
    "A blocked vehicle is answered, but offered nothing.",
    "Unblock the vehicle.",
    "The vehicle is blocked.",
)
NEVER_HEARD = Remedy(
    "vehicle.never_heard_of",
    "A vehicle hears of an order when it asks.",
    "Switch the vehicle on, where it has a connection; check its server address.",
    "The vehicle has never asked.",
)
SILENT = Remedy(
    "vehicle.silent",
    "A vehicle hears of an order when it asks.",
    "Bring the vehicle to where it has a connection.",
    "The vehicle has not asked for more than a day.",
)
NOTHING_PROVED = Remedy(
    "vehicle.nothing_proved",
    "What a vehicle runs is what its signed manifest says.",
    "Let the vehicle send its manifest; it is asked to at its next contact.",
    "The vehicle has not proved yet what it runs.",
)
NO_CAMPAIGN = Remedy(
    "campaign.none",
    "A vehicle is updated by a campaign for a group that it is in.",
    "Put the vehicle into a group of a campaign, or start one for a group of it.",
    "No campaign that is open is for a group that the vehicle is in.",
)
LIST_FROZEN = Remedy(
    "campaign.list_frozen",
    "A campaign's list of vehicles is made when it starts.",
    "Make another campaign for the same group.",
    "The vehicle came into the campaign's group after its list was made.",
)
TO_BE_TAKEN_IN = Remedy(
    "campaign.takes_in",
    "A dynamic campaign takes in whoever comes to match while it runs.",
    "Wait for the next minute; resume the campaign where it is paused or halted.",
    "The vehicle is in the campaign's group by now, and is taken in while the campaign runs.",
)
FILTER_REFUSED = Remedy(
    "group.filter_refused",
    "A group's filter must be one that can be answered.",
    "Make a group with a filter that can be answered.",
    "Whether the vehicle is in the campaign's group cannot be said: its filter is refused.",
)
WAVE_WAITING = Remedy("wave.waiting", "Waves open one after another.", "Wait, or decide the wave that is open.")
NEXT_ATTEMPT = Remedy("attempt.later", "Between two attempts there is a pause.", "Wait until then.")
BUSY = Remedy("vehicle.busy", "A vehicle has one order at a time.", "Wait for the other campaign, or cancel it.")
REQUIRED = Remedy(
    "campaign.required_first",
    "A vehicle waits until each campaign that its own requires has succeeded on it.",
    "Look at why that campaign has not succeeded on the vehicle.",
)
BLACKOUT = Remedy(
    "blackout.in_force",
    "While a blackout is in force, nothing is offered and nothing pending is installed.",
    "Wait for its end, or lift it.",
)
WINDOW = Remedy(
    "window.shut",
    "A vehicle installs in the campaign's windows, by the clock of its time zone.",
    "Wait until the next one opens; set the vehicle's time zone if it is another.",
)
NO_WINDOW = Remedy(
    "window.none_left", "A campaign ends at its time.", "Let the campaign end later, or make another one."
)
ZONE_UNKNOWN = Remedy(
    "vehicle.time_zone_unknown",
    "A vehicle installs in the campaign's windows, by the clock of its time zone.",
    "Set the vehicle's time zone.",
)
PRECONDITION = Remedy(
    "precondition.unmet", "The vehicle must measure what its order demands.", "Bring the vehicle into that state."
)
PACE = Remedy(
    "pace.used_up", "Orders are given no faster than the campaign's pace.", "Wait, or change the campaign's pace."
)
WITHHELD = Remedy(
    "order.withheld",
    "An order that a client cannot hold back itself waits on the server until it may be carried out.",
    "See to what it waits for; what the owner said elsewhere can be recorded.",
)
TURN = Remedy(
    "assignment.waiting",
    "Offers are made tick by tick, within the limits of the campaign's plan.",
    "Wait, or raise the limit that its plan sets.",
)

# Before a campaign runs, and while it does not.
CAMPAIGN: Mapping[str, Remedy] = {
    CampaignState.DRAFT: Remedy(
        "campaign.draft", "A draft offers nothing.", "Submit and approve it.", "The campaign is a draft."
    ),
    CampaignState.IN_REVIEW: Remedy(
        "campaign.in_review",
        "A campaign is approved before it starts.",
        "Approve it.",
        "The campaign waits for its approval.",
    ),
    CampaignState.APPROVED: Remedy(
        "campaign.approved", "A campaign is started by a person or at a time.", "Start it.", "The campaign is approved."
    ),
    CampaignState.SCHEDULED: Remedy(
        "campaign.scheduled", "A campaign starts at its time.", "Wait, or start it now.", "The campaign is scheduled."
    ),
    CampaignState.PAUSED: Remedy("campaign.paused", "A paused campaign offers nothing.", "Resume it."),
    CampaignState.HALTED: Remedy("campaign.halted", "A halted campaign offers nothing.", "Resume it with a reason."),
    CampaignState.CANCELLED: Remedy("campaign.cancelled", "It is over.", "Make another campaign."),
    CampaignState.COMPLETED: Remedy("campaign.completed", "It is over.", "Make another campaign."),
}

EXCLUDED: Mapping[str, Remedy] = {
    Verdict.ALREADY_THERE: Remedy("verdict.already_there", "Only what does not run yet is brought out.", "Nothing."),
    Verdict.WRONG_HARDWARE: Remedy(
        "verdict.wrong_hardware",
        "A package fits the hardware ids that it names.",
        "Publish a package for this hardware, and a release with it.",
    ),
    Verdict.UNMET_DEPENDENCY: Remedy(
        "verdict.unmet_dependency",
        "What a release requires must run beside it.",
        "Bring the required package out to the vehicle first.",
    ),
    Verdict.CONFLICT: Remedy(
        "verdict.conflict", "What a release excludes must not run beside it.", "Bring out other software first."
    ),
    Verdict.ROLLBACK_BARRED: Remedy(
        "verdict.rollback_barred",
        "A release counter never falls.",
        "Publish the older software again with a counter at least as high.",
    ),
    Verdict.NOT_ENROLLED: Remedy(
        "verdict.not_enrolled", "Only an enrolled vehicle takes part.", "Enrol it, and make another campaign."
    ),
    Verdict.BLOCKED: Remedy("verdict.blocked", "No blocked vehicle takes part.", "Unblock it, and make another one."),
    Verdict.ON_BLOCK_LIST: Remedy(
        "verdict.on_block_list",
        "No campaign updates the vehicles of a block list.",
        "Take the vehicle out of that group, or lift the block list.",
    ),
    Verdict.STALE_INVENTORY: Remedy(
        "verdict.stale_inventory",
        "Only a vehicle that has confirmed lately what it runs takes part.",
        "Let it send its manifest, and make another campaign.",
    ),
    Verdict.NOT_DELIVERABLE: Remedy(
        "verdict.not_deliverable",
        "A vehicle is sent what its protocol can carry.",
        "Make a release that its protocol can carry, and a campaign for it.",
    ),
    Verdict.CONTROL: Remedy(
        "verdict.control",
        "A share of the vehicles is held out, to compare the others with.",
        "Wait until the campaign is over, then make another one.",
    ),
}

_ASK = "Wait for its next contact."
_AGAIN = "Find the cause, then make another campaign."
ASSIGNED: Mapping[str, Remedy] = {
    AssignmentState.OFFERED: Remedy("assignment.offered", "It must answer in time.", _ASK),
    AssignmentState.DOWNLOADING: Remedy("assignment.downloading", "It must download in time.", "Wait."),
    AssignmentState.DOWNLOADED: Remedy("assignment.downloaded", "It must begin to install in time.", "Wait."),
    AssignmentState.HELD: Remedy(
        "assignment.held", "The vehicle installs when its own conditions are met.", "Meet the condition that it names."
    ),
    AssignmentState.INSTALLING: Remedy("assignment.installing", "It must prove the outcome in time.", "Wait."),
    AssignmentState.SOAKING: Remedy("assignment.soaking", "It must stay healthy through its soak.", "Wait."),
    AssignmentState.SUCCEEDED: Remedy("assignment.succeeded", "It runs and stayed healthy.", "Nothing."),
    AssignmentState.FAILED: Remedy("assignment.failed", "A failed update is not tried again.", _AGAIN),
    AssignmentState.REFUSED: Remedy("assignment.refused", "A vehicle may refuse.", "Meet what it refused for."),
    AssignmentState.LAPSED: Remedy("assignment.lapsed", "Nothing waits for ever.", _AGAIN),
    AssignmentState.WITHDRAWING: Remedy("assignment.withdrawing", "It must confirm the withdrawal.", _ASK),
    AssignmentState.WITHDRAWN: Remedy("assignment.withdrawn", "A stop withdraws orders.", "Resume the campaign."),
    AssignmentState.SUPERSEDED: Remedy("assignment.superseded", "Other software came first.", "Nothing."),
}


def excluded(verdict: str) -> Remedy:
    """Return the rule behind a verdict, and what would change it."""
    return EXCLUDED.get(verdict) or Remedy(f"verdict.{verdict}", "The vehicle must fit the campaign.", _AGAIN)


def assigned(state: str) -> Remedy:
    """Return the rule behind the state of a vehicle's part, and what would change it."""
    return ASSIGNED.get(state) or Remedy(f"assignment.{state}", "Each state has a due time.", "Wait.")
