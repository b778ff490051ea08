import math

import pytest
from django.db import IntegrityError, transaction

from firmware_store import health, operations
from firmware_store.errors import ReleaseSignalsError
from firmware_store.health import Signal
from firmware_store.models import Release, ReleaseSignal
from otaserver.audit.models import Entry
from tests.factories import NOON, make_package, make_tenant

BOOTS = Signal("boots", 3.0, 0.01, 0.05)


def create(signals=(), halt_codes=()):
    tenant = make_tenant()
    packages = [(make_package(tenant), 0)]
    return operations.create_release(
        tenant, name="a", version="1", packages=packages, signals=signals, halt_codes=halt_codes, by="alice", at=NOON
    )


@pytest.mark.django_db
def test_a_release_keeps_its_signals_and_codes_and_they_stand_in_the_audit_record():
    release = create([BOOTS, Signal("a_b-1", -2.5, 0.1, 0.2)], ["z", "a"])

    assert [signal.name for signal in release.signals.all()] == ["a_b-1", "boots"]
    assert release.halt_codes == ["a", "z"]
    details = Entry.objects.get().details
    assert details["halt_codes"] == ["a", "z"]
    assert details["signals"][0] == {"name": "boots", "limit": 3.0, "acceptable_rate": 0.01, "unacceptable_rate": 0.05}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("signals", "halt_codes"),
    [
        ([BOOTS, BOOTS], []),
        ([Signal("Boots", 3, 0.01, 0.05)], []),
        ([Signal("b" * 41, 3, 0.01, 0.05)], []),
        ([Signal("b", math.nan, 0.01, 0.05)], []),
        ([Signal("b", 3, 0.05, 0.05)], []),
        ([Signal("b", 3, 0.05, 0.0501)], []),
        ([Signal("b", 3, 0, 0.05)], []),
        ([Signal("b", 3, 0.5, 1)], []),
        ([Signal("b", 3, math.nan, 0.5)], []),
        ([Signal(f"s{number}", 3, 0.01, 0.05) for number in range(21)], []),
        ([], ["a", "a"]),
        ([], ["a b"]),
        ([], [""]),
        ([], [str(number) for number in range(101)]),
    ],
    ids=range(14),
)
def test_what_no_test_can_be_made_of_is_refused(signals, halt_codes):
    with pytest.raises(ReleaseSignalsError):
        create(signals, halt_codes)

    assert not Release.objects.exists()
    assert not Entry.objects.exists()


def test_a_problem_is_told_with_the_value():
    assert "0.05" in str(health.signals_problem([Signal("b", 3, 0.05, 0.01)]))
    assert health.signals_problem([BOOTS]) is None
    assert health.halt_codes_problem(["brakes_lost"]) is None


@pytest.mark.django_db
@pytest.mark.parametrize("changes", [{"name": "Boots"}, {"acceptable_rate": 0.5}, {"unacceptable_rate": 1.0}, {}])
def test_the_database_keeps_signals_in_form_and_each_once(changes):
    release = create([BOOTS])
    values = {"name": "crashes", "limit": 1, "acceptable_rate": 0.01, "unacceptable_rate": 0.05} | (
        changes or {"name": "boots"}
    )

    with pytest.raises(IntegrityError), transaction.atomic():
        ReleaseSignal.objects.create(release=release, **values)
