"""The trusted metadata on disk, replaced as a whole or not at all.

`trust/current` is a symbolic link to the directory that counts; a verification works on a scratch copy and, if all of
it holds, moves the link. python-tuf writes files by replacing them, so that the copy can consist of hard links.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clients.vehicle.disk import Disk, full_disk_is_not_now, read_json
from clients.vehicle.errors import ConfigError


class TrustStore:
    """Director and Image metadata that one ECU trusts, and the last signed time it has verified."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._link = path / "current"

    @property
    def current(self) -> Path:
        return self._link

    def initialise(self, roots: Mapping[str, Path]) -> None:
        """Trust the provisioned `roots` (by repository) to begin with; does nothing once there is trust.

        Raises:
            ConfigError: a root cannot be read.
        """
        if self._link.exists():
            return
        bodies = {repository: _provisioned(repository, root) for repository, root in roots.items()}
        scratch = self._new_scratch()
        for repository, body in bodies.items():
            history = scratch / repository / "root_history"
            history.mkdir(parents=True)
            (history / "1.root.json").write_bytes(body)
            (scratch / repository / "root.json").symlink_to("root_history/1.root.json")
        self._adopt(scratch)

    def read(self, repository: str, filename: str) -> bytes | None:
        """Return the trusted bytes of one file, None if there are none."""
        try:
            return (self._link / repository / filename).read_bytes()
        except FileNotFoundError:
            return None

    def signed_time(self) -> str:
        """Return the last verified signed time, or an empty string."""
        return str((read_json(self._link / "time.json") or {}).get("signed_time", ""))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a copy to work on, which becomes the trust when the block ends without an exception."""
        path = self._path / "scratch"
        try:
            with full_disk_is_not_now():
                self._new_scratch()
                shutil.copytree(
                    self._link.resolve(), path, symlinks=True, copy_function=_link_or_copy, dirs_exist_ok=True
                )
                yield path
                self._adopt(path)
        finally:
            self._disk.remove_tree(path)

    def _new_scratch(self) -> Path:
        self._disk.make_directory(self._path)
        path = self._path / "scratch"
        self._disk.remove_tree(path)
        path.mkdir()
        return path

    def _adopt(self, scratch: Path) -> None:
        old = self._link.resolve() if self._link.exists() else None
        new = self._path / str(int(old.name) + 1 if old else 1)
        self._disk.remove_tree(new)
        self._sync_tree(scratch)
        os.replace(scratch, new)
        link = self._path / "current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(new.name)
        self._disk.checkpoint("before trust")
        os.replace(link, self._link)
        self._disk.sync(self._path)
        self._disk.checkpoint("after trust")
        for stale in self._path.iterdir():
            if stale.is_dir() and not stale.is_symlink() and stale.name != new.name:
                self._disk.remove_tree(stale)

    def _sync_tree(self, path: Path) -> None:
        for folder, _, names in os.walk(path):
            for file in (Path(folder, name) for name in names):
                # A file with a second link is one that was trusted before.
                if not file.is_symlink() and file.stat().st_nlink == 1:
                    self._disk.sync(file)
            self._disk.sync(Path(folder))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _provisioned(repository: str, root: Path) -> bytes:
    try:
        return root.read_bytes()
    except OSError as error:
        raise ConfigError(f"the {repository} root {root} cannot be read: {error.strerror}.") from error
