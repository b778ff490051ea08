"""From a file on the release engineer's disk to a signed package on the server."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.publisher import documents
from clients.publisher.api import TRIES, Api, encoded
from clients.publisher.direct import DirectUploads, Progress
from clients.publisher.documents import Document
from clients.publisher.errors import InputError, PublisherError, ServerRefusalError, UnreachableError
from clients.publisher.files import FileFacts, blocks, file_facts
from clients.publisher.keystore import require_role_name
from clients.publisher.trust import Trust

# One request's share of an upload: what a cut connection costs at most, and what a proxy has to let through.
SEGMENT_BYTES = 8 * 1024 * 1024
STALE_TRIES = 10


@dataclass(frozen=True)
class PackageSpec:
    """What the release engineer says about a file. `release_counter` None takes the highest in use for its hardware."""

    role: str
    name: str
    version: str
    hardware_ids: Sequence[str]
    release_counter: int | None = None

    @property
    def target_name(self) -> str:
        return f"{self.role}/{self.name}-{self.version}"


@dataclass(frozen=True)
class PublishedPackage:
    """A package on the server; `is_new` is false if an earlier try had published it.

    `contents` is what the server read in the file: its format, and what it says of itself.
    """

    id: int
    target_name: str
    release_counter: int
    length: int
    sha256: str
    is_new: bool
    contents: Mapping[str, Any]


class Packages:
    """Packages of one tenant, signed with the release roles' keys."""

    def __init__(self, api: Api, trust: Trust, direct: DirectUploads | None = None) -> None:
        self._api = api
        self._trust = trust
        self._direct = direct or DirectUploads(api)

    def publish(self, path: Path, spec: PackageSpec, *, progress: Progress | None = None) -> PublishedPackage:
        """Upload a file and publish it as `spec` says, signed by its role.

        The bytes go straight to the server's bucket where it offers that, or else through the server. Everything may be
        done again: an upload goes on where it stopped, and what is published stays as it is. When
        another publisher was first with the role's metadata, theirs is fetched and this package is signed on top of it.

        Raises:
            InputError: the file cannot be read, or the role's metadata has the name already for other content.
            TrustError: the server's present metadata of the role does not verify.
        """
        require_role_name(spec.role)
        facts = file_facts(path)
        counter = self._counter(spec)
        # The server takes printable ASCII for a file's name; it is shown to people and means nothing.
        filename = "".join(char if " " <= char <= "~" else "_" for char in path.name)
        package = self._declare(spec, counter, filename, facts)
        if package["state"] == "uploading":
            self._upload(package, path, progress)
        return self._published(package, spec, counter, facts)

    def republish(self, target_name: str, *, version: str, release_counter: int | None = None) -> PublishedPackage:
        """Sign a package's content again under a new version: the way back to old software.

        By default it gets the highest release counter in use for its hardware, the lowest that no vehicle refuses. The
        server has the bytes already. A withdrawn package can be republished as well.
        """
        old = find_package(self._api, target_name)
        if not old["sha512"]:
            raise InputError(
                f"{target_name} is not published yet, so there is nothing to repeat.", code="package.state"
            )
        spec = PackageSpec(old["role"], old["name"], version, tuple(old["hardware_ids"]), release_counter)
        facts = FileFacts(int(old["length"]), old["sha256"], old["sha512"])
        counter = self._counter(spec)
        package = self._declare(spec, counter, old["filename"], facts)
        if package["state"] == "uploading" and int(package["received"]) < facts.length:
            raise InputError(f"The server no longer has the bytes of {target_name}.", code="package.content_gone")
        return self._published(package, spec, counter, facts)

    def raise_counter(self, target_name: str, *, version: str, release_counter: int | None = None) -> PublishedPackage:
        """Sign a package's content again under a new version with a higher counter than any in use for its hardware.

        Vehicles that commit it accept nothing from before any more, so this bars older software for good.

        Raises:
            InputError: the given counter is not higher.
        """
        old = find_package(self._api, target_name)
        again = f"{old['role']}/{old['name']}-{version}"
        targets = self._require_current(old["role"]).signed["targets"]
        others = {name: entry for name, entry in targets.items() if name != again}
        highest = _highest_counter(others, old["hardware_ids"])
        wanted = highest + 1 if release_counter is None else release_counter
        if wanted <= highest:
            raise InputError(
                f"A counter of {wanted} bars nothing: {highest} is in use for {', '.join(old['hardware_ids'])}.",
                code="package.counter_not_higher",
            )
        return self.republish(target_name, version=version, release_counter=wanted)

    def withdraw(self, target_name: str) -> int:
        """Take a package out of its role's signed targets, so that no vehicle accepts it any more; return its id."""
        package = find_package(self._api, target_name)
        if package["state"] == "withdrawn":
            return int(package["id"])

        def without(targets: Mapping[str, Any]) -> dict[str, Any]:
            return {name: entry for name, entry in targets.items() if name != target_name}

        self._replace_targets(package["role"], without, f"/packages/{package['id']}/withdraw")
        return int(package["id"])

    def _counter(self, spec: PackageSpec) -> int:
        if spec.release_counter is not None:
            return spec.release_counter
        targets = self._require_current(spec.role).signed["targets"]
        published = targets.get(spec.target_name)
        if published is not None:  # a repeated command says the same again
            return int(published["custom"]["releaseCounter"])
        return _highest_counter(targets, spec.hardware_ids)

    def _published(
        self, package: Mapping[str, Any], spec: PackageSpec, counter: int, facts: FileFacts
    ) -> PublishedPackage:
        entry = documents.target_entry(
            length=facts.length,
            sha256=facts.sha256,
            sha512=facts.sha512,
            name=spec.name,
            version=spec.version,
            hardware_ids=spec.hardware_ids,
            release_counter=counter,
        )
        is_new = package["state"] != "published"
        if is_new:
            self._sign_in(package["id"], spec, entry)
        contents = self._api.get(f"/packages/{package['id']}")["contents"]
        return PublishedPackage(package["id"], spec.target_name, counter, facts.length, facts.sha256, is_new, contents)

    def _declare(self, spec: PackageSpec, counter: int, filename: str, facts: FileFacts) -> Any:
        declared = {
            "role": spec.role,
            "name": spec.name,
            "version": spec.version,
            "hardware_ids": sorted(spec.hardware_ids),
            "release_counter": counter,
            "length": facts.length,
            "sha256": facts.sha256,
        }
        try:
            return self._api.post("/packages", {**declared, "filename": filename})
        except ServerRefusalError as error:
            if error.code != "package.name_taken":
                raise
            present = find_package(self._api, spec.target_name)
            if present["state"] != "published" or any(present[name] != value for name, value in declared.items()):
                raise
            return present  # an earlier command has done it all

    def _upload(self, package: Mapping[str, Any], path: Path, progress: Progress | None) -> None:
        if not self._direct.send(package, path, progress or (lambda here, total: None)):
            self._send_through_server(package, path, progress)

    def _send_through_server(self, package: Mapping[str, Any], path: Path, progress: Progress | None) -> None:
        content = f"/packages/{package['id']}/content"
        length, offset, failures = int(package["length"]), int(package["received"]), 0
        while offset < length:
            if progress is not None:
                progress(offset, length)
            segment = min(SEGMENT_BYTES, length - offset)
            try:
                offset = self._api.append(content, blocks(path, offset, segment), offset=offset, length=segment)
                failures = 0
            except PublisherError as error:
                failures += 1
                if failures == TRIES or not _can_go_on(error):
                    raise
                self._api.pause(failures)
                offset = self._api.uploaded(content)
        if progress is not None:
            progress(length, length)

    def _sign_in(self, package_id: int, spec: PackageSpec, entry: Mapping[str, Any]) -> None:
        def with_entry(targets: Mapping[str, Any]) -> dict[str, Any]:
            present = targets.get(spec.target_name)
            if present is not None and present != entry:
                raise InputError(
                    f"{spec.target_name} is signed for other content already; a name is never used again.",
                    code="package.name_taken",
                )
            return {**targets, spec.target_name: dict(entry)}

        try:
            self._replace_targets(spec.role, with_entry, f"/packages/{package_id}/publish")
        except (ServerRefusalError, UnreachableError):
            # The answer to a request that did its work may have been lost on the way.
            if self._api.get(f"/packages/{package_id}")["state"] != "published":
                raise

    def _replace_targets(
        self,
        role: str,
        change: Callable[[Mapping[str, Any]], dict[str, Any]],
        path: str,
    ) -> None:
        for tries in range(1, STALE_TRIES + 1):
            current = self._require_current(role)
            bodies, _ = self._trust.signed_targets(role, current.version + 1, change(current.signed["targets"]))
            try:
                self._api.post(path, {"metadata": encoded(bodies)}, replaces=current.version)
                return
            except ServerRefusalError as error:
                if error.code != "metadata.stale" or tries == STALE_TRIES:
                    raise
                self._api.pause(min(tries, 3))

    def _require_current(self, role: str) -> Document:
        current = self._trust.current(role)
        if current is None:
            raise InputError(
                f"The role {role} has no metadata on the server yet; begin with `trust init` or `trust add-role`, "
                f"or, with a supplier's own keys, `trust refresh --role {role}`.",
                code="trust.none",
            )
        return current


def find_package(api: Api, target_name: str) -> Any:
    """Return the package `<role>/<name>-<version>`, which is not a refused one.

    Raises:
        InputError: there is none.
    """
    for row in api.rows("/packages", target_name=target_name):
        if row["state"] != "refused":
            return row
    raise InputError(f"There is no package {target_name}.", code="package.not_found")


def _can_go_on(error: PublisherError) -> bool:
    return isinstance(error, UnreachableError) or error.code in ("upload.offset", "upload.busy")


def _highest_counter(targets: Mapping[str, Any], hardware_ids: Sequence[str]) -> int:
    counters = [
        int(entry["custom"]["releaseCounter"])
        for entry in targets.values()
        if set(hardware_ids) & set(entry["custom"]["hardwareIds"])
    ]
    return max(counters, default=0)
