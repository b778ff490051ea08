"""Processes that count, on a disk that is full: they go on, where the library's own files would have ended them."""

import os
import subprocess
import sys

import pytest
from prometheus_client import values
from prometheus_client.multiprocess import MultiProcessCollector

from otaserver.count_files import BYTES, CountFile
from tests.processes import ROOT, environment

# As `tests.small_disk` ends where there can be no disk.
FORBIDDEN = 77
# One label before the disk is full, and then more than the blocks of any file hold.
COUNTING = """
import otaserver.metrics as metrics
metrics.make_folder()
metrics.letters.labels("first").inc()
with open(metrics.FOLDER / "ballast", "wb", buffering=0) as file:
    try:
        # Never more than the disk has that is meant.
        for _ in range(600):
            file.write(bytes(4096))
    except OSError as error:
        print(error.strerror)
for number in range(2000):
    metrics.letters.labels(f"number {number}").inc()
print(metrics.letters.labels("number 1999")._value.get())
"""


def test_on_a_full_disk_a_process_goes_on_and_another_one_starts(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    shell = [sys.executable, "-I", "-S", str(ROOT / "tests" / "small_disk.py"), str(disk), "2", str(os.geteuid())]

    ended = subprocess.run(
        shell,
        input=f"cd {ROOT}; for turn in 1 2; do {sys.executable} -c '{COUNTING}' || echo ended by $?; done",
        # The tests themselves count elsewhere.
        env=environment(
            disk / "var",
            DJANGO_SETTINGS_MODULE="otaserver.settings",
            PROMETHEUS_MULTIPROC_DIR=disk / "var" / "metrics",
        ),
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )

    if ended.returncode == FORBIDDEN:
        pytest.skip("this kernel lets nobody but root mount anything")
    assert ended.stdout.splitlines() == ["No space left on device", "1.0"] * 2, ended.stderr


def test_what_is_counted_is_read_as_the_library_reads_it_and_grows(tmp_path):
    path = tmp_path / "counter_1.db"
    key = '["letters_total", "letters_total", {"outcome": "%d"}, "Letters."]'
    counts = CountFile(str(path))
    keys = BYTES // len(key)
    for number in range(keys):
        counts.write_value(key % number, float(number), 0.0)
    counts.close()

    again = CountFile(str(path))
    again.write_value(key % 1, 5.0, 0.0)
    again.close()

    assert path.stat().st_blocks * 512 >= path.stat().st_size == 2 * BYTES
    (family,) = MultiProcessCollector.merge([str(path)])
    assert sorted(sample.value for sample in family.samples) == sorted([5.0, *map(float, range(keys)[2:]), 0.0])
    assert [name.name for name in tmp_path.iterdir()] == ["counter_1.db"]


def test_a_file_with_holes_that_was_left_behind_gets_its_blocks(tmp_path):
    path = tmp_path / "counter_1.db"
    with path.open("wb") as file:
        file.truncate(1 << 16)

    CountFile(str(path)).close()

    assert path.stat().st_blocks * 512 >= path.stat().st_size == BYTES


def test_where_no_file_can_be_made_it_counts_in_memory(tmp_path):
    counts = CountFile(str(tmp_path / "none" / "counter_1.db"))

    counts.write_value("key", 3.0, 0.0)

    assert counts.read_value("key") == (3.0, 0.0)
    counts.close()
    assert list(tmp_path.iterdir()) == []


def test_the_library_counts_in_these_files():
    assert values.MmapedDict is CountFile
