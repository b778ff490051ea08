"""Devices and people who act in the same moment."""

from otaserver.errors import OtaError
from otaserver.fleet import operations as fleet
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.models import Credential, Vehicle
from tests.factories import NOON, make_tenant
from tests.vehicle_api.mender.devices import Device, make_key, pem_of, signature_of


def wish(device):
    body = device.said()
    request = fleet.AuthenticationRequest(
        {"vin": device.vehicle_id}, pem_of(device.key), signature_of(device.key, body), body
    )
    return lambda: fleet.authenticate(device.tenant, request, address="192.0.2.1", at=NOON)


def make_device(tenant, **fields):
    device = Device("VIN1", **fields)
    device.tenant = tenant
    return device


def test_one_wish_that_comes_several_times_at_once_is_written_down_once(at_once):
    device = make_device(make_tenant())

    assert at_once(*[wish(device)] * 4) == [None] * 4

    assert AuthenticationSet.objects.count() == 1


def test_an_accepted_device_that_asks_twice_at_once_has_one_session(at_once):
    device = make_device(make_tenant())
    wish(device)()
    fleet.accept_authentication(AuthenticationSet.objects.get(), by="mia", at=NOON)

    tokens = at_once(*[wish(device)] * 3)

    assert None not in tokens
    assert Credential.objects.count() == 1


def test_of_two_keys_that_are_accepted_at_once_one_opens_the_door(at_once):
    tenant = make_tenant()
    devices = [make_device(tenant, key=make_key()) for _ in range(2)]
    for device in devices:
        wish(device)()
    sets = list(AuthenticationSet.objects.select_related("tenant"))

    done = at_once(*[lambda found=found: fleet.accept_authentication(found, by="mia", at=NOON) for found in sets])

    assert all(isinstance(each, Vehicle | OtaError) for each in done)
    assert sorted(AuthenticationSet.objects.values_list("state", flat=True)) == ["accepted", "rejected"]


def test_who_is_rejected_while_it_asks_is_out_whatever_came_first(at_once):
    device = make_device(make_tenant())
    wish(device)()
    fleet.accept_authentication(AuthenticationSet.objects.get(), by="mia", at=NOON)
    found = AuthenticationSet.objects.select_related("tenant", "vehicle__tenant").get()

    at_once(wish(device), lambda: fleet.reject_authentication(found, reason="Stolen.", by="mia", at=NOON))

    assert AuthenticationSet.objects.get().state == "rejected"
    assert not Credential.objects.filter(revoked_at=None).exists()
