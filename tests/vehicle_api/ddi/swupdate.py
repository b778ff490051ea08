"""Debian's real SWUpdate as an unprivileged process, and the signed images that it takes."""

import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

NEEDED = ("swupdate", "cpio", "openssl")
BOARD = "board"
DESCRIPTION = """software =
{{
    version = "{version}";
    hardware-compatibility: [ "1.0" ];
    files: ( {{ filename = "image.bin"; path = "{target}"; sha256 = "{sha256}"; installed-directly = true; }} );
}}
"""


def missing() -> str:
    """Return why real SWUpdate cannot run here, or nothing."""
    gone = [name for name in NEEDED if shutil.which(name) is None]
    return f"not installed: {', '.join(gone)}" if gone else ""


@dataclass
class Signer:
    """A key that images are signed with, as CMS, and the certificate that devices hold."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @classmethod
    def make(cls, folder: Path) -> "Signer":
        folder.mkdir()
        made = cls(folder)
        extensions = ("extendedKeyUsage=emailProtection", "keyUsage=digitalSignature")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=signer"]
        command += [word for one in extensions for word in ("-addext", one)]
        _run([*command, "-keyout", made.key, "-out", made.certificate], folder)
        return made

    def sign(self, description: str, folder: Path) -> None:
        (folder / "sw-description").write_text(description)
        command = ["openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig"]
        command += ["-outform", "DER", "-nosmimecap", "-binary", "-signer", self.certificate, "-inkey", self.key]
        _run(command, folder)


def make_image(signer: Signer, folder: Path, *, content: bytes, target: Path, version: str = "2.0") -> bytes:
    """A .swu that writes its content to a file of the device."""
    folder.mkdir()
    (folder / "image.bin").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    signer.sign(DESCRIPTION.format(version=version, target=target, sha256=sha256), folder)
    names = "sw-description\nsw-description.sig\nimage.bin\n"
    archive = subprocess.run(
        ["cpio", "-o", "-H", "crc"], input=names.encode(), cwd=folder, check=True, capture_output=True
    )
    return archive.stdout


def _run(command: list[object], folder: Path) -> None:
    subprocess.run([str(word) for word in command], cwd=folder, check=True, capture_output=True)


@dataclass
class Board:
    """One device: a folder that is its disk, and SWUpdate on it, run as nobody where the tests run as root."""

    url: str
    controller: str
    token: list[str]
    certificate: Path
    speed: str = ""
    tenant: str = "acme"
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="swu-")))
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def installed(self) -> Path:
        return self.folder / "installed.bin"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self, *, confirm: int | None = None) -> None:
        """Start it; `confirm` as after a restart: 2 says that the new software runs, 3 that it does not."""
        shutil.copy(self.certificate, self.folder / "cert.pem")
        suricatta = [
            "-t",
            self.tenant,
            "-i",
            self.controller,
            "-u",
            self.url,
            *self.token,
            "-p",
            "1",
            "-w",
            "1",
            "-r",
            "5",
        ]
        suricatta += ["-n", self.speed] if self.speed else []
        suricatta += ["-c", str(confirm)] if confirm else []
        command = ["swupdate", "-v", "-B", "none", "-H", f"{BOARD}:1.0", "-k", "cert.pem", "-u", " ".join(suricatta)]
        owner = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        if owner is not None:
            for path in [self.folder, *self.folder.iterdir()]:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        # SIGPIPE stays ignored, as systemd starts services. Otherwise the signal ends SWUpdate 2022.12 on a busy
        # machine: its log thread waits 100 ms for an answer of the installer, which then writes into a closed socket.
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | {"TMPDIR": str(self.folder)},
                stdout=log,
                stderr=log,
                start_new_session=True,
                restore_signals=False,
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
            )

    def stop(self) -> None:
        """End it with its helpers, which are a session of their own."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)


class CuttingProxy:
    """Passes TCP on, and cuts the first connection that has brought so many bytes back."""

    def __init__(self, port: int, *, cut_after: int) -> None:
        self._target = ("127.0.0.1", port)
        self._left = cut_after
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_counted: bool) -> None:
        passed = 0
        try:
            while block := source.recv(16384):
                passed += len(block)
                if is_counted and not self.cuts and passed > self._left:
                    self.cuts += 1
                    break
                sink.sendall(block)
        except OSError:
            pass
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
