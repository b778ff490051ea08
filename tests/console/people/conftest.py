from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client

from otaserver import clock
from otaserver.people import operations
from otaserver.people.sign_on_rules import grants_in
from otaserver.tenants.states import Role
from tests.console.people.issuer import CLIENT_ID, SECRET, Issuer
from tests.factories import NOON, make_tenant
from tests.people.people_factories import PASSWORD, code_of, make_member


class Hands:
    """A clock that a test moves."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def forward(self, **by):
        self.now += timedelta(**by)


@pytest.fixture(autouse=True)
def hands():
    hands = Hands()
    with clock.using(hands):
        yield hands


@pytest.fixture
def tenant(db):
    return make_tenant("acme")


@pytest.fixture(scope="module")
def server():
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


@pytest.fixture
def issuer(server, tenant, settings):
    server.begin_anew()
    cache.clear()
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = server.url, CLIENT_ID, SECRET
    settings.OIDC_GRANTS = grants_in("admins=acme:administrator,drivers=acme:viewer")
    settings.PUBLIC_URL = "https://ota.example.com"
    return server


@pytest.fixture
def mia(tenant):
    return make_member(tenant)


@pytest.fixture
def bob(tenant):
    return make_member(tenant, "bob", Role.VIEWER)


def sign_in(username="mia", password=PASSWORD, *, client=None, address="192.0.2.1", next_url=""):
    """Send the form; return who sent it, and the answer."""
    client = client or Client(REMOTE_ADDR=address)
    body = {"username": username, "password": password, "next": next_url}
    return client, client.post("/console/login/", body)


def signed_in(username="mia"):
    client, answer = sign_in(username)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return client


def enrol(member, hands):
    """Give a person an authenticator, and return their recovery codes."""
    operations.begin_enrolment(member.user)
    codes = operations.confirm_enrolment(member.user, code_of(member.user), at=hands.now)
    hands.forward(seconds=30)
    return codes


def is_in(client):
    # Of all pages the one that is made fastest.
    return client.get("/console/jsi18n/").status_code == 200


def do(client, path, what, **fields):
    """Press a button of a page."""
    return client.post(f"/console/{path}", {"do": what, **fields})
