"""Names in pax headers, read as a client's own reader does."""

import io
import tarfile

import pytest

from firmware_store.formats import tar
from firmware_store.formats.errors import FormatMalformedError

pytestmark = pytest.mark.any_database


def with_pax(records: bytes) -> list[bytes]:
    """Return the names in an archive of one file with these records before it."""
    archive = b""
    for name, kind, data in (("pax", tarfile.XHDTYPE, records), ("plain.txt", tarfile.REGTYPE, b"x")):
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data)
        archive += info.tobuf(tarfile.USTAR_FORMAT) + data.ljust(-(-len(data) // 512) * 512, b"\0")
    return [member.name for member in tar.members(io.BytesIO(archive))]


def record(text: bytes) -> bytes:
    length = next(n for n in range(100) if n == len(text) + 2 + len(str(n)))
    return b"%d %s\n" % (length, text)


def test_a_record_is_as_long_as_it_says():
    assert with_pax(record(b"path=a/b=c")) == [b"a/b=c"]
    # A line end inside a value begins no record of its own.
    assert with_pax(record(b"comment=x\n14 path=evil")) == [b"plain.txt"]


@pytest.mark.parametrize(
    "records", [b"99 path=evil\n", b"5 path=evil\n", b"12 path=evil\n", b"0 path=evil\n", b"path=x\n"]
)
def test_a_record_that_ends_elsewhere_is_refused(records):
    with pytest.raises(FormatMalformedError):
        with_pax(records)
