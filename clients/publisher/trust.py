"""Roots, delegations and their renewal: everything that offline keys sign beside packages."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signature

from clients.publisher import documents
from clients.publisher.api import Api
from clients.publisher.documents import Delegation, Document, RoleKeys
from clients.publisher.errors import InputError, ServerRefusalError, TrustError
from clients.publisher.keystore import REPOSITORIES, KeyStore, StoredRole, require_role_name

ROOT_LIFETIME = timedelta(days=365)
TARGETS_LIFETIME = timedelta(days=365)
RELEASE_ROLE_LIFETIME = timedelta(days=180)
ONLINE_ROLES = {"image": ("snapshot", "timestamp"), "director": ("targets", "snapshot", "timestamp")}


@dataclass(frozen=True)
class RoleVersion:
    """A version of a role's metadata that was uploaded, or that was found to be good already."""

    repository: str
    role: str
    version: int
    expires_at: datetime
    is_new: bool


class Trust:
    """What the holder of a tenant's offline keys does with them on one server."""

    def __init__(self, api: Api, keys: KeyStore, *, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._keys = keys
        self._clock = clock

    def init(self) -> list[RoleVersion]:
        """Give a new tenant its first roots, its top-level targets and an empty file for each release role.

        Interrupted and done again it goes on where it stopped: what is there and verifies is left alone.
        """
        if all(self.current_root(repository) is None for repository in REPOSITORIES):
            self._keys.forget_versions()
        done = [self._first_root(repository) for repository in REPOSITORIES]
        roles = self._keys.release_roles()
        top = self.current("targets")
        if top is None:
            delegations = [Delegation(role, self._keys.role(f"image/{role}").role_keys) for role in roles]
            done.append(self._put_top_level(delegations, replaces=0))
        else:
            done.append(RoleVersion("image", "targets", top.version, top.expires_at, is_new=False))
        return done + [self._first_targets(role) for role in roles]

    def rotate_root(
        self, repository: str, *, new_keys: bool = False, count: int = 3, threshold: int = 2
    ) -> RoleVersion:
        """Publish the next root, signed by the old and the new root keys, with the server's present online keys.

        Without `new_keys` the root keys stay: that renews the expiry and takes in rotated online keys. New keys are
        kept beside the old ones until the server has the root, so that doing it again finishes what was interrupted.
        """
        current = self.current_root(repository)
        if current is None:
            raise InputError(
                f"The {repository} repository has no root yet; begin with `trust init`.", code="trust.none"
            )
        staged = self._keys.staged_root(repository)
        if staged is not None and _names_root_keys(current, staged):
            # An earlier rotation reached the server and was cut off before it could be noted here.
            self._keys.promote_root(repository)
            return RoleVersion(repository, "root", current.version, current.expires_at, is_new=False)
        old = self._keys.role(f"{repository}/root")
        new = self._keys.stage_root(repository, count=count, threshold=threshold) if new_keys else old
        published = self._put_root(repository, current.version + 1, new, signers=(old, new))
        if new_keys:
            self._keys.promote_root(repository)
        return published

    def rotate_role(self, name: str) -> list[RoleVersion]:
        """Delegate `<name>/*` to new keys of this store, and sign what the role states anew with them, in one step.

        From then on the old keys count for nothing. New keys are kept beside the old ones until the server has them, so
        that doing it again finishes what was interrupted.
        """
        require_role_name(name)
        top = self.current("targets")
        delegations = _delegations(top) if top else []
        found = next((each for each in delegations if each.name == name), None)
        if top is None or found is None:
            raise InputError(f"The top-level targets delegate to no role {name!r}.", code="trust.no_role")
        staged = self._keys.staged(f"image/{name}")
        if staged is not None and found.keys.keys == staged.role_keys.keys:
            self._keys.promote(f"image/{name}")
            return [RoleVersion("image", name, self._keys.seen_version(name), top.expires_at, is_new=False)]
        document = self.current(name)
        if document is None:
            raise InputError(f"Role {name} has signed nothing yet: delegate to another name.", code="trust.no_role")
        new = self._keys.stage(f"image/{name}")
        version, targets = document.version + 1, document.signed["targets"]
        bodies, expires_at = self._signed_by(new, version, targets)
        changed = [Delegation(name, new.role_keys) if each.name == name else each for each in delegations]
        done = [
            self._put_top_level(changed, replaces=top.version, resigned={name: bodies}),
            RoleVersion("image", name, version, expires_at, is_new=True),
        ]
        self._keys.note_version(name, version)
        self._keys.promote(f"image/{name}")
        return done

    def refresh(self, *, within: timedelta, roles: Sequence[str] | None = None) -> list[RoleVersion]:
        """Sign anew, with the same content, the top-level targets and the release roles that end `within` that time.

        `roles` limits it to some of them; by default all roles whose keys the store has.
        """
        limit = self._clock() + within
        done = []
        for role in self._own_roles() if roles is None else roles:
            document = self.current(role)
            if document is None:
                done.append(self._first_targets(role))
            elif document.expires_at > limit:
                done.append(RoleVersion("image", role, document.version, document.expires_at, is_new=False))
            elif role == "targets":
                done.append(self._put_top_level(_delegations(document), replaces=document.version))
            else:
                bodies, expires_at = self.signed_targets(role, document.version + 1, document.signed["targets"])
                done.append(self._put_targets(role, bodies, expires_at, replaces=document.version))
        return done

    def _own_roles(self) -> tuple[str, ...]:
        # A supplier's store has release roles alone.
        top = ("targets",) if self._keys.has_role("image/targets") else ()
        return (*top, *self._keys.release_roles())

    def add_role(self, name: str, *, keys: RoleKeys | None = None) -> list[RoleVersion]:
        """Delegate `<name>/*` to a release role.

        With `keys` these are a supplier's public keys, and the supplier signs the role's first file (`refresh`);
        without, the store's own keys are taken, made if there are none, and the empty first file is uploaded at once.
        """
        require_role_name(name)
        top = self.current("targets")
        if top is None:
            raise InputError("The tenant has no top-level targets yet; begin with `trust init`.", code="trust.none")
        role_keys = keys or self._keys.ensure_role(f"image/{name}").role_keys
        delegations = _delegations(top)
        if name in {each.name for each in delegations}:
            done = [RoleVersion("image", "targets", top.version, top.expires_at, is_new=False)]
        else:
            done = [self._put_top_level([*delegations, Delegation(name, role_keys)], replaces=top.version)]
        return done if keys is not None else [*done, self._first_targets(name)]

    def current(self, role: str) -> Document | None:
        """Return the Image repository's current metadata of a role, verified in every profile with the store's keys.

        Raises:
            TrustError: a signature does not hold, the profiles differ, or the version is older than one seen before.
        """
        document = self._verified("image", role, self._keys.role(f"image/{role}"))
        if document is not None:
            self._keys.note_version(role, document.version)
        elif self._keys.seen_version(role):
            raise TrustError(
                f"The server has no metadata of {role}, and version {self._keys.seen_version(role)} has been seen.",
                code="trust.rollback",
            )
        return document

    def current_root(self, repository: str) -> Document | None:
        """Return the current root of a repository, verified with the root keys in the store, or None."""
        # A rotated root is signed by the old keys too, so the present ones verify it, before and after promotion.
        return self._verified(repository, "root", self._keys.role(f"{repository}/root"))

    def save_first_roots(self, folder: Path) -> list[Path]:
        """Write version 1 of both roots in every profile: what vehicles are provisioned with."""
        folder.mkdir(parents=True, exist_ok=True)
        saved = []
        for repository in REPOSITORIES:
            for profile in self._keys.profiles:
                response = self._api.fetch(f"/trust/{repository}/root", profile=profile, version=1)
                path = folder / f"{repository}-root.{profile}.json"
                path.write_bytes(response.content)
                saved.append(path)
        return saved

    def signed_targets(self, role: str, version: int, targets: Mapping[str, Any]) -> tuple[dict[str, bytes], datetime]:
        """Return a release role's signed targets by profile, and when they end."""
        return self._signed_by(self._keys.role(f"image/{role}"), version, targets)

    def _signed_by(
        self, stored: StoredRole, version: int, targets: Mapping[str, Any]
    ) -> tuple[dict[str, bytes], datetime]:
        expires_at = self._clock() + RELEASE_ROLE_LIFETIME
        bodies = {
            profile: documents.sealed(
                profile,
                documents.targets_body(profile, version=version, expires_at=expires_at, targets=targets),
                lambda data: self._keys.sign(stored, data),
            )
            for profile in self._keys.profiles
        }
        return bodies, expires_at

    def _verified(self, repository: str, role: str, keys: StoredRole) -> Document | None:
        found: list[Document] = []
        for profile in self._keys.profiles:
            try:
                response = self._api.fetch(f"/trust/{repository}/{role}", profile=profile)
            except ServerRefusalError as error:
                if error.status == 404:
                    continue
                raise
            found.append(documents.opened(profile, response.content, keys.role_keys))
        if not found:
            return None
        first = found[0]
        if len(found) != len(self._keys.profiles) or any(
            each.version != first.version or each.signed.get("targets") != first.signed.get("targets") for each in found
        ):
            raise TrustError(f"The profiles of {repository} {role} do not say the same.", code="trust.profiles_differ")
        seen = self._keys.seen_version(role) if repository == "image" and role != "root" else 0
        if first.version < seen:
            raise TrustError(
                f"The server shows version {first.version} of {role}, and {seen} has been seen.", code="trust.rollback"
            )
        return first

    def _first_root(self, repository: str) -> RoleVersion:
        current = self.current_root(repository)
        if current is not None:
            return RoleVersion(repository, "root", current.version, current.expires_at, is_new=False)
        return self._put_root(repository, 1, self._keys.role(f"{repository}/root"))

    def _first_targets(self, role: str) -> RoleVersion:
        current = self.current(role)
        if current is not None:
            return RoleVersion("image", role, current.version, current.expires_at, is_new=False)
        bodies, expires_at = self.signed_targets(role, 1, {})
        return self._put_targets(role, bodies, expires_at, replaces=0)

    def _put_root(
        self, repository: str, version: int, root: StoredRole, *, signers: Sequence[StoredRole] = ()
    ) -> RoleVersion:
        roles = {"root": root.role_keys, **self._online_roles(repository)}
        if repository == "image":
            roles["targets"] = self._keys.role("image/targets").role_keys
        expires_at = self._clock() + ROOT_LIFETIME
        bodies = {
            profile: documents.sealed(
                profile,
                documents.root_body(profile, version=version, expires_at=expires_at, roles=roles),
                lambda data: self._signatures(signers or (root,), data),
            )
            for profile in self._keys.profiles
        }
        self._api.put_metadata(f"/trust/{repository}/root", bodies)
        return RoleVersion(repository, "root", version, expires_at, is_new=True)

    def _put_top_level(
        self,
        delegations: Sequence[Delegation],
        *,
        replaces: int,
        resigned: Mapping[str, Mapping[str, bytes]] | None = None,
    ) -> RoleVersion:
        expires_at = self._clock() + TARGETS_LIFETIME
        stored = self._keys.role("image/targets")
        bodies = {
            profile: documents.sealed(
                profile,
                documents.targets_body(
                    profile, version=replaces + 1, expires_at=expires_at, targets={}, delegations=delegations
                ),
                lambda data: self._keys.sign(stored, data),
            )
            for profile in self._keys.profiles
        }
        return self._put_targets("targets", bodies, expires_at, replaces=replaces, resigned=resigned)

    def _put_targets(
        self,
        role: str,
        bodies: Mapping[str, bytes],
        expires_at: datetime,
        *,
        replaces: int,
        resigned: Mapping[str, Mapping[str, bytes]] | None = None,
    ) -> RoleVersion:
        self._api.put_metadata(f"/trust/image/{role}", bodies, replaces=replaces, resigned=resigned)
        self._keys.note_version(role, replaces + 1)
        return RoleVersion("image", role, replaces + 1, expires_at, is_new=True)

    def _online_roles(self, repository: str) -> dict[str, RoleKeys]:
        listed = self._api.get("/trust/online-keys")["keys"]
        roles = {}
        for role in ONLINE_ROLES[repository]:
            keys = tuple(
                documents.public_key(each["public_key"])
                for each in listed
                if (each["repository"], each["role"]) == (repository, role)
            )
            if not keys:
                raise TrustError(f"The server has no online key for {repository} {role}.", code="trust.online_key")
            roles[role] = RoleKeys(keys, threshold=1)
        return roles

    def _signatures(self, signers: Sequence[StoredRole], data: bytes) -> list[Signature]:
        made = {each.keyid: each for signer in signers for each in self._keys.sign(signer, data)}
        return list(made.values())


def days_left(document: RoleVersion, *, at: datetime) -> int:
    """Return the whole days until a version ends, rounded down."""
    return math.floor((document.expires_at - at) / timedelta(days=1))


def _delegations(top: Document) -> list[Delegation]:
    """Return who the top-level targets (in the TUF profile) delegate to: also roles whose keys this store has not."""
    delegated = top.signed["delegations"]
    return [
        Delegation(
            role["name"],
            RoleKeys(
                tuple(documents.public_key(delegated["keys"][keyid]) for keyid in role["keyids"]),
                role["threshold"],
            ),
        )
        for role in delegated["roles"]
    ]


def _names_root_keys(document: Document, root: StoredRole) -> bool:
    named = set(document.signed["roles"]["root"]["keyids"])
    return named == {each.public.keyid for each in root.stored}
