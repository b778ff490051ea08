"""What a vehicle does at the install gate with windows, conditions and questions of consent that were signed."""

import hashlib

import pytest

from clients.vehicle.hooks import HookResult, Verdict, WillingHooks
from tests.clients.vehicle.conftest import NOON
from tests.clients.vehicle.repositories import stamp

TEXT = "Bremsen für alle"


class Hooks(WillingHooks):
    """Measures and answers as told; counts how often the owner was asked."""

    def __init__(self, measured=None, answer=None):
        self.measured = measured
        self.answer = answer
        self.questions = []
        self.on_install = lambda: None

    def preconditions(self, conditions):
        return super().preconditions(conditions) if self.measured is None else HookResult(measured=self.measured)

    def consent(self, question):
        self.questions.append(question)
        return self.answer or HookResult()

    def install(self, image):
        self.on_install()
        return HookResult()


@pytest.fixture
def new(oem, vehicle):
    return oem.publish_release("2.0", counter=2)


def use(vehicle, **values):
    vehicle.hooks = Hooks(**values)
    vehicle.restart()
    return vehicle.hooks


def hours(*pairs):
    return [[stamp(NOON.replace(hour=start)), stamp(NOON.replace(hour=end))] for start, end in pairs]


def held(oem):
    return [(event["code"], event["message"]) for event in oem.events if event["phase"] == "held"]


# Windows


def test_a_vehicle_downloads_at_once_and_installs_when_a_window_opens(vehicle, oem, new):
    attempt = oem.order(new, windows=hours((14, 15), (18, 20)))

    assert vehicle.run().status == "held"
    assert "downloaded" in oem.phases(attempt)
    vehicle.later(hours=3)
    assert vehicle.run().status == "held"
    vehicle.later(hours=3)
    assert vehicle.run().status == "installed"

    assert held(oem) == [("window", "the next window opens at 2026-06-01T14:00:00Z")]


@pytest.mark.parametrize("windows", [[], [["2026-06-01T10:00:00Z", "2026-06-01T12:00:00Z"]]])
def test_a_list_that_is_used_up_holds_the_order_for_good(vehicle, oem, new, windows):
    old = vehicle.runs()
    oem.order(new, windows=windows)

    for _ in range(3):
        assert vehicle.run().status == "held"
        vehicle.later(hours=7)

    assert vehicle.runs() == old
    assert held(oem) == [("window", "the list of windows is used up")]


@pytest.mark.parametrize(
    "windows",
    ["always", [["2026-06-01T14:00:00Z"]], [["2026-06-01T14:00:00Z", "2026-06-01T13:00:00Z"]], [["noon", "one"]], [7]],
)
def test_windows_that_cannot_be_read_install_nothing(vehicle, oem, new, windows):
    old = vehicle.runs()
    attempt = oem.order(new, windows=windows)

    assert vehicle.run().status == "never"

    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("failure", "verification_failed")]


def test_a_list_made_anew_is_followed_without_another_download(vehicle, oem, new):
    attempt = oem.order(new, windows=hours((14, 15)))
    assert vehicle.run().status == "held"
    requests = sum("/downloads/" in path for path in oem.paths())
    oem.director.custom["order"]["windows"] = hours((12, 13))
    oem.director.publish()

    assert vehicle.run().status == "installed"

    assert sum("/downloads/" in path for path in oem.paths()) == requests
    assert oem.phases(attempt).count("downloaded") == 1


def test_a_freeze_that_comes_with_the_last_answer_of_the_director_is_kept(vehicle, oem, new):
    old = vehicle.runs()
    attempt = oem.order(new)
    hooks = use(vehicle)
    honest = hooks.preconditions

    def freeze(conditions):
        oem.director.custom["order"]["windows"] = []
        oem.director.publish()
        return honest(conditions)

    hooks.preconditions = freeze
    oem.director.custom["order"]["preconditions"] = [{"name": "parked", "operator": "==", "value": True}]
    oem.director.publish()

    assert [vehicle.run().status for _ in range(3)] == ["held", "held", "held"]

    assert vehicle.runs() == old
    assert "installing" not in oem.phases(attempt)


