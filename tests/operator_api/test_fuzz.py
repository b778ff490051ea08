"""The OpenAPI document against the server: requests made up from it get answers that it describes, and no others.

OTA_TEST_FUZZ_EXAMPLES makes more of them for each operation, OTA_TEST_FUZZ_SEED others.
"""

import os

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from schemathesis import GenerationMode

from otaserver.tenants.states import Role
from tests.operator_api import fuzz
from tests.operator_api.conftest import make_caller
from tests.operator_api.test_lists import Fleet

pytestmark = [pytest.mark.long, pytest.mark.any_database]

EXAMPLES = int(os.environ.get("OTA_TEST_FUZZ_EXAMPLES", "1"))
SEED = int(os.environ.get("OTA_TEST_FUZZ_SEED", "20261125"))


@pytest.fixture(autouse=True)
def _one_connection():
    """Let requests leave the transaction of the test alone, as Django's own test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def known(tenant):
    rows = Fleet(tenant)
    rows.grow()
    vehicle = rows.group.memberships.get().vehicle
    return {"id": rows.campaign.pk, "vehicle_id": vehicle.vehicle_id, "repository": "image", "role": "supplier"}


def tried(operations, known, headers, modes):
    return [
        line
        for operation in operations.values()
        for mode in modes
        for line in fuzz.violations(operation, mode=mode, examples=EXAMPLES, known=known, headers=headers, chosen=SEED)
    ]


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.VIEWER])
def test_requests_from_the_document_get_answers_that_it_describes(tenant, known, settings, role):
    settings.API_REQUESTS_PER_MINUTE = 0
    headers = {"Authorization": f"Bearer {make_caller(tenant, role).token}"}
    modes = list(GenerationMode) if role == Role.ADMINISTRATOR else [GenerationMode.POSITIVE]

    found = tried(fuzz.operations(), known, headers, modes)

    assert not found, "\n".join(found)


def test_nobody_gets_more_than_a_401_whatever_they_send(tenant, known):
    found = tried(fuzz.operations(), known, {}, [GenerationMode.POSITIVE])

    assert not found, "\n".join(found)
