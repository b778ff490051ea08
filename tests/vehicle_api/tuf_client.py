"""An independent client: python-tuf's `Updater`, which knows nothing of this server, over Django's test client."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.test import Client
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

MAX_REDIRECTS = 3


class TestClientFetcher(FetcherInterface):
    """Fetches from the application itself; `requests` lists every path and status."""

    __test__ = False

    def __init__(self, token: str | None = None) -> None:
        self._client = Client(headers={"Authorization": f"Bearer {token}"} if token else {})
        self.requests: list[tuple[str, int]] = []

    def _fetch(self, url: str) -> Iterator[bytes]:
        for _ in range(MAX_REDIRECTS):
            response = self._client.get(url)
            self.requests.append((url.partition("?")[0], response.status_code))
            if response.status_code != 302:
                break
            url = response["Location"].removeprefix("http://testserver")
        if response.status_code != 200:
            raise DownloadHTTPError(f"{url}: {response.status_code}", response.status_code)
        yield from response if response.streaming else [response.content]


def make_updater(folder: Path, base: str, *, root: bytes | None, fetcher: TestClientFetcher, at: datetime) -> Updater:
    """A client of the repository at `base` that trusts `root` (None: what it has stored before)."""
    for name in ("metadata", "targets"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    updater = Updater(
        metadata_dir=str(folder / "metadata"),
        metadata_base_url=f"{base}/metadata/",
        target_dir=str(folder / "targets"),
        target_base_url=f"{base}/targets/",
        fetcher=fetcher,
        bootstrap=root,
    )
    # The one thing it does not take from its caller is the time.
    updater._trusted_set.reference_time = at
    return updater