def test_a_window_that_shuts_while_slots_are_filled_leaves_the_old_software_running(vehicle, oem, new):
    old = vehicle.runs()
    attempt = oem.order(new, windows=hours((12, 13), (18, 19)))
    hooks = use(vehicle)
    hooks.on_install = lambda: vehicle.later(minutes=30)

    assert vehicle.run().status == "held"

    assert vehicle.runs() == old
    assert oem.phases(attempt)[-2:] == ["downloaded", "held"]
    assert held(oem) == [("window", "the next window opens at 2026-06-01T18:00:00Z")]
    hooks.on_install = lambda: None
    assert vehicle.run().status == "held"
    vehicle.restart()
    vehicle.at = NOON.replace(hour=18)
    assert vehicle.run().status == "installed"
    assert oem.finished(attempt) == [("success", "")]
    assert vehicle.runs() == new


# Preconditions

CHARGED = {"name": "state_of_charge", "operator": ">=", "value": 40}
FULL = {"name": "battery_12v", "operator": ">=", "value": "12.4"}


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"state_of_charge": 12, "battery_12v": 12.4}, "state_of_charge is 12, must be >= 40"),
        ({"state_of_charge": 40}, "battery_12v is unknown, must be >= 12.4"),
        ({"state_of_charge": True, "battery_12v": "12.6"}, "state_of_charge is true, must be >= 40"),
    ],
)
def test_a_hook_that_says_yes_to_values_that_do_not_meet_the_conditions_is_not_believed(
    vehicle, oem, new, measured, said
):
    old = vehicle.runs()
    oem.order(new, preconditions=[CHARGED, FULL])
    hooks = use(vehicle, measured=measured)

    result = vehicle.run()

    assert (result.status, result.detail.partition(";")[0]) == ("held", said)
    (event,) = [event for event in oem.events if event["phase"] == "held"]
    assert (event["code"], event["measured"]) == ("precondition", measured)
    assert vehicle.runs() == old
    hooks.measured = {"state_of_charge": 40, "battery_12v": 12.4}
    assert vehicle.run().status == "installed"


def test_a_refusal_carries_what_was_measured(vehicle, oem, new):
    attempt = oem.order(new, preconditions=[CHARGED])
    hooks = use(vehicle)
    hooks.preconditions = lambda conditions: HookResult(Verdict.NO, "broken", {"state_of_charge": 1})

    assert vehicle.run().status == "refused"

    (event,) = [event for event in oem.events if event["phase"] == "finished"]
    assert (event["attempt"], event["code"], event["measured"]) == (
        attempt,
        "precondition_failed",
        {"state_of_charge": 1},
    )


# Consent

ASK = {"kind": "ask", "postponements": None, "deadline_seconds": None, "again_seconds": 86400}
DEADLINE = ASK | {"kind": "ask_with_deadline", "postponements": 2}
LATER = HookResult(Verdict.NOT_YET, "later", decision="postpone", by="Erika", language="en")


def decisions(oem):
    return [record["decision"] for record in oem.consents]


def test_a_yes_is_recorded_with_who_when_language_and_text(vehicle, oem, new):
    attempt = oem.order(new, consent=ASK)
    use(vehicle, answer=HookResult(by="Erika", language="de"))

    assert vehicle.run().status == "installed"

    (record,) = oem.consents
    assert record | {"id": ""} == {
        "id": "",
        "attempt": attempt,
        "decision": "yes",
        "by": "Erika",
        # There are English notes only, and those were shown.
        "language": "en",
        "text_sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
        "device_time": "2026-06-01T12:00:00Z",
    }


def test_a_no_refuses_for_good_and_is_recorded(vehicle, oem, new):
    attempt = oem.order(new, consent=ASK)
    use(vehicle, answer=HookResult(Verdict.NO, "no"))

    assert vehicle.run().status == "refused"

    assert decisions(oem) == ["no"]
    assert oem.finished(attempt) == [("refused", "consent_refused")]


