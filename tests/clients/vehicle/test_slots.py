import hashlib

from clients.vehicle.disk import Disk
from clients.vehicle.slots import Image, Slots

DATA = b"firmware"
IMAGE = Image("s/n-1", len(DATA), hashlib.sha256(DATA).hexdigest(), hashlib.sha512(DATA).hexdigest())


class WatchedDisk(Disk):
    """Remembers what was forced out of the page cache."""

    def __init__(self):
        super().__init__()
        self.synced = []

    def sync(self, path):
        super().sync(path)
        self.synced.append(path)


def test_a_slot_that_is_new_is_found_after_a_power_cut(tmp_path):
    disk = WatchedDisk()

    Slots(tmp_path / "ecus/P1", disk).fill("b", IMAGE, [DATA])

    # Each name is in the directory above it, which has to reach the disk as well.
    assert {tmp_path, tmp_path / "ecus", tmp_path / "ecus/P1", tmp_path / "ecus/P1/b"} <= set(disk.synced)
