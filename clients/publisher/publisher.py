"""Everything a release engineer or a pipeline does, as one object: keys here, server there."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from clients.publisher.api import Api
from clients.publisher.campaigns import Campaigns
from clients.publisher.direct import DirectUploads
from clients.publisher.keystore import KeyStore
from clients.publisher.packages import Packages
from clients.publisher.releases import Releases
from clients.publisher.trust import Trust


def system_time() -> datetime:
    return datetime.now(tz=UTC)


class Publisher:
    """One tenant's offline keys and its operator API, brought together.

    `client` comes from `api.connect`, with any transport; `clock` dates what is signed; `bucket` makes the client for
    addresses in the server's bucket.
    """

    def __init__(
        self,
        client: httpx.Client,
        keys: KeyStore,
        *,
        clock: Callable[[], datetime] = system_time,
        sleep: Callable[[float], None] = time.sleep,
        bucket: Callable[[], httpx.Client] | None = None,
    ) -> None:
        self.api = Api(client, sleep=sleep)
        self.trust = Trust(self.api, keys, clock=clock)
        self.packages = Packages(self.api, self.trust, DirectUploads(self.api, bucket))
        self.releases = Releases(self.api)
        self.campaigns = Campaigns(self.api, self.releases, sleep=sleep)