def test_an_owner_who_puts_it_off_is_left_in_peace_for_a_day(vehicle, oem, new):
    oem.order(new, consent=ASK)
    hooks = use(vehicle, answer=LATER)

    for _ in range(5):
        assert vehicle.run().status == "held"
        vehicle.later(hours=4)
        vehicle.restart()

    assert (len(hooks.questions), decisions(oem)) == (1, ["postpone"])


def ask_daily(vehicle, oem, days):
    """Poll a vehicle once a day, each time as a new process; returns how each cycle went."""
    seen = []
    for _ in range(days):
        for repository in (oem.director, oem.image):
            repository.at = vehicle.at
            repository.publish()
        seen.append(vehicle.run().status)
        vehicle.later(days=1)
        vehicle.restart()
    return seen


def test_after_its_postponements_it_goes_ahead_and_the_last_question_said_so(vehicle, oem, new):
    oem.order(new, consent=DEADLINE)
    hooks = use(vehicle, answer=LATER)

    assert ask_daily(vehicle, oem, 3) == ["held", "held", "installed"]

    assert [(q.is_last, q.may_refuse, q.postponements_left) for q in hooks.questions] == [
        (False, False, 2),
        (False, False, 1),
        (True, False, 0),
    ]
    assert decisions(oem) == ["postpone", "postpone", "deadline"]


def test_with_a_deadline_a_no_only_puts_it_off(vehicle, oem, new):
    oem.order(new, consent=DEADLINE)
    use(vehicle, answer=HookResult(Verdict.NO, "no"))

    assert ask_daily(vehicle, oem, 3) == ["held", "held", "installed"]
    assert decisions(oem) == ["postpone", "postpone", "deadline"]


def test_after_the_deadline_it_goes_ahead_only_once_the_owner_was_told(vehicle, oem, new):
    oem.order(new, consent=DEADLINE | {"postponements": None, "deadline_seconds": 86400})
    hooks = use(vehicle, answer=LATER)
    assert vehicle.run().status == "held"
    hooks.answer = HookResult(Verdict.NOT_YET, "nobody is there")
    vehicle.later(days=1)

    # Nobody was asked for the last time, however long that takes.
    assert ask_daily(vehicle, oem, 4) == ["held"] * 4
    hooks.answer = HookResult(Verdict.NOT_YET, decision="shown")
    assert ask_daily(vehicle, oem, 2) == ["held", "installed"]

    assert [question.is_last for question in hooks.questions] == [False, *[True] * 6]
    assert decisions(oem) == ["postpone", "deadline"]


def test_a_question_that_nobody_could_be_asked_never_counts(vehicle, oem, new):
    old = vehicle.runs()
    oem.order(new, consent=DEADLINE | {"postponements": 0, "deadline_seconds": 1})
    use(vehicle, answer=HookResult(Verdict.NOT_YET))

    assert ask_daily(vehicle, oem, 3) == ["held"] * 3

    assert vehicle.runs() == old
    assert oem.consents == []


def test_a_yes_is_remembered_while_something_else_holds_the_order(vehicle, oem, new):
    oem.order(new, consent=ASK)
    hooks = use(vehicle)
    answers = hooks.consent

    def lose_the_network(question):
        oem.is_down = True
        return answers(question)

    hooks.consent = lose_the_network
    assert vehicle.run().status == "not_now"
    oem.is_down = False
    vehicle.restart()
    assert vehicle.run().status == "installed"

    assert (len(hooks.questions), decisions(oem)) == (1, ["yes"])


def test_an_answer_to_other_notes_does_not_count(vehicle, oem, new):
    oem.order(new, consent=DEADLINE, preconditions=[CHARGED])
    hooks = use(vehicle, answer=LATER)
    assert vehicle.run().status == "held"
    oem.director.custom["order"]["notes"] = {"en": "QnJlbXNlbg=="}
    oem.director.publish()

    assert vehicle.run().status == "held"

    assert [question.postponements_left for question in hooks.questions] == [2, 2]
