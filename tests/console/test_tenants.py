"""A person of several tenants: what they do on a page is done in the tenant that the page showed, or not at all."""

import re

import pytest

from otaserver.fleet.models import Group
from otaserver.people.models import Invitation
from otaserver.tenants.models import Member, ServiceToken, Tenant
from otaserver.tenants.states import Role
from tests.console.conftest import make_member, signed_in
from tests.console.test_writes import settings_of
from tests.factories import make_tenant

pytestmark = pytest.mark.any_database
HIDDEN = re.compile(r'<input type="hidden" name="(shown_tenant)" value="(\w+)">')


@pytest.fixture
def both(tenant):
    """North and south, administered by the same person."""
    south = make_tenant("south")
    Member.objects.create(tenant=south, user=make_member(tenant, Role.ADMINISTRATOR), role=Role.ADMINISTRATOR)
    return tenant, south


@pytest.fixture
def client(both):
    return signed_in(Member.objects.first().user)


def choose(client, tenant):
    assert client.post("/console/profile/", {"do": "choose", "tenant": tenant.pk}).status_code == 302


ACTIONS = {
    "members/": {"do": "invite", "role": "viewer"},
    "tokens/": {"do": "make", "name": "ci", "role": "viewer", "life": "30"},
    "groups/new/": {"name": "red", "filter": "blocked = True"},
    "releases/new/": {},
    "packages/new/": {},
    "campaigns/new/gate/": {"next": "1"},
    "records/verify/": {},
    "gateway-tokens/new/": {"name": "depot"},
}


@pytest.mark.parametrize("path", ACTIONS)
def test_what_was_opened_in_one_tenant_is_not_done_in_another_that_was_chosen_meanwhile(client, both, path):
    north, south = both
    choose(client, north)
    page = client.get(f"/console/{path}").content.decode()
    choose(client, south)

    sent = ACTIONS[path] | dict(HIDDEN.findall(page))
    answer = client.post(f"/console/{path}", sent)

    assert sent["shown_tenant"] == "north"
    assert answer.status_code == 404
    assert not any(model.objects.exists() for model in (Invitation, ServiceToken, Group))


def test_settings_shown_of_one_tenant_are_not_given_to_another(client, both):
    north, south = both
    choose(client, north)
    page = client.get("/console/settings/").content.decode()
    wanted = settings_of(north, polling_seconds=20, title="The north", confirmed="1") | dict(HIDDEN.findall(page))
    choose(client, south)

    assert client.post("/console/settings/", wanted).status_code == 404
    assert Tenant.objects.get(pk=south.pk).title != "The north"


@pytest.mark.parametrize("path", ["members/", "tokens/"])
def test_members_and_tokens_are_those_of_the_tenant_in_the_address(client, both, path):
    page = client.get(f"/console/{path}?tenant=south")
    client.post(f"/console/{path}?tenant=south", ACTIONS[path])

    assert [each.name for each in page.context["tenants"]] == ["north", "south"]
    assert (
        f"{path.strip('/').capitalize() if path == 'members/' else 'Service tokens'} of south" in page.content.decode()
    )
    made = [*Invitation.objects.all(), *ServiceToken.objects.all()]
    assert [each.tenant.name for each in made] == ["south"]


def test_members_of_a_tenant_that_one_does_not_administer_are_not_shown(client, both):
    Member.objects.filter(tenant=both[1]).update(role=Role.VIEWER)

    assert client.get("/console/members/?tenant=south").status_code == 403
    assert client.get("/console/members/?tenant=nowhere").status_code == 404


def test_of_two_tenants_the_one_to_be_stopped_alone_shows_what_was_wrong(client, both):
    answer = client.post("/console/stop/", {"tenant": "south", "reason": ""})

    page = answer.content.decode()
    assert (answer.status_code, page.count("This field is required.")) == (422, 1)
    assert page.count('id="id_') == len(set(re.findall(r'id="(id_[^"]+)"', page)))
