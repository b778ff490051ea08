"""A tenant with both repositories, a car that holds its keys and a token, and a client that speaks as that car."""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from firmware_store import blobs
from otaserver import clock
from otaserver.fleet.models import Credential, Vehicle
from otaserver.fleet.states import CredentialKind
from tests.director.signing_vehicle import SigningVehicle, make_signing_vehicle
from tests.director.trust import Trust, make_trust
from tests.factories import NOON, make_package, make_tenant


@dataclass
class Clock:
    """The server's clock in a test."""

    now: Any = NOON

    def __call__(self):
        return self.now

    def advance(self, **duration):
        self.now += timedelta(**duration)


@dataclass
class Caller:
    """Requests with one vehicle's token, below one tenant's address."""

    client: Client
    tenant: str
    token: str

    def get(self, path, **headers):
        return self.client.get(f"/uptane/{self.tenant}/{path}", headers=self._headers(headers))

    def head(self, path, **headers):
        return self.client.head(f"/uptane/{self.tenant}/{path}", headers=self._headers(headers))

    def post(self, path, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.post(
            f"/uptane/{self.tenant}/{path}", data, content_type="application/json", headers=self._headers(headers)
        )

    def _headers(self, others):
        return {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in others.items()
        }


def give_token(vehicle: Vehicle, token: str) -> str:
    Credential.objects.create(
        vehicle=vehicle,
        kind=CredentialKind.TOKEN,
        fingerprint=hashlib.sha256(token.encode()).hexdigest(),
        created_at=NOON,
        expires_at=NOON + timedelta(days=365),
    )
    return token


def store_blob(content: bytes) -> str:
    """Put bytes where published packages have theirs."""
    sha256 = hashlib.sha256(content).hexdigest()
    default_storage.save(blobs.blob_path(sha256), ContentFile(content))
    return sha256


def make_stored_package(tenant, content: bytes, name="gateway", version="2.0", **fields):
    sha512 = hashlib.sha512(content).hexdigest()
    return make_package(tenant, name, version, sha256=store_blob(content), sha512=sha512, length=len(content), **fields)


@pytest.fixture
def server_clock():
    source = Clock()
    with clock.using(source):
        yield source


@pytest.fixture
def trust(db, server_clock) -> Trust:
    return make_trust(make_tenant("acme"))


@pytest.fixture
def car(trust) -> SigningVehicle:
    return make_signing_vehicle(trust.tenant)


@pytest.fixture
def caller(car) -> Caller:
    return Caller(Client(), "acme", give_token(car.vehicle, "otav_secret"))


def check_problem(response, status, code):
    """Check that this is a problem with the status and code, and return its body."""
    body = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert response["Content-Type"] == "application/problem+json"
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    return body
