"""The failure catalogue: every code that may stand on an attempt, an assignment or a vehicle's answer, and what it
means for the campaign and for people.

A code that is not in it is taken as the worst that it could be before somebody looks: it counts as a failure, and
nothing is tried again.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from otaserver.campaigns.states import Counts, FailureCategory, FailureOrigin

DOWNLOAD_FAILED = "download_failed"
HEALTH_FAILED = "health_failed"
REVERTED = "reverted"
VERIFICATION_FAILED = "verification_failed"
WITHDRAWN = "withdrawn"
SILENT = "silent"
UNPROVED = "unproved"
NOT_SWITCHED = "not_switched"
REVERT_FAILED = "revert_failed"
ORDER_LOST = "order_lost"
OUTRANKED = "outranked"
OVERTAKEN = "overtaken"
NEWER_RELEASE = "newer_release"
ADOPTED = "adopted"
DECOMMISSIONED = "decommissioned"
ATTEMPTS_EXHAUSTED = "attempts_exhausted"
ROLLBACK_FAILED = "rollback_failed"


@dataclass(frozen=True)
class Failure:
    """What a code means and what follows from it.

    `is_retried`: said before anything was installed, it may pass, and another attempt or another request follows by
    itself. `counts`: what it makes of the vehicle's result, if it ends the attempt. `needs_hands`: no order over the
    air helps; the vehicle stands on the workshop list.
    """

    code: str
    category: FailureCategory
    origin: FailureOrigin
    meaning: str
    advice: str
    is_retried: bool = False
    counts: Counts = Counts.NEUTRAL
    needs_hands: bool = False


def _rows(
    category: FailureCategory,
    origin: FailureOrigin,
    *rows: tuple[str, str, str],
    is_retried: bool = False,
    counts: Counts = Counts.NEUTRAL,
    needs_hands: bool = False,
) -> list[Failure]:
    return [
        Failure(code, category, origin, meaning, advice, is_retried, counts, needs_hands)
        for code, meaning, advice in rows
    ]


_C, _S = FailureCategory, FailureOrigin
_WAIT = "Nothing: it is tried again by itself."
_ATTACK = "Treat it as an attack or a publishing error: stop, and compare what was signed with what was served."
_INVENTORY = "Correct the vehicle's inventory or its request; the same one is refused again."

_FAILURES = [
    # How a vehicle ends or holds an attempt.
    *_rows(
        _C.NETWORK,
        _S.VEHICLE,
        (DOWNLOAD_FAILED, "The server refused a download for good.", "See whether the package is still published."),
        ("network", "No connection, or one that broke.", _WAIT),
        ("permit.late", "The Director's answer before the switch came too late.", _WAIT),
        ("download.range", "A download could not be continued where it stopped.", _WAIT),
        ("slow_retrieval", "Bytes came too slowly to be honest (a possible attack).", "Look at the network between."),
        is_retried=True,
    ),
    *_rows(
        _C.STORAGE,
        _S.VEHICLE,
        ("disk_full", "The vehicle has no space for the package.", "Free space on it if this goes on."),
        is_retried=True,
    ),
    *_rows(
        _C.VEHICLE_STATE,
        _S.VEHICLE,
        ("interrupted", "The vehicle was switched off or restarted before it installed.", _WAIT),
        ("not_before", "The order's time has not come.", _WAIT),
        ("window", "None of the order's windows is open.", _WAIT),
        ("precondition", "The vehicle's state does not allow it now (charge, parked, doors).", _WAIT),
        is_retried=True,
    ),
    *_rows(
        _C.VEHICLE_STATE,
        _S.VEHICLE,
        ("precondition_failed", "The vehicle's state rules it out for good.", "Look at the values it reported."),
    ),
    *_rows(
        _C.OWNER,
        _S.VEHICLE,
        ("consent", "The owner has not answered yet.", "Ask the owner, if it is urgent."),
        is_retried=True,
    ),
    *_rows(_C.OWNER, _S.VEHICLE, ("consent_refused", "The owner said no.", "Talk to the owner.")),
    *_rows(
        _C.SOFTWARE,
        _S.VEHICLE,
        ("internal", "The update client itself failed before it installed.", "Read its log; report it."),
        is_retried=True,
    ),
    *_rows(
        _C.SOFTWARE,
        _S.VEHICLE,
        ("install_failed", "An ECU could not be programmed.", "Read the log sent with it; look at that hardware."),
        (HEALTH_FAILED, "The new software ran and was not healthy; it went back.", "Do not go on before it is known."),
        (REVERTED, "It ran, and then what ran before ran again.", "Look for restarts during the trial."),
        counts=Counts.FAILURE,
    ),
    *_rows(
        _C.SOFTWARE,
        _S.VEHICLE,
        (
            REVERT_FAILED,
            "Neither the new software runs nor the old one.",
            "Send somebody with the tools to flash it.",
        ),
        counts=Counts.FAILURE,
        needs_hands=True,
    ),
    *_rows(
        _C.SECURITY,
        _S.VEHICLE,
        (VERIFICATION_FAILED, "Metadata or a package failed verification.", _ATTACK),
        counts=Counts.FAILURE,
    ),
    *_rows(
        _C.SERVER,
        _S.VEHICLE,
        (WITHDRAWN, "The order was taken back before it was installed.", "Nothing: see why the campaign stopped."),
    ),
    # What verification says beside `verification_failed`.
    *_rows(
        _C.SECURITY,
        _S.VERIFICATION,
        ("clock", "A signed time that cannot be.", _ATTACK),
        ("delegation", "A role signs what it may not, or the graph of roles is out of bounds.", _ATTACK),
        ("director_misuse", "The Director delegates, or names an ECU twice, unknown or unfit.", _ATTACK),
        ("equivocation", "One version with two contents.", _ATTACK),
        ("freeze", "Metadata that is over.", "Sign it anew; else somebody keeps it from the vehicle."),
        ("image_corrupt", "Bytes that are not those that were signed.", _ATTACK),
        ("image_mismatch", "Director and Image repository disagree.", _ATTACK),
        ("image_rollback", "A release counter lower than the committed one.", "Publish with an equal counter or more."),
        ("image_unknown", "The Image repository does not know what the Director orders.", _ATTACK),
        ("inconsistent", "Files of one repository that do not belong together.", _ATTACK),
        ("malformed", "Metadata that two readers would read differently.", _ATTACK),
        ("mix_and_match", "Another version or hash than the parent names.", _ATTACK),
        ("oversized", "More bytes than allowed.", _ATTACK),
        ("rollback", "Metadata older than what is trusted.", _ATTACK),
        ("root_chain", "Not exactly the next root.", "Publish the roots in between."),
        ("signature", "Too few valid signatures.", _ATTACK),
        ("threshold", "One key under several ids.", _ATTACK),
        ("unsafe_name", "A target name that could leave its place.", _ATTACK),
        ("wrong_vehicle", "Metadata meant for another vehicle.", _ATTACK),
        counts=Counts.FAILURE,
    ),
    # What the server decides.
    *_rows(
        _C.NETWORK,
        _S.SERVER,
        (
            SILENT,
            "Nothing was heard in time: before it installed, neutral; afterwards, a failure.",
            "Find the vehicle.",
        ),
        counts=Counts.FAILURE,
        needs_hands=True,
    ),
    *_rows(
        _C.SOFTWARE,
        _S.SERVER,
        (
            NOT_SWITCHED,
            "The time to install is over and it proves other software.",
            "Read its log; look at boot loops.",
        ),
        (UNPROVED, "The last manifest of the soak left out an ECU of the release.", "Find out why it is not heard."),
        counts=Counts.FAILURE,
    ),
    *_rows(
        _C.SOFTWARE,
        _S.SERVER,
        (ATTEMPTS_EXHAUSTED, "A roll-back was tried as often as allowed.", "Bring it back by hand."),
        (ROLLBACK_FAILED, "A roll-back failed on the vehicle.", "Bring it back by hand."),
        counts=Counts.FAILURE,
        needs_hands=True,
    ),
    *_rows(
        _C.SERVER,
        _S.SERVER,
        (ORDER_LOST, "The order was not the one that the vehicle was directed to.", _WAIT),
        ("enrolled_again", "The vehicle enrolled again while an order stood.", _WAIT),
        ("rolled_back", "A roll-back took the vehicle first.", _WAIT),
        (OUTRANKED, "A campaign of a higher class took the vehicle first.", _WAIT),
        is_retried=True,
    ),
    *_rows(
        _C.SERVER,
        _S.SERVER,
        (OVERTAKEN, "A safety recall went on before the soak was over.", "Nothing: it counts neither way."),
        (NEWER_RELEASE, "A newer release of the same packages goes there.", "Nothing: see the other campaign."),
        (ADOPTED, "The software came from elsewhere and was adopted.", "Nothing: it is what was wanted."),
        (DECOMMISSIONED, "The vehicle was decommissioned.", "Nothing; take it back into service if that was wrong."),
        ("already_there", "The vehicle runs the release already.", "Nothing."),
        ("wrong_hardware", "No package fits the vehicle's hardware.", "Look at the group of the campaign."),
        ("unmet_dependency", "What the release needs does not run, and will not.", "Bring that first."),
        ("conflict", "What must not run beside the release does.", "Replace that first."),
        (
            "rollback_barred",
            "The vehicle has committed a higher release counter.",
            "Publish with an equal one or more.",
        ),
        ("not_enrolled", "The vehicle has not enrolled.", "Enrol it."),
        ("blocked", "An operator has blocked the vehicle.", "Unblock it, if it may take part."),
        ("on_block_list", "The vehicle is in a group that no campaign updates.", "Take it off the block list."),
        ("stale_inventory", "What it runs was not confirmed for too long.", "Let it send its manifest."),
        ("not_deliverable", "Its protocol cannot do what the release asks.", "Make a release that it can take."),
        ("control", "It is held out, to compare the others with.", "Nothing: another campaign may update it."),
    ),
    # What a vehicle's request may be answered with.
    *_rows(
        _C.SERVER,
        _S.REQUEST,
        ("server.busy", "The database is busy or away.", "If it goes on, look at the database."),
        ("server.error", "A bug.", "Read the server's log; report it."),
        ("storage.full", "The server's disk or bucket is full.", "Make room."),
        ("rate.limited", "Too many tries.", _WAIT),
        ("claim.rate_limited", "Too many tries with a claim code.", _WAIT),
        ("answer.invalid", "Something between answered in the server's place.", "Look at proxies and portals."),
        ("metadata.missing", "Metadata that is named is not there.", "See whether a publication is unfinished."),
        ("director.signed_meanwhile", "Two requests signed at once.", _WAIT),
        ("resource.conflict", "The right request at the wrong moment.", _WAIT),
        is_retried=True,
    ),
    *_rows(
        _C.SECURITY,
        _S.REQUEST,
        ("credential.invalid", "No credential, or one that is wrong, expired or revoked.", "Enrol the vehicle again."),
        ("permission.missing", "The credential does not allow this.", "See whose credential it is."),
        ("claim.invalid", "A claim code that is unknown or over.", "Issue another."),
        ("claim.used", "A claim code that was used.", "Issue another, if nobody else used it."),
        ("claim.missing", "The vehicle has neither credential nor claim code.", "Provision it."),
        ("certificate_request.refused", "A certificate request that cannot be signed.", _INVENTORY),
        ("vehicle.blocked", "The vehicle is blocked.", "Unblock it, if it may come back."),
        ("download.forbidden", "A download without a valid signed URL.", _WAIT),
        ("manifest.other_vehicle", "A manifest of another vehicle.", _ATTACK),
        ("manifest.replayed", "A manifest that was sent before.", "If it goes on, look for a copied ECU."),
        ("manifest.signature_invalid", "A manifest without a valid signature.", _ATTACK),
        ("manifest.foreign_ecu", "A manifest with another vehicle's ECU.", "See whether parts were swapped."),
    ),
    *_rows(
        _C.SOFTWARE,
        _S.REQUEST,
        ("manifest.malformed", "A manifest that is none.", _INVENTORY),
        ("manifest.too_large", "A manifest beyond the limit.", _INVENTORY),
        ("manifest.wrong_primary", "A manifest by an ECU that is not the Primary.", _INVENTORY),
        ("attempt.not_found", "A report on an attempt that the vehicle has not.", _INVENTORY),
        ("attempt.too_many_reports", "More reports than are kept.", "Look why it repeats itself."),
        ("attempt.too_many_logs", "More logs than are kept.", "Look why it repeats itself."),
        ("config.invalid", "The vehicle's configuration cannot be used.", "Correct it."),
    ),
]

CATALOGUE = {failure.code: failure for failure in _FAILURES}


def of(code: str) -> Failure:
    """Return what a code means; one that nobody has described counts as a failure and is not tried again."""
    known = CATALOGUE.get(code)
    if known is not None:
        return known
    meaning = f"A code that the catalogue does not describe: {code or 'none given'}."
    advice = "Read the message and the log that came with it."
    return Failure(code, FailureCategory.SOFTWARE, FailureOrigin.VEHICLE, meaning, advice, counts=Counts.FAILURE)


def codes(failures: Iterable[Failure], *, origin: FailureOrigin, is_retried: bool, counts: Counts) -> frozenset[str]:
    """Return the codes of these failures that come from there, with this said of them."""
    found = (failure for failure in failures if failure.origin == origin)
    return frozenset(one.code for one in found if one.is_retried == is_retried and one.counts == counts)


# Said before anything was installed, these may pass: another attempt follows.
PASSING_CODES = codes(_FAILURES, origin=_S.VEHICLE, is_retried=True, counts=Counts.NEUTRAL)
REFUSAL_CODES = codes(_FAILURES, origin=_S.VEHICLE, is_retried=False, counts=Counts.NEUTRAL)
# What the server itself shed. Should a client end its attempt for that, another follows, and this one does not count.
SHED_CODES = frozenset(
    one.code for one in _FAILURES if one.category == _C.SERVER and one.origin == _S.REQUEST and one.is_retried
)
HANDS_CODES = frozenset(failure.code for failure in _FAILURES if failure.needs_hands)
