"""What only a bucket can do: take a file in parts, past this server, and give it back from any place.

Everything else about stored files is the same on disk and in a bucket, and stands in `blobs`. Names are those of
Django's default storage; whoever asks here has asked `takes_direct_uploads` or `is_bucket` before.
"""

import io
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import default_storage

from firmware_store.errors import BlobNotFoundError, DirectUploadGoneError, DirectUploadRefusedError
from firmware_store.parts import Part
from otaserver import storage_urls

# One request of the bucket serves reading on from one place; what is read is kept in blocks of this size.
_BLOCK_BYTES = 256 * 1024
_READ_TRIES = 4
_GONE = frozenset({"NoSuchUpload", "404", "NoSuchKey"})
_CHANGED = frozenset({"PreconditionFailed", "412"})


@dataclass(frozen=True)
class Stored:
    """An object as the bucket has it."""

    length: int
    etag: str


def is_bucket() -> bool:
    return bool(settings.STORAGES["default"]["BACKEND"] == storage_urls.S3)


def takes_direct_uploads() -> bool:
    """Return whether packages may be sent to the storage itself."""
    return is_bucket() and bool(settings.DIRECT_UPLOADS)


def begin(name: str) -> str:
    """Begin a multipart upload, and return the bucket's id of it."""
    extra = default_storage.get_object_parameters(name)  # type: ignore[attr-defined]
    given = {"ContentType": "application/octet-stream"} | extra
    return str(_client().create_multipart_upload(**_at(name), **given)["UploadId"])


def address(name: str, upload_id: str, number: int, *, length: int, seconds: int) -> str:
    """Return where to PUT one part, good for so long and for exactly `length` bytes."""
    wanted = {**_at(name), "UploadId": upload_id, "PartNumber": number, "ContentLength": length}
    return str(_client().generate_presigned_url("upload_part", Params=wanted, ExpiresIn=seconds))


def received_parts(name: str, upload_id: str) -> list[Part]:
    """Return the parts that are here, by number.

    Raises:
        DirectUploadGoneError: the bucket knows no such upload: it was completed, or given up.
    """
    pages = _client().get_paginator("list_parts").paginate(**_at(name), UploadId=upload_id)
    try:
        return [
            Part(int(one["PartNumber"]), int(one["Size"]), str(one["ETag"]))
            for page in pages
            for one in page.get("Parts", ())
        ]
    except ClientError as error:
        raise _gone(error, name) from error


def complete(name: str, upload_id: str, parts: Sequence[Part]) -> None:
    """Make the parts one object.

    Raises:
        DirectUploadGoneError: the bucket knows no such upload.
    """
    listed = [{"PartNumber": one.number, "ETag": one.etag} for one in parts]
    try:
        _client().complete_multipart_upload(**_at(name), UploadId=upload_id, MultipartUpload={"Parts": listed})
    except ClientError as error:
        raise _gone(error, name) from error


def stored(name: str) -> Stored | None:
    try:
        found = _client().head_object(**_at(name))
    except ClientError as error:
        if _code(error) in _GONE:
            return None
        raise
    return Stored(int(found["ContentLength"]), str(found["ETag"]))


def open_object(name: str, *, etag: str = "") -> IO[bytes]:
    """Open an object for reading and seeking, never more than a block of it in memory.

    Raises:
        BlobNotFoundError: there is none, or by now another than the one that `etag` marks.
    """
    found = stored(name)
    if found is None or (etag and found.etag != etag):
        raise BlobNotFoundError(f"There is no {name} in the bucket.")
    return cast(IO[bytes], io.BufferedReader(_Object(name, found), _BLOCK_BYTES))


def copy(name: str, to: str, *, etag: str) -> None:
    """Copy an object inside the bucket, if it is still the one that `etag` marks.

    Raises:
        BlobNotFoundError: it is another by now, or gone.
    """
    extra = {"CopySourceIfMatch": etag, **default_storage.get_object_parameters(to)}  # type: ignore[attr-defined]
    try:
        _client().copy(_at(name), **_at(to), ExtraArgs=extra)
    except ClientError as error:
        if _code(error) in _GONE | _CHANGED:
            raise BlobNotFoundError(f"{name} is no longer what was read.") from error
        raise


def discard(name: str, upload_id: str) -> None:
    """Remove an upload with its parts, and the object that it became. What is not there changes nothing."""
    try:
        if upload_id:
            _client().abort_multipart_upload(**_at(name), UploadId=upload_id)
    except ClientError as error:
        if _code(error) not in _GONE:
            raise
    default_storage.delete(name)


def uploads_under(folder: str, *, before: datetime) -> Iterator[tuple[str, str]]:
    """Yield name and id of the multipart uploads below a folder that were begun before then."""
    bucket, prefix = default_storage.bucket_name, _key(folder) + "/"  # type: ignore[attr-defined]
    for page in _client().get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
        for one in page.get("Uploads", ()):
            if one["Initiated"] <= before:
                yield f"{folder}/{one['Key'].removeprefix(prefix)}", one["UploadId"]


def objects_under(folder: str, *, before: datetime) -> Iterator[str]:
    """Yield the names of the objects right below a folder that were made before then."""
    for name in default_storage.listdir(folder)[1]:
        if default_storage.get_modified_time(f"{folder}/{name}") <= before:
            yield f"{folder}/{name}"


class _Object(io.RawIOBase):
    """An object of the bucket as a file: one request at a time streams on from where it is read."""

    def __init__(self, name: str, facts: Stored) -> None:
        self._name = name
        self._facts = facts
        self._position = 0
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._facts.length}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        if base + offset != self._position:
            self._hang_up()
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        size = min(len(buffer), self._facts.length - self._position)
        if size <= 0:
            return 0
        block = self._read(size)
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def close(self) -> None:
        self._hang_up()
        super().close()

    def _read(self, size: int) -> bytes:
        for tries in range(1, _READ_TRIES + 1):
            try:
                self._body = self._body or self._ask()
                block = bytes(self._body.read(size))
                if block:
                    return block
            except BotoCoreError:
                # The connection was cut: it goes on from here by another one.
                if tries == _READ_TRIES:
                    raise
            self._hang_up()
        raise EOFError(f"{self._name} ends at byte {self._position}, not {self._facts.length}.")

    def _ask(self) -> Any:
        try:
            answer = _client().get_object(**_at(self._name), Range=f"bytes={self._position}-", IfMatch=self._facts.etag)
        except ClientError as error:
            if _code(error) in _GONE | _CHANGED:
                raise BlobNotFoundError(f"{self._name} is no longer what it was.") from error
            raise
        return answer["Body"]

    def _hang_up(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


def _client() -> Any:
    if not is_bucket():
        raise DirectUploadRefusedError("The storage is no bucket any more.")
    return default_storage.connection.meta.client  # type: ignore[attr-defined]


def _at(name: str) -> dict[str, str]:
    return {"Bucket": default_storage.bucket_name, "Key": _key(name)}  # type: ignore[attr-defined]


def _key(name: str) -> str:
    """Return what the bucket calls it: below the folder that the storage was given, if any."""
    return posixpath.join(default_storage.location, name).lstrip("/")  # type: ignore[attr-defined]


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _gone(error: ClientError, name: str) -> Exception:
    is_gone = _code(error) in _GONE
    return DirectUploadGoneError(f"The bucket has no upload {name} any more.") if is_gone else cast(Exception, error)
