"""A vehicle with aktualizr, over Django's test client: behind a proxy that has verified its certificate.

It speaks that client's own words in its own order, and knows nothing of the server but its address.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs12
from django.test import Client

from tests.vehicle_api.aktualizr import strict_reader
from tests.vehicle_api.aktualizr.strict_reader import Ordered, Rejected, Repository, canonical

PROXY = "10.1.2.3"
EMPTY = hashlib.sha256(b"").hexdigest()
AGENT = "Aktualizr/2020.10"
# Generating one takes a while, and it is no test's subject whose it is.
RSA_KEYS = [rsa.generate_private_key(65537, 2048) for _ in range(2)]


@dataclass
class Ecu:
    """One ECU with its key, and what it runs: name, length, SHA-256."""

    serial: str
    hardware_id: str
    key: Ed25519PrivateKey | rsa.RSAPrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    image: tuple[str, int, str] = ("unknown", 0, EMPTY)
    # The last report, to be sent again while the ECU is out of the Primary's reach.
    last: dict[str, Any] | None = None
    is_reachable: bool = True

    @property
    def public(self) -> dict[str, Any]:
        if isinstance(self.key, Ed25519PrivateKey):
            raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            return {"keytype": "ED25519", "keyval": {"public": raw.hex().upper()}}
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return {"keytype": "RSA", "keyval": {"public": pem}}

    @property
    def keyid(self) -> str:
        return hashlib.sha256(json.dumps(self.public["keyval"]["public"].rstrip("\n")).encode()).hexdigest()

    def envelope(self, signed: dict[str, Any]) -> dict[str, Any]:
        payload = canonical(signed)
        if isinstance(self.key, Ed25519PrivateKey):
            method, raw = "ed25519", self.key.sign(payload)
        else:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
            method, raw = "rsassa-pss", self.key.sign(payload, pss, hashes.SHA256())
        signature = {"keyid": self.keyid, "method": method, "sig": base64.b64encode(raw).decode()}
        return {"signatures": [signature], "signed": signed}

    def report(self, **more: Any) -> dict[str, Any]:
        if self.last is not None and not self.is_reachable:
            return self.last
        name, length, sha256 = self.image
        signed = {
            "ecu_serial": self.serial,
            "attacks_detected": "",
            "installed_image": {"filepath": name, "fileinfo": {"length": length, "hashes": {"sha256": sha256}}},
            "previous_timeserver_time": "1970-01-01T00:00:00Z",
            "timeserver_time": "1970-01-01T00:00:00Z",
        }
        self.last = self.envelope(signed | more)
        return self.last


@dataclass
class Aktualizr:
    """The client on the Primary. `serial` and `subject` are its certificate's, as nginx writes them."""

    ecus: list[Ecu]
    tenant: str = "acme"
    serial: str = ""
    subject: str = ""
    counter: int = 0
    # What comes of an installation, by the result code that it is reported with.
    outcome: str = "OK"
    # Called between the download and the installation.
    meanwhile: Callable[[], None] = lambda: None
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.director = Repository(lambda name: self.fetch(f"director/{name}"))
        self.images = Repository(lambda name: self.fetch(f"repo/{name}"))
        self.pending: dict[str, Any] | None = None

    @property
    def primary(self) -> Ecu:
        return self.ecus[0]

    def show(self, certificate: x509.Certificate) -> None:
        self.serial, self.subject = f"{certificate.serial_number:X}", certificate.subject.rfc4514_string()

    def call(self, method: str, path: str, body: Any = None, **others: Any) -> Any:
        self.requests.append(f"{method} {path}")
        headers = {
            "User-Agent": AGENT,
            "Accept": "*/*",
            "X-Client-Verify": "SUCCESS",
            "X-Client-Serial": self.serial,
            "X-Client-Subject": self.subject,
        }
        data = body if isinstance(body, bytes) else canonical(body) if body is not None else b""
        return Client().generic(
            method,
            f"/aktualizr/{self.tenant}/{path}",
            data,
            content_type=others.pop("content_type", "application/json"),
            headers=headers | others.pop("headers", {}),
            REMOTE_ADDR=others.pop("address", PROXY),
        )

    def fetch(self, path: str) -> bytes | None:
        response = self.call("GET", path)
        return response.content if response.status_code == 200 else None

    def provision(self, packed: bytes, device_id: str, ttl: str = "36000") -> None:
        """Ask for a certificate with the shared one."""
        shared = pkcs12.load_pkcs12(packed, b"")
        assert shared.cert is not None
        self.show(shared.cert.certificate)
        response = self.call("POST", "devices", {"deviceId": device_id, "ttl": ttl})
        assert response.status_code == 200, response.content
        own = pkcs12.load_pkcs12(response.content, b"")
        assert own.cert is not None and own.key is not None
        # Without a CA of the server it gives up.
        assert len(own.additional_certs) >= 1
        self.show(own.cert.certificate)

    def register(self) -> Any:
        ecus = [
            {"ecu_serial": ecu.serial, "hardware_identifier": ecu.hardware_id, "clientKey": ecu.public}
            for ecu in self.ecus
        ]
        return self.call("POST", "director/ecus", {"primary_ecu_serial": self.primary.serial, "ecus": ecus})

    def manifest(self) -> bytes:
        self.counter += 1
        reports = {ecu.serial: ecu.report() for ecu in self.ecus[1:]}
        reports[self.primary.serial] = self.primary.report(report_counter=str(self.counter))
        signed: dict[str, Any] = {
            "primary_ecu_serial": self.primary.serial,
            "ecu_version_manifests": reports,
            "custom": {},
        }
        if self.pending is not None:
            signed["installation_report"] = self.pending
        return canonical(self.primary.envelope(signed))

    def send_manifest(self) -> Any:
        response = self.call("PUT", "director/manifest", self.manifest())
        if response.status_code == 200:
            self.pending = None
        return response

    def check(self, now: datetime) -> list[Ordered]:
        """Send a manifest, then look what is to be installed."""
        self.send_manifest()
        return self.look(now)

    def look(self, now: datetime) -> list[Ordered]:
        """Fetch what is to be installed; Image metadata only where the Director lists something that does not run."""
        known = {ecu.serial: ecu.hardware_id for ecu in self.ecus}
        wanted = strict_reader.read_director(self.director, known, now)
        news = [one for one in wanted if any(self._runs(serial) != one.sha256 for serial in one.ecus)]
        if news:
            strict_reader.read_image(self.images, news, now)
        return news

    def _runs(self, serial: str) -> str:
        return next(ecu.image[2] for ecu in self.ecus if ecu.serial == serial)

    def cycle(self, now: datetime) -> list[str]:
        """One round of the client; returns the names of what it has installed."""
        news = self.check(now)
        contents = {}
        for one in news:
            self.say("EcuDownloadStarted", one, now)
            content = self.download(one)
            self.say("EcuDownloadCompleted", one, now, success=content is not None)
            if content is None:
                self._report(one, "DOWNLOAD_FAILED", items=[])
                self.send_manifest()
                return []
            contents[one.name] = content
        self.meanwhile()
        for one in news:
            self._install(one, now)
        if news:
            self.send_manifest()
        return [one.name for one in news] if self.outcome == "OK" else []

    def download(self, one: Ordered) -> bytes | None:
        response = self.call("GET", f"repo/{one.path}")
        if response.status_code == 302:
            address = response["Location"].removeprefix("http://testserver")
            response = Client().get(address)
        if response.status_code != 200:
            return None
        content = b"".join(response.streaming_content) if response.streaming else response.content
        if (len(content), hashlib.sha256(content).hexdigest()) != (one.length, one.sha256):
            raise Rejected(f"{one.name} has other bytes than were signed")
        return bytes(content)

    def _install(self, one: Ordered, now: datetime) -> None:
        self.say("EcuInstallationStarted", one, now)
        if self.outcome == "OK":
            for ecu in self.ecus:
                if ecu.serial in one.ecus:
                    ecu.image = (one.name, one.length, one.sha256)
        self.say("EcuInstallationCompleted", one, now, success=self.outcome == "OK")
        self._report(one, self.outcome, items=list(one.ecus))

    def _report(self, one: Ordered, code: str, *, items: list[str]) -> None:
        result = {"code": code, "success": code == "OK", "description": "as it went"}
        self.pending = {
            "content_type": "application/vnd.com.here.otac.installationReport.v1",
            "report": {
                "correlation_id": one.correlation,
                "raw_report": "Installation succesful" if code == "OK" else "It went wrong",
                "result": result,
                "items": [{"ecu": serial, "result": result} for serial in items],
            },
        }

    def say(self, kind: str, one: Ordered, now: datetime, *, success: bool | None = None) -> Any:
        events = []
        for serial in one.ecus:
            told: dict[str, Any] = {"ecu": serial, "correlationId": one.correlation}
            if success is not None:
                told["success"] = success
            events.append(event(kind, told, now))
        return self.call("POST", "events", events)


def event(kind: str, told: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "deviceTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventType": {"id": kind, "version": 0},
        "event": told,
    }
