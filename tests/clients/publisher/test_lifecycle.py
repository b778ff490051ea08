"""Credentials, replaced ECUs, sale, end, CAs, attributes and watching a device, as commands."""

import json

import pytest

from otaserver.fleet import operations as fleet
from otaserver.fleet.lifecycle_models import EcuSwap, RetiredAuthority
from otaserver.fleet.models import Attribute, Credential, Vehicle
from otaserver.fleet.operations import RequestFacts
from tests.factories import NOON
from tests.fleet.enrolments import enrol, make_csr, make_ecu

FACTS = RequestFacts("192.0.2.1", "GET", "/x", "curl", "nothing", 401, "credential.invalid", "Revoked.")


@pytest.fixture
def car(bench):
    fleet.create_fleet_authority(bench.tenant, at=NOON)
    return enrol(bench.tenant, "VIN1", make_ecu("P1"), make_ecu("BRAKE", "brake"), csr=make_csr()).vehicle


def answered(command, *arguments):
    code, out, err = command(*arguments)
    assert code == 0, err
    return out


def test_credentials_are_shown_and_ended(car, command):
    assert "certificate" in answered(command, "vehicle", "credentials", "VIN1")
    assert json.loads(answered(command, "vehicle", "expiring", "--days", "900", "--json"))[0]["vehicle_id"] == "VIN1"
    assert json.loads(answered(command, "vehicle", "expiring", "--json")) == []
    assert (
        answered(command, "vehicle", "revoke", "VIN1", "--reason", "Stolen.") == "2 credentials of VIN1 have ended.\n"
    )
    assert not Credential.objects.filter(revoked_at=None).exists()


def test_a_swap_is_announced(car, command):
    said = answered(
        command, "vehicle", "swap-ecu", "VIN1", "BRAKE", "--reason", "Crash.", "--new", "BRAKE-2", "--hours", "2"
    )

    assert said == "VIN1 may replace BRAKE until 2026-06-01T14:00:00Z.\n"
    swap = EcuSwap.objects.get()
    assert (swap.old_serial, swap.new_serial, swap.hardware_id) == ("BRAKE", "BRAKE-2", "brake")


def test_a_vehicle_is_sold_ended_and_taken_back(car, command):
    code = json.loads(answered(command, "vehicle", "sell", "VIN1", "--reason", "Sold.", "--json"))["claim_code"]
    other = answered(command, "vehicle", "claim-code", "VIN1").strip()

    assert len(code) == len(other) == 23
    assert answered(command, "vehicle", "decommission", "VIN1", "--reason", "Scrap.") == "VIN1 is decommissioned.\n"
    assert Vehicle.objects.get().decommissioned_at == NOON
    assert answered(command, "vehicle", "recommission", "VIN1", "--reason", "No.") == "VIN1 may enrol again.\n"
    assert Vehicle.objects.get().decommissioned_at is None


def test_a_ca_is_rotated_shown_and_ended(car, command):
    assert answered(command, "authority", "rotate", "--reason", "Age.") == "A new CA issues; 1 retired.\n"
    retired = str(RetiredAuthority.objects.get().pk)
    assert "Issuing since" in answered(command, "authority", "list")

    refused, _, err = command("authority", "end", retired, "--reason", "Done.")
    ended = answered(command, "authority", "end", retired, "--reason", "Done.", "--with-certificates")

    assert (refused, err.partition(":")[0]) == (3, "fleet_authority.in_use")
    assert ended == "It is trusted no more; 1 certificates ended with it.\n"


def test_attributes_are_declared_and_marked(bench, command):
    answered(command, "attribute", "declare", "owner", "text", "--personal")
    answered(command, "attribute", "declare", "phone", "text")
    assert answered(command, "attribute", "mark", "phone", "--personal") == "Attribute phone is personal.\n"

    assert Attribute.objects.filter(is_personal=True).count() == 2
    assert "owner" in answered(command, "attribute", "list")


def test_a_device_is_watched(bench, car, command):
    said = answered(command, "vehicle", "watch", "VIN1", "--hours", "2")
    fleet.note_request(Vehicle.objects.get(), FACTS, at=NOON)

    assert said == "Requests of VIN1 are kept until 2026-06-01T14:00:00Z.\n"
    assert json.loads(answered(command, "vehicle", "requests", "VIN1", "--json"))[0]["reason"] == "Revoked."


def test_an_address_is_watched(bench, command):
    assert "192.0.2.1" in answered(command, "vehicle", "watch-address", "192.0.2.1")
    fleet.note_refusal(bench.tenant, FACTS, at=NOON)

    shown = json.loads(answered(command, "vehicle", "refusals", "--address", "192.0.2.1", "--json"))
    assert [one["path"] for one in shown] == ["/x"]
    assert json.loads(answered(command, "vehicle", "refusals", "--address", "192.0.2.2", "--json")) == []
