import pytest

from otaserver.fleet.ecu_changes import AnnouncedSwap, EcuFacts, change_problem

GATE = EcuFacts("GATE", "gateway", True, "a")
BRAKE = EcuFacts("BRAKE", "brake", False, "b")
SEAT = EcuFacts("SEAT", "seat", False, "c")
NEW = EcuFacts("BRAKE-2", "brake", False, "d")
HELD = [GATE, BRAKE, SEAT]


def test_what_stays_as_it_was_needs_no_announcement():
    assert change_problem(HELD, HELD, []) is None


@pytest.mark.parametrize(
    ("declared", "swap"),
    [
        ([GATE, NEW, SEAT], AnnouncedSwap("BRAKE", "BRAKE-2", "brake")),
        ([GATE, NEW, SEAT], AnnouncedSwap("BRAKE", "", "brake")),
        ([GATE, EcuFacts("BRAKE", "brake", False, "d"), SEAT], AnnouncedSwap("BRAKE", "BRAKE", "brake")),
        ([GATE, EcuFacts("BRAKE", "brake-v2", False, "d"), SEAT], AnnouncedSwap("BRAKE", "", "brake-v2")),
        ([EcuFacts("G2", "gateway", True, "d"), BRAKE, SEAT], AnnouncedSwap("GATE", "", "gateway")),
    ],
)
def test_what_was_announced_may_come(declared, swap):
    assert change_problem(HELD, declared, [swap]) is None
    assert change_problem(HELD, declared, []) is not None


def test_an_announcement_that_nothing_comes_of_is_no_obstacle():
    assert (
        change_problem(
            HELD, [GATE, NEW, SEAT], [AnnouncedSwap("BRAKE", "", "brake"), AnnouncedSwap("SEAT", "", "seat")]
        )
        is None
    )


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ([GATE, EcuFacts("X", "brake", False, "d"), SEAT], "does not fit"),
        ([GATE, EcuFacts("BRAKE-2", "radio", False, "d"), SEAT], "does not fit"),
        ([EcuFacts("GATE", "gateway", False, "a"), EcuFacts("BRAKE-2", "brake", True, "d"), SEAT], "GATE would be"),
        ([GATE, NEW], "SEAT would be replaced"),
        ([GATE, SEAT], "does not fit"),
        ([GATE, NEW, SEAT, EcuFacts("RADIO", "radio", False, "e")], "RADIO would come"),
        ([GATE, NEW, EcuFacts("SEAT", "seat", False, "e")], "SEAT would be replaced"),
    ],
)
def test_what_was_not_announced_may_not(declared, why):
    problem = change_problem(HELD, declared, [AnnouncedSwap("BRAKE", "BRAKE-2", "brake")])

    assert why in problem


def test_of_two_swaps_the_one_that_names_its_ecu_gets_it():
    other = EcuFacts("BRAKE-3", "brake", False, "e")
    held = [GATE, BRAKE, EcuFacts("BRAKE-B", "brake", False, "f")]
    swaps = [AnnouncedSwap("BRAKE", "", "brake"), AnnouncedSwap("BRAKE-B", "BRAKE-2", "brake")]

    assert change_problem(held, [GATE, NEW, other], swaps) is None
