from dataclasses import replace

import pytest

from otaserver.campaigns.rules import matching
from otaserver.campaigns.rules.matching import Bundle, Candidate, Computer, Condition, Item, Software
from otaserver.campaigns.states import Verdict


def make_item(name="engine", version="2.0", *, hardware=("gateway",), counter=0, position=0):
    target_name = f"supplier/{name}-{version}"
    return Item(1, name, version, target_name, f"{name}{version}", frozenset(hardware), counter, position)


def make_ecu(serial="S1", hardware="gateway", runs=None):
    if runs is None:
        return Computer(serial, hardware)
    software = Software(runs.name, runs.version, runs.release_counter)
    return Computer(serial, hardware, runs.sha256, software)


OLD = make_item(version="1.0")
NEW = make_item()
BRAKE = make_item("brake", hardware=("brake",))
BRAKES = make_ecu("S2", "brake")


def match(items, *ecus, conditions=(), **vehicle):
    return matching.match(Bundle(items, conditions), Candidate(ecus, **vehicle))


def test_each_ecu_gets_the_package_for_its_hardware_in_the_order_of_installation():
    first = replace(BRAKE, position=0)
    second = replace(NEW, position=1)

    found = match([second, first], make_ecu("S1", runs=OLD), make_ecu("S2", "brake"), make_ecu("S3", "radio"))

    assert found.verdict == Verdict.FITS
    assert [(serial, item.name) for serial, item in found.packages] == [("S2", "brake"), ("S1", "engine")]


def test_an_ecu_that_runs_its_package_already_is_left_alone():
    found = match([NEW, BRAKE], make_ecu("S1", runs=NEW), make_ecu("S2", "brake"))

    assert [serial for serial, _ in found.packages] == ["S2"]


def test_the_same_bytes_under_another_name_are_already_there():
    again = replace(NEW, version="2.0-again", target_name="supplier/engine-2.0-again")

    assert match([again], make_ecu(runs=NEW)).verdict == Verdict.ALREADY_THERE


@pytest.mark.parametrize(
    ("verdict", "items", "ecus", "vehicle"),
    [
        (Verdict.NOT_ENROLLED, [NEW], [make_ecu()], {"is_enrolled": False}),
        (Verdict.BLOCKED, [NEW], [make_ecu()], {"is_blocked": True}),
        (Verdict.WRONG_HARDWARE, [NEW], [make_ecu(hardware="radio")], {}),
        (Verdict.WRONG_HARDWARE, [NEW], [], {}),
        (Verdict.ALREADY_THERE, [NEW], [make_ecu(runs=NEW)], {}),
        (Verdict.CONFLICT, [NEW, make_item("other")], [make_ecu()], {}),
        (Verdict.ROLLBACK_BARRED, [NEW], [make_ecu(runs=replace(OLD, release_counter=1))], {}),
        (Verdict.FITS, [replace(NEW, release_counter=1)], [make_ecu(runs=replace(OLD, release_counter=1))], {}),
        (Verdict.FITS, [NEW], [make_ecu()], {}),
        (Verdict.NOT_DELIVERABLE, [NEW, BRAKE], [make_ecu(), BRAKES], {"protocol": "mender"}),
        (Verdict.NOT_DELIVERABLE, [NEW, BRAKE], [make_ecu(), BRAKES], {"protocol": "ddi", "takes_one": True}),
        (Verdict.FITS, [NEW, BRAKE], [make_ecu(), BRAKES], {"protocol": "ddi"}),
        (Verdict.FITS, [NEW, BRAKE], [make_ecu(runs=NEW), BRAKES], {"protocol": "ddi", "takes_one": True}),
    ],
)
def test_why_a_vehicle_takes_part_or_not(verdict, items, ecus, vehicle):
    found = match(items, *ecus, **vehicle)

    assert found.verdict == verdict
    assert bool(found.detail) == (verdict != Verdict.FITS)
    assert bool(found.packages) == (verdict == Verdict.FITS)


def requires(name, *versions):
    return Condition(matching.REQUIRES, name, frozenset(versions))


def conflicts(name, *versions):
    return Condition(matching.CONFLICTS, name, frozenset(versions))


@pytest.mark.parametrize(
    ("condition", "runs", "verdict"),
    [
        (requires("brake"), None, Verdict.UNMET_DEPENDENCY),
        (requires("brake"), BRAKE, Verdict.FITS),
        (requires("brake", "2.0", "3.0"), BRAKE, Verdict.FITS),
        (requires("brake", "3.0"), BRAKE, Verdict.UNMET_DEPENDENCY),
        (conflicts("brake"), None, Verdict.FITS),
        (conflicts("brake"), BRAKE, Verdict.CONFLICT),
        (conflicts("brake", "2.0"), BRAKE, Verdict.CONFLICT),
        (conflicts("brake", "3.0"), BRAKE, Verdict.FITS),
        # Of the release itself, and of what it replaces.
        (requires("engine", "2.0"), None, Verdict.FITS),
        (conflicts("engine", "1.0"), None, Verdict.FITS),
        (requires("engine", "1.0"), None, Verdict.UNMET_DEPENDENCY),
    ],
)
def test_conditions_are_judged_on_what_is_confirmed_plus_the_release(condition, runs, verdict):
    found = match([NEW], make_ecu(runs=OLD), make_ecu("S2", "brake", runs=runs), conditions=[condition])

    assert found.verdict == verdict


def test_a_part_of_a_release_that_was_only_ordered_is_no_ground_to_build_on():
    # Mix and match, partial bundle (A12): brake 2.0 was ordered, and the vehicle has confirmed brake 1.0 only.
    confirmed = replace(BRAKE, version="1.0", sha256="brake1.0")

    found = match([NEW], make_ecu(), make_ecu("S2", "brake", runs=confirmed), conditions=[requires("brake", "2.0")])

    assert found.verdict == Verdict.UNMET_DEPENDENCY
    assert found.detail == "brake (2.0) is required and is not confirmed to run."


def test_a_condition_on_any_version_says_so():
    found = match([NEW], make_ecu(), conditions=[requires("brake")])

    assert found.detail == "brake (any version) is required and is not confirmed to run."


def test_nothing_runs_a_release_that_has_no_package_for_it():
    assert not matching.runs([])


def test_a_stratum_is_the_hardware_that_the_release_may_change():
    ecus = [make_ecu("S2", "gateway"), make_ecu("S1", "brake"), make_ecu("S3", "radio")]

    assert matching.stratum(ecus, [NEW, BRAKE]) == "brake+gateway"


def test_long_strata_are_told_apart_by_a_hash():
    names = [f"{'x' * 60}{i}" for i in range(3)]
    ecus = [make_ecu(name, name) for name in names]

    one = matching.stratum(ecus[:2], [make_item(hardware=names)])
    other = matching.stratum(ecus[1:], [make_item(hardware=names)])

    assert len(one) == len(other) == 64
    assert one != other


@pytest.mark.parametrize(
    ("fallback", "problem"),
    [
        ([replace(OLD, release_counter=3)], None),
        ([replace(OLD, release_counter=4)], None),
        ([replace(OLD, release_counter=2)], "commits counter 3"),
        ([], "no package for hardware gateway"),
        ([BRAKE], "no package for hardware gateway"),
    ],
)
def test_a_fallback_is_reachable_where_no_counter_is_lower(fallback, problem):
    found = matching.unreachable([replace(NEW, release_counter=3)], fallback)

    assert found is None if problem is None else problem in found
