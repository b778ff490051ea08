"""Both repositories of one vehicle, signed with real keys by their own builder, and served: honestly, or with whatever
bytes a test puts in place of an honest file. Nothing here comes from the server or the client under test.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BASE = "/uptane/default"
Override = bytes | Callable[[httpx.Request], httpx.Response]


def canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class Signer:
    """A key pair of a role."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw().hex()
        self.key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": self.public}}
        self.keyid = hashlib.sha256(canonical(self.key)).hexdigest()

    def sign(self, payload: bytes) -> dict[str, str]:
        return {"keyid": self.keyid, "sig": self._private.sign(payload).hex()}


def envelope(signed: Mapping[str, Any], *signers: Signer) -> bytes:
    return canonical({"signatures": [signer.sign(canonical(signed)) for signer in signers], "signed": signed})


class Repo:
    """One repository: its roles' keys, the signed parts as they stand, and the files as served."""

    ROLES = ("root", "targets", "snapshot", "timestamp")

    def __init__(self, at: datetime, *, extra: Mapping[str, Any] | None = None, root_keys: int = 2) -> None:
        self.at = at
        self.extra = dict(extra or {})
        self.signers: dict[str, list[Signer]] = {role: [Signer()] for role in self.ROLES}
        self.signers["root"] = [Signer() for _ in range(root_keys)]
        self.thresholds = dict.fromkeys(self.ROLES, 1) | {"root": root_keys}
        self.versions = dict.fromkeys(self.ROLES, 0)
        self.targets: dict[str, Any] = {}
        self.custom: dict[str, Any] = {}
        self.delegations: dict[str, Any] | None = None
        self.delegated: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.lifetimes = {"root": 365, "targets": 31, "snapshot": 31, "timestamp": 1}
        self.publish_root()
        self.publish()

    def header(self, role: str, **changes: Any) -> dict[str, Any]:
        """The common part of the next version of `role`."""
        kind = role if role in self.ROLES else "targets"
        self.versions[role] = self.versions.get(role, 0) + 1
        head = {
            "_type": kind,
            "spec_version": "1.0.31",
            "version": self.versions[role],
            "expires": stamp(self.at + timedelta(days=self.lifetimes.get(role, 180))),
        }
        return head | (self.extra if role != "root" else {}) | changes

    def root_body(self, **changes: Any) -> dict[str, Any]:
        keys = {signer.keyid: signer.key for role in self.ROLES for signer in self.signers[role]}
        roles = {
            role: {"keyids": [signer.keyid for signer in self.signers[role]], "threshold": self.thresholds[role]}
            for role in self.ROLES
        }
        body = self.header("root") | {"consistent_snapshot": True, "keys": keys, "roles": roles}
        return body | changes

    def publish_root(self, *also: Signer, **changes: Any) -> bytes:
        """Sign the next root with the present root keys, and `also`."""
        body = self.root_body(**changes)
        data = envelope(body, *self.signers["root"], *also)
        self.files[f"{body['version']}.root.json"] = data
        return data

    def rotate(self, role: str) -> list[Signer]:
        """Give `role` a new key, in a new root; returns the old keys."""
        old = self.signers[role]
        self.signers[role] = [Signer() for _ in old]
        self.publish_root(*(old if role == "root" else ()))
        return old

    def delegate(self, name: str, *signers: Signer, threshold: int = 1, **changes: Any) -> None:
        """Let the top-level targets delegate to `name`."""
        self.delegations = self.delegations or {"keys": {}, "roles": []}
        self.delegations["keys"].update({signer.keyid: signer.key for signer in signers})
        role = {
            "name": name,
            "keyids": [signer.keyid for signer in signers],
            "threshold": threshold,
            "paths": [f"{name}/*"],
            "terminating": False,
        }
        self.delegations["roles"].append(role | changes)
        self.signers[name] = list(signers)
        self.delegated.setdefault(name, {"targets": {}})

    def publish(self, **timestamp: Any) -> None:
        """Sign new versions of everything but the root."""
        self.publish_targets()
        self.publish_snapshot()
        self.publish_timestamp(**timestamp)

    def publish_targets(self, **changes: Any) -> None:
        body = self.header("targets") | {"targets": self.targets}
        if self.extra:
            body["custom"] = self.custom
        if self.delegations is not None:
            body["delegations"] = self.delegations
        self.put("targets", body | changes)
        for name, content in self.delegated.items():
            self.put(name, self.header(name) | content)

    def publish_snapshot(self, *, meta: Mapping[str, Any] | None = None, **changes: Any) -> None:
        versions = {name: version for name, version in self.versions.items() if name in ("targets", *self.delegated)}
        listed = {f"{name}.json": {"version": version} for name, version in versions.items()}
        self.put("snapshot", self.header("snapshot") | {"meta": listed | dict(meta or {})} | changes)

    def publish_timestamp(self, *, meta: Mapping[str, Any] | None = None, **changes: Any) -> None:
        version = self.versions["snapshot"]
        data = self.files[f"{version}.snapshot.json"]
        entry = {"version": version, "length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}
        body = self.header("timestamp") | {"meta": {"snapshot.json": entry | dict(meta or {})}}
        self.put("timestamp", body | changes)

    def put(self, role: str, body: Mapping[str, Any], *signers: Signer) -> None:
        """Sign `body` and serve it under the name of its version."""
        data = envelope(body, *(signers or self.signers[role]))
        self.files["timestamp.json" if role == "timestamp" else f"{body['version']}.{role}.json"] = data

    def latest(self, role: str) -> str:
        """The name of the newest file of `role`."""
        return "timestamp.json" if role == "timestamp" else f"{self.versions[role]}.{role}.json"

    def signed(self, role: str) -> dict[str, Any]:
        """The newest signed part of `role`."""
        part: dict[str, Any] = json.loads(self.files[self.latest(role)])["signed"]
        return part


@dataclass
class Oem:
    """The maker's side: repositories, images, and what the vehicle has told it. `overrides` is the attacker."""

    at: datetime
    vehicle_id: str = "VIN1"
    hardware: Mapping[str, str] = field(
        default_factory=lambda: {"P1": "gateway", "S1": "engine", "S2": "seat"},
    )

    def __post_init__(self) -> None:
        self.director = Repo(self.at, extra={"vehicle_id": self.vehicle_id})
        self.image = Repo(self.at)
        self.image.delegate("supplier", Signer())
        self.image.publish()
        self.images: dict[str, bytes] = {}
        self.overrides: dict[str, Override] = {}
        self.is_down = False
        self.polling_seconds = 600
        self.wants_manifest = False
        self.requests: list[httpx.Request] = []
        self.events: list[dict[str, Any]] = []
        self.consents: list[dict[str, Any]] = []
        self.manifests: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.keys: dict[str, str] = {}
        self.counters: dict[str, int] = {}
        self.token_number = 0

    # What the maker does

    def publish_image(
        self, name: str, version: str, hardware: str, *, counter: int = 1, content: bytes = b"", role: str = "supplier"
    ) -> str:
        """Sign an image into the Image repository; returns its target name."""
        target_name = f"{role}/{name}-{version}"
        data = content or f"{target_name} ".encode() * 3000
        self.images[hashlib.sha256(data).hexdigest()] = data
        self.image.delegated[role]["targets"][target_name] = describe(
            data, hardwareIds=[hardware], releaseCounter=counter, name=name, version=version, targetFormat="BINARY"
        )
        self.image.publish()
        return target_name

    def publish_release(self, version: str, *, counter: int = 1) -> dict[str, str]:
        """Publish one image for each ECU; returns target names by ECU."""
        return {
            serial: self.publish_image(f"fw-{hardware}", version, hardware, counter=counter)
            for serial, hardware in self.hardware.items()
        }

    def order(self, targets: Mapping[str, str], *, publish: bool = True, **order: Any) -> str:
        """Direct the vehicle to `targets` (by ECU); returns the attempt."""
        attempt = str(uuid.uuid4())
        self.director.targets = {}
        for serial, name in targets.items():
            role = name.partition("/")[0]
            entry = json.loads(json.dumps(self.image.delegated[role]["targets"][name]))
            self.director.targets.setdefault(name, entry)
            ecus = self.director.targets[name]["custom"].setdefault("ecuIdentifiers", {})
            ecus[serial] = {"hardwareId": self.hardware[serial]}
        stated = {
            "attempt": attempt,
            "number": 1,
            "campaign": "spring",
            "release": "fleet 2.0",
            "grace_hours": None,
            "not_before": None,
            "preconditions": [],
            "consent": None,
            "notes": {"en": base64.b64encode("Bremsen für alle".encode()).decode()},
        }
        self.director.custom = {"order": stated | order}
        if publish:
            self.director.publish()
        return attempt

    def order_nothing(self) -> None:
        self.director.targets, self.director.custom = {}, {}
        self.director.publish()

    # What the vehicle has said

    def finished(self, attempt: str) -> list[tuple[str, str]]:
        """Outcome and code of every final event of `attempt`."""
        return [
            (event["outcome"], event["code"])
            for event in self.events
            if event["attempt"] == attempt and event["phase"] == "finished"
        ]

    def phases(self, attempt: str) -> list[str]:
        return [event["phase"] for event in self.events if event["attempt"] == attempt]

    def attacks(self) -> list[str]:
        """Everything that the Primary's reports said it had detected."""
        reports = [manifest["ecu_version_manifests"]["P1"]["signed"] for manifest in self.manifests]
        return [report["attacks_detected"] for report in reports if report["attacks_detected"]]

    def installed(self) -> dict[str, str]:
        """Target names by ECU as in the last manifest."""
        reports = self.manifests[-1]["ecu_version_manifests"]
        return {serial: report["signed"]["installed_image"]["filepath"] for serial, report in reports.items()}

    def paths(self) -> list[str]:
        return [request.url.path.removeprefix(BASE) for request in self.requests]

    # HTTP

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        if self.is_down:
            raise httpx.ConnectError("no route", request=request)
        path = unquote(request.url.raw_path.decode().partition("?")[0]).removeprefix(BASE)
        override = self.overrides.get(path)
        if override is not None:
            return override(request) if callable(override) else httpx.Response(200, content=override)
        if request.method == "POST":
            return self._post(path, json.loads(request.read()))
        if path.startswith("/director/metadata/"):
            return self._director(request, path.rpartition("/")[2])
        if path.startswith("/repo/metadata/"):
            return _file(self.image.files.get(path.rpartition("/")[2]))
        if path.startswith("/repo/targets/"):
            digest = path.rpartition("/")[2].partition(".")[0]
            return httpx.Response(302, headers={"Location": f"/downloads/{digest}?expires=9&signature=ab"})
        return self._download(request, path.removeprefix("/downloads/"))

    def _director(self, request: httpx.Request, filename: str) -> httpx.Response:
        data = self.director.files.get(filename)
        if filename != "timestamp.json" or data is None:
            return _file(data)
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "OTA-Polling-Seconds": str(self.polling_seconds)}
        if self.wants_manifest:
            headers["OTA-Send-Manifest"] = "1"
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return httpx.Response(304, headers=headers)
        return httpx.Response(200, content=data, headers=headers)

    def _download(self, request: httpx.Request, digest: str) -> httpx.Response:
        return ranged(request, self.images.get(digest), digest)

    def _post(self, path: str, body: Any) -> httpx.Response:
        if path in ("/enrol", "/renew"):
            return self._enrol(body)
        if path == "/events":
            self.events += body
            return httpx.Response(200, json={"accepted": len(body), "rejected": []})
        if path == "/consents":
            self.consents += body
            return httpx.Response(200, json={"accepted": len(body), "rejected": []})
        if path == "/logs":
            self.logs.append(body)
            return httpx.Response(200, json={})
        self._receive_manifest(body)
        return httpx.Response(200, json={"findings": []})

    def _enrol(self, body: Any) -> httpx.Response:
        for ecu in body.get("ecus", []):
            self.keys[ecu["serial"]] = ecu["public_key"]["keyval"]["public"]
        self.token_number += 1
        answer = {
            "vehicle_id": self.vehicle_id,
            "token": f"token-{self.token_number}",
            "token_expires_at": stamp(self.at + timedelta(days=90)),
            "certificate": None,
            "certificate_expires_at": None,
            "authority": None,
            "polling_seconds": self.polling_seconds,
        }
        return httpx.Response(201, json=answer)

    def _receive_manifest(self, body: Any) -> None:
        self._verify(body, "P1")
        for serial, report in body["signed"]["ecu_version_manifests"].items():
            self._verify(report, serial)
            counter = report["signed"]["report_counter"]
            if counter <= self.counters.get(serial, 0):
                self.problems.append(f"{serial} replays counter {counter}")
            self.counters[serial] = counter
        self.manifests.append(body["signed"])

    def _verify(self, part: Any, serial: str) -> None:
        (signature,) = part["signatures"]
        payload = canonical(part["signed"])
        assert signature["hash"] == {"function": "sha256", "digest": hashlib.sha256(payload).hexdigest()}
        assert signature["method"] == "ed25519"
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.keys[serial]))
        public.verify(bytes.fromhex(signature["sig"]), payload)


