"""Filters made at random, judged against what they say of each vehicle read in Python."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otaserver.fleet import operations, queries
from otaserver.fleet.errors import FilterRefusedError
from otaserver.fleet.models import Ecu
from tests.factories import NOON, make_group, make_tenant, make_vehicle

pytestmark = pytest.mark.django_db
# The vehicles are made once for all examples: these only read.
READING = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150
)
WORDS = ["", "a", "b", "ab", "Ab", "%", "_", "it's", '"', "\\", "ä"]
NUMBERS = [-1.5, 0.0, 1.0, 7.0]
TIMES = [NOON - timedelta(days=1), NOON, NOON + timedelta(days=1)]
IDS = ["V0", "V1", "V2", "V3", "V4", "V5"]


@dataclass(frozen=True)
class Seen:
    """One vehicle as Python sees it."""

    id: str
    values: dict[str, Any]
    ecus: list[dict[str, str]]


def facts(number):
    """The attributes, times and ECUs of the vehicle with this number; some have none."""
    values = {
        "attribute.word": WORDS[number] if number != 3 else None,
        "attribute.number": NUMBERS[number % 4] if number != 4 else None,
        "attribute.flag": [True, False, None][number % 3],
        "attribute.time": TIMES[number % 3] if number > 1 else None,
        "last_contact": TIMES[number % 3] if number % 2 else None,
        "blocked": number in {1, 2},
        "vehicle_id": IDS[number],
    }
    ecus = [
        {"hardware_id": ["a", "b", "Ab"][(number + index) % 3], "installed": ["", "a", "b"][(number * index) % 3]}
        for index in range(1 + number % 3)
    ]
    return Seen(IDS[number], values, ecus)


@pytest.fixture
def tenant():
    tenants = [make_tenant("first"), make_tenant("second")]
    for tenant in tenants:
        for name, type_ in (("word", "text"), ("number", "number"), ("flag", "boolean"), ("time", "time")):
            operations.declare_attribute(tenant, name=name, type=type_, by="alice", at=NOON)
        vehicles = [make(tenant, facts(number)) for number in range(len(IDS))]
        make_group(tenant, *vehicles[:2], name="two")
        make_group(tenant, name="none")
    return tenants[0]


def make(tenant, seen):
    vehicle = make_vehicle(
        tenant,
        seen.id,
        hardware=tuple(ecu["hardware_id"] for ecu in seen.ecus),
        last_contact_at=seen.values["last_contact"],
        blocked_at=NOON if seen.values["blocked"] else None,
    )
    for index, ecu in enumerate(seen.ecus):
        Ecu.objects.filter(vehicle=vehicle, serial=f"{seen.id}-{index}").update(installed_target=ecu["installed"])
    prefix = "attribute."
    values = {name[len(prefix) :]: value for name, value in seen.values.items() if name.startswith(prefix)}
    operations.set_attributes(vehicle, values, at=NOON)
    return vehicle


POSITIVE = {
    "=": lambda value, wanted: value == wanted,
    "in": lambda value, wanted: value in wanted,
    "<": lambda value, wanted: value < wanted,
    "<=": lambda value, wanted: value <= wanted,
    ">": lambda value, wanted: value > wanted,
    ">=": lambda value, wanted: value >= wanted,
    "~": lambda value, wanted: wanted.lower() in value.lower(),
    "startswith": lambda value, wanted: value.lower().startswith(wanted.lower()),
    "endswith": lambda value, wanted: value.lower().endswith(wanted.lower()),
}
NEGATIVE = {"!=": "=", "not in": "in", "!~": "~", "not startswith": "startswith", "not endswith": "endswith"}
EQUAL, LISTED = ["=", "!="], ["in", "not in"]
PARTS, ORDER = ["~", "!~", "startswith", "not startswith", "endswith", "not endswith"], ["<", "<=", ">", ">="]


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(value):
    if isinstance(value, list):
        return "(" + ", ".join(written(item) for item in value) + ")"
    if isinstance(value, str):
        return quoted(value)
    return quoted(value.isoformat()) if hasattr(value, "isoformat") else str(value)


@st.composite
def comparisons(draw, values, operators, *, may_be_none=False):
    """An operator with its value, as text and as what it says of a present or absent (None) value."""
    operator = draw(st.sampled_from(operators))
    if operator in LISTED:
        wanted = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    else:
        # An empty part is refused.
        given = [value for value in values if value != ""] if operator in PARTS else values
        wanted = draw(st.sampled_from([*given, None] if may_be_none and operator in EQUAL else given))
    positive = POSITIVE[NEGATIVE.get(operator, operator)]

    def holds(value):
        found = value is None if wanted is None else value is not None and positive(value, wanted)
        return found != (operator in NEGATIVE)

    return f"{operator} {written(wanted)}", holds, operator in NEGATIVE


def about(name, values, operators, *, may_be_none=False):
    return comparisons(values, operators, may_be_none=may_be_none).map(
        lambda made: (f"{name} {made[0]}", lambda seen: made[1](seen.values[name]), 3)
    )


def about_group():
    members = {"two": IDS[:2], "none": []}
    return st.tuples(st.sampled_from(sorted(members)), st.sampled_from(EQUAL)).map(
        lambda made: (f'group {made[1]} "{made[0]}"', lambda seen: (seen.id in members[made[0]]) == (made[1] == "="), 3)
    )


def about_some_ecu(name):
    # Outside a block, a negative operator is the complement: no ECU at all does.
    def say(made):
        text, holds, is_negative = made
        some = all if is_negative else any
        return (f"ecu.{name} {text}", lambda seen: some(holds(ecu[name]) for ecu in seen.ecus), 3)

    return comparisons(["a", "b", "Ab"], EQUAL + LISTED + PARTS).map(say)


def in_one_ecu(name):
    return comparisons(["a", "b", "Ab"], EQUAL + LISTED + PARTS).map(
        lambda made: (f"{name} {made[0]}", lambda ecu: made[1](ecu[name]), 3)
    )


def combined(leaves, *, max_leaves):
    """Trees of not, and, or over leaves: text with only the parentheses needed, meaning, and how tightly it binds."""

    def wrapped(part, binding):
        return part[0] if part[2] >= binding else f"({part[0]})"

    def negated(part):
        return (f"not {wrapped(part, 2)}", lambda seen: not part[1](seen), 2)

    def joined(made):
        word, parts = made
        binding, every = (1, all) if word == "and" else (0, any)
        text = f" {word} ".join(wrapped(part, binding) for part in parts)
        return (text, lambda seen: every(part[1](seen) for part in parts), binding)

    def extend(children):
        chains = st.tuples(st.sampled_from(["and", "or"]), st.lists(children, min_size=2, max_size=3))
        return st.one_of(children.map(negated), chains.map(joined))

    return st.recursive(leaves, extend, max_leaves=max_leaves)


ONE_ECU = combined(st.one_of(in_one_ecu("hardware_id"), in_one_ecu("installed")), max_leaves=4).map(
    lambda made: (f"ecu({made[0]})", lambda seen: any(made[1](ecu) for ecu in seen.ecus), 3)
)
FILTERS = combined(
    st.one_of(
        about("vehicle_id", IDS, EQUAL + LISTED + PARTS),
        about("blocked", [True, False], EQUAL),
        about("last_contact", TIMES, EQUAL + LISTED + ORDER, may_be_none=True),
        about("attribute.word", WORDS, EQUAL + LISTED + PARTS, may_be_none=True),
        about("attribute.number", NUMBERS, EQUAL + LISTED + ORDER, may_be_none=True),
        about("attribute.flag", [True, False], EQUAL, may_be_none=True),
        about("attribute.time", TIMES, EQUAL + LISTED + ORDER, may_be_none=True),
        about_group(),
        about_some_ecu("hardware_id"),
        about_some_ecu("installed"),
        ONE_ECU,
    ),
    max_leaves=8,
)


@READING
@given(made=FILTERS)
def test_a_filter_finds_exactly_the_tenants_vehicles_of_which_it_is_true(tenant, made):
    text, holds, _ = made

    found = queries.vehicles_matching(tenant, text)

    expected = [seen.id for seen in map(facts, range(len(IDS))) if holds(seen)]
    assert sorted(found.values_list("tenant__name", "vehicle_id")) == [("first", vehicle_id) for vehicle_id in expected]


TOKENS = [
    *(
        "vehicle_id",
        "attribute.word",
        "attribute.number",
        "ecu",
        "ecu.serial",
        "group",
        "blocked",
        "x.y",
        "last_contact",
    ),
    *("=", "!=", "<", ">=", "~", "!~", "in", "not", "and", "or", "startswith", "(", ")", ",", "None", "True", "True"),
    *('"two"', '"a', "'b'", r'"\u0000"', r'"\ud800"', '"2026-06-01"', "1", "-0", "1e400", "1.5", "\n", "#", "--", "/*"),
]


@READING
@given(text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join)))
def test_whatever_is_no_filter_is_refused_with_its_place_and_nothing_else_happens(tenant, text):
    try:
        found = list(queries.vehicles_matching(tenant, text))
    except FilterRefusedError as refused:
        assert refused.details["line"] >= 1
        assert refused.details["column"] >= 1
    else:
        assert {vehicle.tenant_id for vehicle in found} <= {tenant.pk}
