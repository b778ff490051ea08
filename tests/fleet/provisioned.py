"""Shared provisioning credentials for tests, read as a client reads them."""

import io
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import pkcs12

from otaserver.fleet import operations
from otaserver.fleet.credentials import certificates
from tests.factories import NOON

ADDRESS = "https://ota.example/aktualizr/acme"


def write_server_ca(settings: Any, folder: Path) -> str:
    """Give the server the CA of its own certificate, and return it."""
    pem = certificates.make_authority("servers", at=NOON).certificate_pem
    (folder / "server-ca.pem").write_text(pem)
    settings.SERVER_CA = str(folder / "server-ca.pem")
    return pem


def issue(tenant, name="line-1", *, days=365, at=NOON):
    operations.create_fleet_authority(tenant, at=at)
    return operations.issue_provisioning_credential(
        tenant, name=name, address=ADDRESS, valid_for=timedelta(days=days), by="alice", at=at
    )


def unpacked(archive: bytes):
    """Return the address and the PKCS #12 in the archive that vehicles are given."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        assert sorted(packed.namelist()) == ["autoprov.url", "autoprov_credentials.p12"]
        return packed.read("autoprov.url").decode(), packed.read("autoprov_credentials.p12")


def opened(packed: bytes):
    return pkcs12.load_pkcs12(packed, b"")
