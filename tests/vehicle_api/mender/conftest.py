import pytest

from otaserver.fleet import operations as fleet
from tests.factories import NOON, make_tenant
from tests.vehicle_api.mender.devices import Device, pem_of
from tests.vehicle_api.mender.stage import DEVICE_TYPE


@pytest.fixture
def tenant(db, server_clock):
    return make_tenant("acme")


def let_in(tenant, vehicle_id="VIN1"):
    """A device with a session, of which the server knows the hardware and what it runs."""
    names = dict(tenant.device_tokens.values_list("name", "pk"))
    token = fleet.issue_tenant_token(tenant, name=f"token {len(names)}", by="test", at=NOON)
    device = Device(vehicle_id, token)
    fleet.preauthorise(tenant, [fleet.ExpectedDevice({"vin": vehicle_id}, pem_of(device.key))], by="mia", at=NOON)
    assert device.authenticate().status_code == 200
    assert ask(device).status_code == 204
    return device


def ask(device, artifact="app-1.0", *, reads_maps=True, device_type=DEVICE_TYPE):
    """Ask for work as clients of 3.x do, or as those do that read no maps."""
    body = {"device_provides": {"artifact_name": artifact, "device_type": device_type}}
    if reads_maps:
        body["update_control_map"] = True
    return device.send("POST", "v2/deployments/device/deployments/next", body)


@pytest.fixture
def device(tenant):
    return let_in(tenant)
