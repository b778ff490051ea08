import pytest
from django.test import Client

from tests.factories import make_tenant
from tests.operator_api.conftest import make_caller

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/api/v1/vehicles/%00",
        "/api/v1/trust/image/%00",
        "/api/v1/trust/%00/root",
        "/uptane/acme/repo/targets/x/%00",
        "/uptane/acme/repo/targets/x/a%00b",
        "/uptane/%00/enrol",
        "/static/%00",
    ],
)
def test_an_address_with_the_character_nul_is_nobodys(path):
    tenant = make_tenant("acme")
    tenant.has_public_targets = True
    tenant.save()
    caller = make_caller(tenant)

    for headers in ({}, {"Authorization": f"Bearer {caller.token}"}):
        response = Client().get(path, headers=headers)

        assert (response.status_code, response.json()["code"]) == (404, "resource.not_found")
        assert response["Content-Type"] == "application/problem+json"


def test_an_address_of_the_console_with_the_character_nul_is_a_page_that_says_so():
    response = Client().get("/console/campaigns/campaign/%00/change/")

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")
