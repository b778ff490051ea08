"""The offline keys of one tenant: a folder with an index (`keys.json`) and, unless they live elsewhere, key files.

The folder is for its owner alone (0700, files 0600) and can be moved: paths inside are relative. A key is known by a
securesystemslib URI (`file2:…`, `hsm:…`, `hv:…`, `awskms:…`), so that it need not be a file. Keys that are not at hand
(root keys on another medium) matter only when they are to sign.
"""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, Key, Signature, Signer, SSlibKey

from clients.publisher.documents import PROFILES, RoleKeys
from clients.publisher.errors import InputError

INDEX = "keys.json"
SEEN = "seen.json"
LOCK = ".lock"
REPOSITORIES = ("image", "director")
TOP_LEVEL = frozenset({"root", "targets", "snapshot", "timestamp"})
_ROLE = re.compile(r"[a-z0-9-]{1,40}\Z")


@dataclass(frozen=True)
class StoredKey:
    """A public key, and where its private half is."""

    public: Key
    uri: str


@dataclass(frozen=True)
class StoredRole:
    """One role's keys as stored."""

    stored: tuple[StoredKey, ...]
    threshold: int

    @property
    def role_keys(self) -> RoleKeys:
        return RoleKeys(tuple(each.public for each in self.stored), self.threshold)


