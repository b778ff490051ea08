"""Where the command line remembers servers and tokens: one file that its owner alone may read.

A token is for the server that it was stored with, and is sent to no other.
"""

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from clients.publisher.errors import InputError

FILE = "profiles.json"
FIRST = "default"


@dataclass(frozen=True)
class Profile:
    url: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Profiles:
    """The profiles in a folder; `chosen` is the one that a command uses."""

    folder: Path
    chosen: str = FIRST

    @property
    def path(self) -> Path:
        return self.folder / FILE

    def all(self) -> Mapping[str, Profile]:
        """Return every profile by its name.

        Raises:
            InputError: others than its owner may read the file, or it is none of ours.
        """
        try:
            with self.path.open() as file:
                mode = os.fstat(file.fileno()).st_mode
                if mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise InputError(f"{self.path} holds tokens and others may read it: chmod 600 {self.path}")
                return {name: Profile(**values) for name, values in json.load(file).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{self.path} cannot be read: {error}; log in again after removing it.") from error

    def store(self, profile: Profile) -> None:
        """Keep a profile under the chosen name, in place of one before.

        Raises:
            InputError: the folder cannot be written.
        """
        self._write({**self.all(), self.chosen: profile})

    def remove(self) -> bool:
        """Forget the chosen profile, and return whether there was one."""
        kept = dict(self.all())
        removed = kept.pop(self.chosen, None)
        if removed is not None:
            self._write(kept)
        return removed is not None

    def complete(self, url: str, token: str) -> Profile:
        """Return which server to call with which token: what is given counts, the profile fills in what is not.

        Raises:
            InputError: neither says where to, or with what.
        """
        if url and token:
            return Profile(url, token)
        stored = self.all().get(self.chosen)
        if stored is None:
            missing = "OTA_URL and OTA_TOKEN" if not url and not token else "OTA_TOKEN" if url else "OTA_URL"
            raise InputError(f"There is no profile {self.chosen!r}: log in first (ota login), or set {missing}.")
        if token or not url or url.rstrip("/") == stored.url.rstrip("/"):
            return Profile(url or stored.url, token or stored.token)
        raise InputError(
            f"The token of profile {self.chosen!r} is for {stored.url} and is not sent to {url}; set OTA_TOKEN.",
            code="input.token_of_another_server",
        )

    def _write(self, profiles: Mapping[str, Profile]) -> None:
        try:
            self._replace(profiles)
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written: {error.strerror}.", code="file.unwritable") from error

    def _replace(self, profiles: Mapping[str, Profile]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A temporary file is its owner's alone from the start (mkstemp), and a crash leaves the old one whole.
        handle, name = tempfile.mkstemp(dir=self.folder)
        with os.fdopen(handle, "w") as file:
            json.dump({name: asdict(profile) for name, profile in profiles.items()}, file, indent=2)
            file.flush()
            os.fsync(handle)
        os.replace(name, self.path)