class Transport(httpx.BaseTransport):
    """The maker's server in memory."""

    def __init__(self, oem: Oem) -> None:
        self._oem = oem

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._oem.handle(request)
        # A real transport hands over a body that is still to be read.
        if response.is_stream_consumed:
            return httpx.Response(
                response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content)
            )
        return response


def describe(data: bytes, **custom: Any) -> dict[str, Any]:
    hashes = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
    return {"length": len(data), "hashes": hashes, "custom": custom}


def ranged(request: httpx.Request, data: bytes | None, digest: str) -> httpx.Response:
    """Serve `data` with Range and If-Range, in chunks."""
    if data is None:
        return httpx.Response(404)
    etag = f'"{digest}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    wanted = request.headers.get("Range")
    if wanted is None or request.headers.get("If-Range", etag) != etag:
        return httpx.Response(200, headers=headers | {"Content-Length": str(len(data))}, content=pieces(data))
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    rest = data[start:]
    headers |= {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}", "Content-Length": str(len(rest))}
    return httpx.Response(206, headers=headers, content=pieces(rest))


def pieces(data: bytes, size: int = 40_000) -> Any:
    return (data[start : start + size] for start in range(0, len(data), size))


def _file(data: bytes | None) -> httpx.Response:
    return httpx.Response(404) if data is None else httpx.Response(200, content=data)
