"""nginx in front of the embedded server: its folder, with a certificate that this machine has signed for itself."""

import os
import shutil
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from django.conf import settings

from otaserver.embedded.children import ROOT, Program
from otaserver.embedded.errors import CannotServeError
from otaserver.embedded.rules import configure_nginx, host_names
from otaserver.fleet import queries
from otaserver.fleet.credentials.certificates import Authority
from otaserver.fleet.credentials.servers import is_good, issue_server_certificate, make_server_authority

# nginx calls the server from this address of the loopback, and whoever calls from there is believed to be nginx.
PROXY_ADDRESS = "127.0.0.2"
ACCEL_PREFIX = "/_packages/"
AUTHORITIES = "authorities.pem"
_TEMPLATE = ROOT / "deploy" / "nginx.conf"


def folder() -> Path:
    return settings.VAR_DIR / "nginx"


def program_folders() -> Sequence[str]:
    """Return where programs are; Debian has nginx where only administrators look."""
    return [*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"]


def find_nginx(folders: Sequence[str]) -> str:
    """Return where nginx is.

    Raises:
        CannotServeError: it is in none of these folders.
    """
    found = shutil.which("nginx", path=os.pathsep.join(folders))
    if found is None:
        raise CannotServeError(
            "TLS needs nginx, which is not installed. Install it (Debian and Ubuntu: apt-get install nginx), "
            "or serve without TLS."
        )
    return found


def prepare(*, host: str, port: int, web_port: int, packages: str, at: datetime) -> Path:
    """Make nginx's folder, or bring it up to date, and return it. A certificate that is still good stays."""
    place = folder()
    place.mkdir(mode=0o700, exist_ok=True)
    _write(place / "nginx.conf", configure_nginx(_TEMPLATE.read_text(), host=host, port=port, web_ports=[web_port]))
    _make_certificate(place, host_names(settings.ALLOWED_HOSTS), at=at)
    write_authorities(place / AUTHORITIES, at=at)
    link = place / "packages"
    link.unlink(missing_ok=True)
    if packages:
        link.symlink_to(packages)
    return place


def program(nginx: str, place: Path) -> Program:
    # As root its workers would become somebody else, who may not read here.
    same_user = ["-g", "user root;"] if os.geteuid() == 0 else []
    return Program("nginx", [nginx, "-p", str(place), "-c", str(place / "nginx.conf"), *same_user])


def environment(place: Path, *, packages: str) -> Mapping[str, str]:
    """Return what the server has to know of nginx in front of it."""
    return {
        "OTA_TRUSTED_PROXIES": ",".join([PROXY_ADDRESS, *settings.TRUSTED_PROXIES]),
        "OTA_ACCEL_PREFIX": ACCEL_PREFIX if packages else "",
        "OTA_AUTHORITIES_FILE": str(place / AUTHORITIES),
    }


def write_authorities(path: Path, *, at: datetime) -> bool:
    """Write the CAs of all vehicles' certificates for an nginx that has its pid beside the file, and let it reload.

    Return whether they are others than before; only then anything is done.

    Raises:
        OSError: the folder, or nginx, is another user's.
    """
    bundle = queries.authority_certificates(at=at)
    if not bundle and not path.exists():
        # nginx does not start without any: until there is a first tenant, it has one that issues nothing.
        bundle = make_server_authority(at=at).certificate_pem
    if not bundle or (path.exists() and path.read_text() == bundle):
        return False
    _write(path, bundle)
    _reload(path.with_name("nginx.pid"))
    return True


def _reload(pid_file: Path) -> None:
    # Without the file nginx does not run; one that was left behind may by now name another process.
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int(pid_file.read_text())
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"nginx: master"):
            os.kill(pid, signal.SIGHUP)


def _make_certificate(place: Path, names: Collection[str], *, at: datetime) -> None:
    authority = _own_authority(place, at=at)
    certificate, key = place / "server.pem", place / "server.key"
    if certificate.exists() and key.exists():
        present = Authority(certificate.read_text(), key.read_bytes())
        if is_good(present, authority, names, at=at):
            return
    made = issue_server_certificate(authority, names, at=at)
    _write(key, made.key_pem.decode())
    _write(certificate, made.certificate_pem)


def _own_authority(place: Path, *, at: datetime) -> Authority:
    certificate, key = place / "ca.pem", place / "ca.key"
    if not certificate.exists():
        made = make_server_authority(at=at)
        # The certificate last: where it is, the key is too.
        _write(key, made.key_pem.decode())
        _write(certificate, made.certificate_pem)
    return Authority(certificate.read_text(), key.read_bytes())


def _write(path: Path, text: str) -> None:
    """Replace the file in one piece; only its owner may read it."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    new.replace(path)
