"""One repository's metadata through python-tuf, with the checks it lacks around it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Signature
from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from clients.vehicle.checks import check_metadata
from clients.vehicle.config import Limits
from clients.vehicle.errors import NotNowError, Reason, VerificationError
from clients.vehicle.strict_json import strict_loads


class MetadataSource(Protocol):
    """Where metadata comes from: a server, or what a Primary hands to its Secondary."""

    def metadata(self, repository: str, filename: str, max_length: int) -> bytes | None:
        """Return a file of `director` or `image`, None if there is none."""


@dataclass(frozen=True)
class Vehicle:
    """Whom metadata must be for: the vehicle, and the hardware id of each of its ECUs."""

    vehicle_id: str
    hardware: Mapping[str, str]


class CheckedFetcher(FetcherInterface):
    """python-tuf's seam for transport: gives it nothing that `checks` refuse."""

    def __init__(self, repository: str, source: MetadataSource, vehicle: Vehicle) -> None:
        self._repository = repository
        self._source = source
        self._vehicle = vehicle
        self.fetched: dict[str, bytes] = {}
        self.refused: tuple[str, bytes] | None = None  # name and content of what the checks would not have

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, Limits.targets_bytes)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        filename = url.rpartition("/")[2]
        body = self._source.metadata(self._repository, filename, max_length)
        if body is None:
            raise exceptions.DownloadHTTPError(f"{self._repository} has no {filename}", 404)
        if len(body) > max_length:
            raise VerificationError(Reason.OVERSIZED, f"{filename} is longer than {max_length} bytes.")
        try:
            check_metadata(
                body,
                repository=self._repository,
                filename=filename,
                vehicle_id=self._vehicle.vehicle_id,
                hardware=self._vehicle.hardware,
            )
        except VerificationError:
            self.refused = filename, body
            raise
        self.fetched[filename] = body
        return body


class _TimedUpdater(Updater):
    """python-tuf's client with one fixed start time instead of its own look at the clock.

    Only the newest root can say from which time on to judge: rotating the Director's timestamp key forgets the time
    that the old key signed.
    """

    def __init__(
        self, start_time: Callable[[Root], datetime], *, folder: Path, fetcher: CheckedFetcher, limits: Limits
    ):
        config = UpdaterConfig(
            max_root_rotations=limits.root_hops,
            max_delegations=limits.visited_delegations,
            root_max_length=limits.root_bytes,
            timestamp_max_length=limits.timestamp_bytes,
            snapshot_max_length=limits.snapshot_bytes,
            targets_max_length=limits.targets_bytes,
        )
        # bootstrap=None: start from the root that this vehicle trusts by now.
        super().__init__(str(folder), "metadata:/", fetcher=fetcher, config=config, bootstrap=None)
        self._start_time = start_time

    def _load_root(self) -> None:
        super()._load_root()
        self._trusted_set.reference_time = self._start_time(self._trusted_set.root)

    def trusted(self, role: str) -> Signed:
        return self._trusted_set[role]

    def loaded_targets(self) -> dict[str, Targets]:
        return {
            role: cast(Targets, self._trusted_set[role])
            for role in self._trusted_set._trusted_set
            if role not in _OTHER
        }


_OTHER = {"root", "snapshot", "timestamp"}
# What a check refuses because of what is said, not of how: whoever has signed it means it.
_PROVABLE = {Reason.DELEGATION, Reason.DIRECTOR_MISUSE, Reason.THRESHOLD, Reason.UNSAFE_NAME}