class KeyStore:
    """A tenant's offline keys. Every change is written at once and whole."""

    def __init__(self, folder: Path) -> None:
        """Open the store in `folder`.

        Raises:
            InputError: there is none, or its index cannot be read.
        """
        self.folder = folder
        try:
            self._index: dict[str, Any] = json.loads((folder / INDEX).read_text())
            self.tenant = str(self._index["tenant"])
            self.profiles = tuple(str(each) for each in self._index["profiles"])
        except FileNotFoundError as error:
            raise InputError(f"There are no keys in {folder}; make them with `keys init`.", code="keys.none") from error
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise InputError(f"{folder / INDEX} cannot be read: {error}.", code="keys.unreadable") from error

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        tenant: str,
        roles: Sequence[str] = (),
        root_keys: int = 3,
        root_threshold: int = 2,
        profiles: Sequence[str] = PROFILES,
    ) -> "KeyStore":
        """Make a store with root keys for both repositories, a top-level targets key and one key per release role.

        With `root_keys=0` it is a supplier's: release roles alone. `profiles` are the forms that everything is signed
        in; the first root fixes them for a tenant. Done again on the same folder it adds the roles that are missing and
        touches no key.
        """
        for role in roles:
            require_role_name(role)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / INDEX).exists():
            _write_private(folder / INDEX, json.dumps({"tenant": tenant, "profiles": list(profiles), "roles": {}}))
        store = cls(folder)
        if store.tenant != tenant:
            raise InputError(f"{folder} holds the keys of tenant {store.tenant}, not of {tenant}.", code="keys.tenant")
        if root_keys:
            for repository in REPOSITORIES:
                store.ensure_role(f"{repository}/root", count=root_keys, threshold=root_threshold)
            store.ensure_role("image/targets")
        for role in roles:
            store.ensure_role(f"image/{role}")
        return store

    def role(self, name: str) -> StoredRole:
        """Return the keys of `image/root`, `director/root`, `image/targets` or `image/<release role>`."""
        found = self._index["roles"].get(name)
        if found is None:
            raise InputError(f"The key store {self.folder} has no keys for {name}.", code="keys.no_role")
        return _role_from(found)

    def has_role(self, name: str) -> bool:
        """Return whether the store has the keys of a role."""
        return name in self._index["roles"]

    def release_roles(self) -> tuple[str, ...]:
        """Return the names of the release roles in the store, in order."""
        names = (name.removeprefix("image/") for name in self._index["roles"] if name.startswith("image/"))
        return tuple(sorted(name for name in names if name not in TOP_LEVEL))

    def ensure_role(self, name: str, *, count: int = 1, threshold: int = 1) -> StoredRole:
        """Make `count` Ed25519 keys for a role that has none yet, and return its keys."""
        with self._changing() as index:
            if name not in index["roles"]:
                index["roles"][name] = self._new_role(name, count, threshold)
        return self.role(name)

    def set_role(self, name: str, keys: Sequence[StoredKey], *, threshold: int) -> None:
        """Put keys that exist elsewhere (a vault, a card, a supplier's own) in charge of a role."""
        role = StoredRole(tuple(keys), threshold)
        with self._changing() as index:
            index["roles"][name] = _role_object(role.role_keys, [each.uri for each in keys])

    def stage_root(self, repository: str, *, count: int, threshold: int) -> StoredRole:
        """Make the next root keys beside the present ones; the same ones again until they are promoted."""
        return self.stage(f"{repository}/root", count=count, threshold=threshold)

    def promote_root(self, repository: str) -> None:
        """Let the staged root keys be the present ones. The old key files stay: an old root may still need them."""
        self.promote(f"{repository}/root")

    def staged_root(self, repository: str) -> StoredRole | None:
        """Return the root keys made for a rotation that is not finished, or None."""
        return self.staged(f"{repository}/root")

    def stage(self, name: str, *, count: int = 1, threshold: int = 1) -> StoredRole:
        """Make the next keys of a role beside its present ones; the same ones again until they are promoted."""
        with self._changing() as index:
            staged: dict[str, Any] = index.setdefault("staged", {})
            if name not in staged:
                staged[name] = self._new_role(name, count, threshold)
            return _role_from(staged[name])

    def promote(self, name: str) -> None:
        """Let the staged keys of a role be its present ones; the old key files stay."""
        with self._changing() as index:
            index["roles"][name] = index["staged"].pop(name)

    def staged(self, name: str) -> StoredRole | None:
        """Return the keys made for a rotation of this role that is not finished, or None."""
        found = self._index.get("staged", {}).get(name)
        return None if found is None else _role_from(found)

    def seen_version(self, role: str) -> int:
        """Return the highest version of the role's metadata that was verified or signed with this store."""
        return int(self._seen().get(role, 0))

    def note_version(self, role: str, version: int) -> None:
        """Remember a version, so that a server that later shows an older one is found out."""
        seen = self._seen()
        if version > int(seen.get(role, 0)):
            _write_private(self.folder / SEEN, json.dumps({**seen, role: version}, sort_keys=True))

    def forget_versions(self) -> None:
        """Begin anew on a server that holds nothing of this tenant yet."""
        _write_private(self.folder / SEEN, "{}")

    def sign(self, role: StoredRole, data: bytes) -> list[Signature]:
        """Return signatures by as many keys of the role as its threshold asks for.

        Raises:
            InputError: fewer private keys than that are at hand.
        """
        signatures: list[Signature] = []
        missing: list[str] = []
        for stored in role.stored:
            if len(signatures) == role.threshold:
                break
            try:
                signatures.append(self._signer(stored).sign(data))
            except Exception as error:  # whatever the library of a vault or a card raises: the next key may do
                missing.append(f"{stored.uri} ({error})")
        if len(signatures) < role.threshold:
            raise InputError(
                f"{role.threshold} signature(s) are needed and {len(signatures)} can be made; "
                f"not usable: {'; '.join(missing)}.",
                code="keys.not_at_hand",
            )
        return signatures

    def _seen(self) -> dict[str, Any]:
        # Apart from the index: publishers that run side by side may lose a note to each other, but never a key.
        try:
            seen: dict[str, Any] = json.loads((self.folder / SEEN).read_text())
        except FileNotFoundError:
            return {}
        return seen

    def _signer(self, stored: StoredKey) -> Signer:
        scheme, _, path = stored.uri.partition(":")
        uri = f"file2:{self.folder.absolute() / path}" if scheme == "file2" else stored.uri
        return Signer.from_priv_key_uri(uri, stored.public)

    def _new_role(self, name: str, count: int, threshold: int) -> dict[str, Any]:
        if not 1 <= threshold <= count:
            raise InputError(f"A threshold of {threshold} does not fit {count} key(s).", code="keys.threshold")
        signers = [CryptoSigner.generate_ed25519() for _ in range(count)]
        uris = []
        for signer in signers:
            # Named by key id: a rotation makes keys of the same role again.
            filename = f"{name.replace('/', '-')}-{signer.public_key.keyid[:12]}.pem"
            _write_private(self.folder / filename, signer.private_bytes.decode("ascii"))
            uris.append(f"file2:{filename}")
        return _role_object(RoleKeys(tuple(signer.public_key for signer in signers), threshold), uris)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """Give the index as it is on the disk now, for one change at a time, and write it back."""
        with (self.folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._index = json.loads((self.folder / INDEX).read_text())
            yield self._index
            _write_private(self.folder / INDEX, json.dumps(self._index, indent=1, sort_keys=True))


def require_role_name(name: str) -> None:
    """Check that `name` can be a release role.

    Raises:
        InputError: it has other characters, or is the name of a top-level role.
    """
    if not _ROLE.match(name) or name in TOP_LEVEL:
        raise InputError(
            f"A release role is 1 to 40 of a-z, 0-9 and hyphens, and not a top-level role; {name!r} is not.",
            code="keys.role_name",
        )


def _role_object(role: RoleKeys, uris: Sequence[str]) -> dict[str, Any]:
    return {
        "threshold": role.threshold,
        "keys": [
            {"keyid": key.keyid, "public_key": key.to_dict(), "uri": uri}
            for key, uri in zip(role.keys, uris, strict=True)
        ],
    }


def _role_from(found: Mapping[str, Any]) -> StoredRole:
    stored = tuple(
        StoredKey(SSlibKey.from_dict(each["keyid"], dict(each["public_key"])), each["uri"]) for each in found["keys"]
    )
    return StoredRole(stored, int(found["threshold"]))


def _write_private(path: Path, text: str) -> None:
    # mkstemp makes the file 0600; the rename shows readers the old text or the new one, never a part.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
