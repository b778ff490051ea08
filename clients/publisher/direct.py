"""A package's bytes straight into the server's bucket, in parts, several at a time.

Which parts have arrived the bucket knows: whatever was cut, the next round sends what is missing. The addresses of the
parts are given out by the server and good for a while; the token is shown to the server alone.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from clients.publisher.api import TIMEOUT, TRIES, Api
from clients.publisher.errors import ServerRefusalError, UnreachableError
from clients.publisher.files import blocks

AT_A_TIME = 4
# Parts of one round: as many addresses are asked for at a time.
PARTS_IN_A_ROUND = 16
POLL_SECONDS = 1.0
# The server reads gigabytes again; where it does not come to that the command is to be repeated later.
MAX_POLLS = 3600

Progress = Callable[[int, int], None]  # bytes here, bytes in all


class DirectUploads:
    """Sends files past the server, where it offers that."""

    def __init__(self, api: Api, bucket: Callable[[], httpx.Client] | None = None) -> None:
        self._api = api
        self._bucket = bucket or (lambda: httpx.Client(timeout=TIMEOUT))

    def send(self, package: Mapping[str, Any], path: Path, progress: Progress) -> bool:
        """Send a package's file to the bucket; return whether the server has it now.

        It does not where the server offers no such way, or the bucket cannot be reached from here.

        Raises:
            UnreachableError: it began and did not come to its end; what has arrived stays.
            ServerRefusalError: the bytes that arrived are others than were declared.
        """
        standing = package.get("direct_upload", "not_offered")
        if standing == "not_offered":
            return False
        address = f"/packages/{package['id']}/direct-upload"
        if standing != "verifying":
            with self._bucket() as bucket:
                if not _Sending(self._api, bucket, address, path, progress).is_done():
                    return False
            self._api.post(f"{address}/complete")
        self._wait(package["id"])
        return True

    def _wait(self, package_id: int) -> None:
        """Wait until the server has read the bytes again."""
        for _ in range(MAX_POLLS):
            package = self._api.get(f"/packages/{package_id}")
            if package["state"] == "refused":
                raise ServerRefusalError(package["refused_reason"], code=package["refused_code"], status=422)
            if package["received"] == package["length"] or package["state"] != "uploading":
                return
            if package["direct_upload"] != "verifying":
                raise UnreachableError("The upload was given up; the same command begins it again.", code="upload.gone")
            self._api.sleep(POLL_SECONDS)
        raise UnreachableError("The server has not verified the upload yet; try again later.", code="upload.verifying")


@dataclass
class _Sending:
    """One file on its way: rounds of parts until none is missing."""

    api: Api
    bucket: httpx.Client
    address: str
    path: Path
    progress: Progress
    problem: str = "The bucket takes no part."

    def is_done(self) -> bool:
        """Return whether all parts are there; none is where the bucket cannot be reached, and then nothing is left."""
        failures, here = 0, 0
        while failures < TRIES:
            if failures:
                self.api.pause(failures)
            upload = self.api.post(self.address)
            missing = _missing(upload)
            here = upload["length"] - sum(missing.values())
            self.progress(here, upload["length"])
            if not missing or upload["state"] != "open":
                return True
            failures = 0 if self._sends_some(list(missing)[:PARTS_IN_A_ROUND], upload, here) else failures + 1
        if here:
            raise UnreachableError(self.problem, code="upload.bucket")
        self.api.post(f"{self.address}/abort")
        return False

    def _sends_some(self, numbers: Sequence[int], upload: Mapping[str, Any], here: int) -> bool:
        """Send some parts, several at a time; return whether any got there."""
        begin = here
        addresses = self.api.post(f"{self.address}/addresses", {"parts": numbers})["addresses"]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            for sent in as_completed([pool.submit(self._put, one, upload["part_bytes"]) for one in addresses]):
                here += sent.result()
                self.progress(here, upload["length"])
        return here > begin

    def _put(self, address: Mapping[str, Any], part_bytes: int) -> int:
        """Send one part, and return how many bytes got there."""
        length = int(address["length"])
        content = blocks(self.path, (address["number"] - 1) * part_bytes, length)
        try:
            answer = self.bucket.put(address["url"], content=content, headers={"Content-Length": str(length)})
        except httpx.HTTPError as error:
            self.problem = f"The bucket cannot be reached: {error or type(error).__name__}."
            return 0
        if answer.is_success:
            return length
        self.problem = f"The bucket refused part {address['number']} with {answer.status_code}: {answer.text[:300]}"
        return 0


def _missing(upload: Mapping[str, Any]) -> dict[int, int]:
    """Return the lengths of the parts that are missing, by number."""
    length, part_bytes = int(upload["length"]), int(upload["part_bytes"])
    here = {part["number"]: part["length"] for part in upload["parts"]}
    wanted = {index + 1: min(part_bytes, length - start) for index, start in enumerate(range(0, length, part_bytes))}
    return {number: size for number, size in wanted.items() if here.get(number) != size}
