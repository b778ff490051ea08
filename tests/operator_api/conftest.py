"""Callers of the operator API: one tenant, a token for each role, and another tenant beside it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from otaserver import clock
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Role
from tests.factories import NOON, make_tenant


@dataclass
class Caller:
    """Sends requests as one token would."""

    tenant: Tenant
    token: str

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        # What is tested is hardly ever this; what needs a version of its own is left to name it.
        if method in ("PUT", "PATCH", "DELETE") and not path.startswith(("/campaigns", "/trust")):
            headers.setdefault("If-Match", "*")
        if headers.get("If-Match") == "":
            del headers["If-Match"]
        return Client().generic(
            method,
            f"/api/v1{path}",
            data=b"" if body is None else body if isinstance(body, bytes) else _json(body),
            content_type=headers.pop("content_type", "application/json"),
            headers={"Authorization": f"Bearer {self.token}", **headers},
        )

    def get(self, path: str, **headers: str) -> Any:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self("POST", path, {} if body is None else body, **headers)


def _json(body: Any) -> bytes:
    import json

    return json.dumps(body).encode()


def make_caller(tenant: Tenant, role: str = Role.ADMINISTRATOR) -> Caller:
    token = tenants.issue_service_token(tenant, name=f"a {role}", role=role, by="test", at=NOON)
    return Caller(tenant, token)


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with clock.using(lambda: NOON):
        yield


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant("acme")


@pytest.fixture
def caller(tenant: Tenant) -> Caller:
    return make_caller(tenant)


@pytest.fixture
def stranger(db: None) -> Caller:
    return make_caller(make_tenant("other"))


@pytest.fixture
def as_role(tenant: Tenant) -> Callable[[str], Caller]:
    return lambda role: make_caller(tenant, role)