class Repository:
    """A refreshed repository in a scratch directory."""

    def __init__(
        self,
        name: str,
        folder: Path,
        source: MetadataSource,
        vehicle: Vehicle,
        *,
        start_time: Callable[[Root], datetime],
        limits: Limits,
    ) -> None:
        self._folder = folder
        before = {role: _read(folder / f"{role}.json") for role in ("timestamp", "snapshot", "targets")}
        self._fetcher = CheckedFetcher(name, source, vehicle)
        with self._refusals():
            self._updater = _TimedUpdater(start_time, folder=folder, fetcher=self._fetcher, limits=limits)
            self._updater.refresh()
            self._compare(before)

    @property
    def root(self) -> Root:
        return cast(Root, self._updater.trusted("root"))

    @property
    def timestamp(self) -> Timestamp:
        return cast(Timestamp, self._updater.trusted("timestamp"))

    @property
    def snapshot(self) -> Snapshot:
        return cast(Snapshot, self._updater.trusted("snapshot"))

    @property
    def targets(self) -> Targets:
        return cast(Targets, self._updater.trusted("targets"))

    def load_targets_for(self, name: str) -> dict[str, Targets]:
        """Load the delegated roles that may sign `name`; returns all Targets metadata verified so far, by role."""
        with self._refusals():
            self._updater.get_targetinfo(name)
        return self._updater.loaded_targets()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            with refusals():
                yield
        except VerificationError as error:
            if error.reason in _PROVABLE and self._fetcher.refused:
                error.evidence = self._evidence(*self._fetcher.refused)
            raise

    def _evidence(self, filename: str, body: bytes) -> Mapping[str, Any] | None:
        """Return the signed part of a file that was refused, if those who may sign it have signed it."""
        role = _role(filename)
        try:
            envelope = strict_loads(body)
            payload = str(encode_canonical(envelope["signed"])).encode()
            signatures = {each["keyid"]: Signature.from_dict(dict(each)) for each in envelope["signatures"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        delegators: list[Root | Targets] = [self.root, *self._updater.loaded_targets().values()]
        for delegator in delegators:
            with suppress(ValueError, exceptions.UnsignedMetadataError):
                delegator.verify_delegate(role, payload, signatures)
                signed: Mapping[str, Any] = envelope["signed"]
                return signed
        return None

    def _compare(self, before: Mapping[str, bytes | None]) -> None:
        """Refuse a lower version, or the same version with other content, of what was trusted before.

        What the present root's keys did not sign does not count: rotating keys is how a fast-forward is undone.
        """
        for role, old in before.items():
            new = self._offered(role)
            if old is None or old == new or not self._is_still_signed(role, old):
                continue
            old_version, new_version = _version(old), _version(new)
            if new_version < old_version:
                raise VerificationError(Reason.ROLLBACK, f"{role} went from version {old_version} to {new_version}.")
            if new_version == old_version:
                raise VerificationError(Reason.EQUIVOCATION, f"{role} version {old_version} has two contents.")
        snapshot = _read(self._folder / "snapshot.json") or b""
        try:
            self.timestamp.snapshot_meta.verify_length_and_hashes(snapshot)
        except exceptions.LengthOrHashMismatchError as error:
            message = f"snapshot version {self.snapshot.version} has two contents."
            raise VerificationError(Reason.EQUIVOCATION, message) from error

    def _offered(self, role: str) -> bytes:
        """Return what was fetched for `role`, else what is kept."""
        for filename, body in self._fetcher.fetched.items():
            if _role(filename) == role:
                return body
        return _read(self._folder / f"{role}.json") or b""

    def _is_still_signed(self, role: str, body: bytes) -> bool:
        metadata = Metadata[Any].from_bytes(body)
        try:
            self.root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except exceptions.UnsignedMetadataError:
            return False
        return True


@contextmanager
def refusals() -> Iterator[None]:
    """Translate python-tuf's exceptions into this client's two families."""
    try:
        yield
    except exceptions.ExpiredMetadataError as error:
        raise VerificationError(Reason.FREEZE, str(error)) from error
    except exceptions.UnsignedMetadataError as error:
        raise VerificationError(Reason.SIGNATURE, str(error)) from error
    except exceptions.BadVersionNumberError as error:
        raise VerificationError(Reason.ROLLBACK, str(error)) from error
    except exceptions.LengthOrHashMismatchError as error:
        raise VerificationError(Reason.MIX_AND_MATCH, str(error)) from error
    except DeserializationError as error:
        raise VerificationError(Reason.MALFORMED, f"{error}: {error.__cause__}") from error
    except exceptions.RepositoryError as error:
        raise VerificationError(Reason.INCONSISTENT, str(error)) from error
    except exceptions.DownloadHTTPError as error:
        raise NotNowError("metadata.missing", str(error)) from error


def _role(filename: str) -> str:
    return filename.removesuffix(".json").rpartition(".")[2]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _version(body: bytes) -> int:
    version: int = Metadata[Any].from_bytes(body).signed.version
    return version
