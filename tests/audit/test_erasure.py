import json

import pytest

from otaserver.audit import operations, queries, rules
from otaserver.audit.models import Entry
from tests.factories import NOON, make_tenant

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]


def record(tenant, subject, **details):
    return operations.record("vehicle.blocked", subject, tenant=tenant, by="alice", at=NOON, **details)


def erase(tenant, text):
    def erased(subject, details):
        return subject.replace(text, "erased"), json.loads(json.dumps(details).replace(text, "erased"))

    return operations.erase(tenant, text, erased, reason="Asked for.", by="bob", at=NOON)


@pytest.fixture
def tenant():
    made = make_tenant()
    record(made, "vehicle:1 VIN1", reason="VIN1 is stolen")
    record(made, "vehicle:2 OTHER")
    record(made, "3 vehicles", vehicle_ids=["VIN1", "OTHER"])
    return made


def test_what_is_erased_is_gone_and_the_chain_still_holds(tenant):
    assert erase(tenant, "VIN1") == 2

    said = [(entry.subject, entry.details) for entry in Entry.objects.order_by("number")]
    assert said[0] == ("vehicle:1 erased", {"reason": "erased is stolen"})
    assert said[2] == ("3 vehicles", {"vehicle_ids": ["erased", "OTHER"]})
    assert said[3][1] == {"entries": [1, 3], "reason": "Asked for."}
    assert "VIN1" not in str(list(Entry.objects.values()))
    assert queries.verification(tenant) == queries.Verification(4, Entry.objects.get(number=4).hash, None, 2)


def test_an_erasure_that_is_not_on_record_is_a_break(tenant):
    Entry.objects.filter(number=2).update(subject="vehicle:2 NOBODY", salt="")

    assert queries.first_break(tenant) == 2

    erase(tenant, "VIN1")
    assert queries.first_break(tenant) == 2


def test_an_entry_that_erases_can_itself_not_be_erased(tenant):
    erase(tenant, "VIN1")

    Entry.objects.filter(action=rules.ERASURE).update(details={}, salt="")

    assert queries.first_break(tenant) == 1


@pytest.mark.parametrize("change", [{"actor": "mallory"}, {"action": "x"}, {"content_sha256": "0" * 64}])
def test_of_an_erased_entry_all_else_is_still_proved(tenant, change):
    erase(tenant, "VIN1")

    Entry.objects.filter(number=1).update(**change)

    assert queries.first_break(tenant) == 1


def test_what_stood_there_cannot_be_guessed_from_what_is_left(tenant):
    before = Entry.objects.get(number=1)
    erase(tenant, "VIN1")
    after = Entry.objects.get(number=1)

    guess = rules.content_digest(salt="", subject=before.subject, details=before.details)
    assert (after.salt, after.content_sha256 == guess) == ("", False)
    assert len({entry.salt for entry in Entry.objects.exclude(salt="")}) == 2


def test_where_nothing_is_named_nothing_is_written(tenant):
    assert erase(tenant, "VIN9") == 0
    assert Entry.objects.count() == 3


def test_another_tenants_entries_are_left(tenant):
    other = make_tenant()
    record(other, "vehicle:9 VIN1")

    erase(tenant, "VIN1")

    assert Entry.objects.get(tenant=other).subject == "vehicle:9 VIN1"
