"""How the vehicle gets and keeps the right to talk to its server."""

import hashlib
import json
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from clients.vehicle.config import VehicleConfig
from clients.vehicle.disk import Disk, read_json
from clients.vehicle.ecu import Link
from clients.vehicle.errors import NotNowError, VehicleError
from clients.vehicle.logs import VehicleLog
from clients.vehicle.order import format_time, parse_time
from clients.vehicle.server import Server

UNKNOWN_LIFE_MARGIN = timedelta(days=30)
# Renewals are at most this far apart from one another when they are due all the time.
LONGEST_PAUSE = timedelta(days=1)


class Credentials:
    """`credentials.json` (token and expiries, mode 0600), `certificate.pem` and its key beside it."""

    def __init__(
        self, config: VehicleConfig, server: Server, links: Sequence[Link], disk: Disk, log: VehicleLog
    ) -> None:
        self._config = config
        self._server = server
        self._links = links
        self._disk = disk
        self._log = log
        self._path = config.state_dir / "credentials.json"
        self._certificate_path = config.state_dir / "certificate.pem"
        self._key_path = config.state_dir / "certificate.key"
        self._current: Mapping[str, Any] | None = read_json(self._path)
        if self._current:
            self._use(self._current)

    @property
    def is_enrolled(self) -> bool:
        return self._current is not None

    def ensure(self, at: datetime) -> None:
        """Enrol if that is still to do; renew when a third of the credential's life is left; declare replaced ECUs.

        A claim code other than the one used before means that the owner wants the vehicle enrolled anew. Other ECUs, or
        other keys of theirs, than the server was told of are declared, until it takes them (they must be announced).

        Raises:
            NotNowError, RejectedError: the vehicle has no credential and gets none.
        """
        if self._current is None or (self._config.claim_code and self._current["claim"] != self._claim_hash()):
            self._enrol(at)
        elif self._is_renewal_due(at):
            try:
                self._renew(at)
            except VehicleError as error:
                # The old one may still do; when it does not, the next request says so.
                self._log.warning("renewal failed", code=error.code, detail=error.message)
        self._declare_replaced()

    def _declare_replaced(self) -> None:
        current = self._current or {}
        # A vehicle that enrolled with an earlier client has not noted what it said.
        if current.get("ecus") == self._ecus_hash:
            return
        if "ecus" in current:
            try:
                self._server.post("ecus", {"ecus": self._described})
            except VehicleError as error:
                # What stays is known all the same; what is new is not believed before the server knows it.
                self._log.warning("replaced ECUs not accepted", code=error.code, detail=error.message)
                return
            self._log.info("replaced ECUs declared")
        self._keep({**current, "ecus": self._ecus_hash})

    def _is_renewal_due(self, at: datetime) -> bool:
        current = self._current or {}
        # A clock that stands ahead would renew at every poll.
        pause = abs(at - parse_time(current["issued_at"])) >= timedelta(seconds=current["pause_seconds"])
        return pause and at >= parse_time(current["renew_at"])

    def _enrol(self, at: datetime) -> None:
        if not self._config.claim_code:
            raise NotNowError("claim.missing", "the vehicle has no credential and no claim code.")
        body = {
            "vehicle_id": self._config.vehicle_id,
            "claim_code": self._config.claim_code,
            "ecus": self._described,
            "certificate_request": self._certificate_request(),
        }
        self._store(self._server.post("enrol", body), at, is_renewal=False)
        self._log.info("enrolled")

    def _renew(self, at: datetime) -> None:
        answer = self._server.post("renew", {"certificate_request": self._certificate_request()})
        self._store(answer, at, is_renewal=True)
        self._log.info("credential renewed")

    def _store(self, answer: Any, at: datetime, *, is_renewal: bool) -> None:
        try:
            token, expires_at, chain = _read_answer(answer)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NotNowError("answer.invalid", f"no credential: {type(error).__name__}: {error}") from error
        if chain and self._config.wants_certificate:
            self._replace_certificate(chain)
        left = expires_at - at
        # A clock that stood ahead cannot tell how long the credential lasts; its end is known all the same.
        margin = left / 3 if left > timedelta(0) else UNKNOWN_LIFE_MARGIN
        pause = min(left * 2 / 3, LONGEST_PAUSE) if left > timedelta(0) else LONGEST_PAUSE
        credential = {
            "token": token,
            "issued_at": format_time(at),
            "renew_at": format_time(expires_at - margin),
            "pause_seconds": pause.total_seconds(),
            "claim": self._claim_hash() if self._config.claim_code else "",
            "ecus": (self._current or {}).get("ecus", self._ecus_hash) if is_renewal else self._ecus_hash,
        }
        self._keep(credential)
        self._use(credential)

    def _keep(self, credential: Mapping[str, Any]) -> None:
        self._disk.write_json(self._path, credential, mode=0o600)
        self._current = credential

    def _replace_certificate(self, chain: bytes) -> None:
        """Write `chain` in place of the old one, once TLS has taken it together with this vehicle's key."""
        candidate = self._certificate_path.with_name("certificate.candidate")
        try:
            self._disk.write(candidate, chain)
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(candidate, self._key_path)
        except ssl.SSLError as error:
            raise NotNowError("answer.invalid", f"no usable certificate: {error}") from error
        finally:
            candidate.unlink(missing_ok=True)
        self._disk.write(self._certificate_path, chain)

    def _use(self, credential: Mapping[str, Any]) -> None:
        has_certificate = self._certificate_path.exists() and self._key_path.exists()
        files = (str(self._certificate_path), str(self._key_path))
        try:
            self._server.use_credential(credential["token"], files if has_certificate else None)
        except OSError as error:
            # What was good once is not any more (the disk, another TLS library); the token may do alone.
            self._log.warning("certificate unusable", detail=str(error))

    def _claim_hash(self) -> str:
        return hashlib.sha256(self._config.claim_code.encode()).hexdigest()

    @cached_property
    def _described(self) -> list[dict[str, Any]]:
        return [self._describe(link) for link in self._links]

    @cached_property
    def _ecus_hash(self) -> str:
        return hashlib.sha256(json.dumps(self._described, sort_keys=True).encode()).hexdigest()

    def _describe(self, link: Link) -> dict[str, Any]:
        ecu = next(ecu for ecu in self._config.ecus if ecu.serial == link.serial)
        return {
            "serial": ecu.serial,
            "hardware_id": ecu.hardware_id,
            "is_primary": ecu.is_primary,
            "public_key": dict(link.public_key()),
        }

    def _certificate_request(self) -> str | None:
        if not self._config.wants_certificate:
            return None
        key = _load_or_create_key(self._key_path, self._disk)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._config.vehicle_id)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        return request.public_bytes(Encoding.PEM).decode()


def _load_or_create_key(path: Path, disk: Disk) -> EllipticCurvePrivateKey:
    if not path.exists():
        new = generate_private_key(SECP256R1())
        disk.write(path, new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds another kind of key.")
    return key


def _read_answer(answer: Any) -> tuple[str, datetime, bytes]:
    """Return token, first expiry and certificate chain, if any; raises what a wrong answer makes it raise."""
    expiries = [answer["token_expires_at"], answer.get("certificate_expires_at")]
    expires_at = min(datetime.fromisoformat(text) for text in expiries if text)
    if expires_at.tzinfo is None:
        raise ValueError("an expiry without a time zone")
    certificate = answer.get("certificate") or ""
    chain = certificate + (answer.get("authority") or "") if certificate else ""
    token = answer["token"]
    if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
        raise ValueError("no token")
    return token, expires_at, chain.encode()
