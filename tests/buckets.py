"""A real S3 API on loopback (moto's server), and the storage that uses it."""

import subprocess
import sys
import uuid

import httpx

from otaserver import storage_urls
from tests.processes import environment, free_port, wait_for

_RUN = "import sys; from moto.server import main; main(sys.argv[1:])"


class BucketServer:
    """Ends with `stop`; each test asks for a bucket of its own."""

    def __init__(self):
        self.address = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-c", _RUN, "-H", "127.0.0.1", "-p", self.address.rpartition(":")[2]]
        # Amazon's parts have 5 MiB at least; what is tested is the same with small ones.
        small_parts = environment("", S3_UPLOAD_PART_MIN_SIZE=2048)
        self.process = subprocess.Popen(command, env=small_parts, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: httpx.get(f"{self.address}/moto-api/").status_code, seconds=60, what="a bucket server")
        # Half a second of importing that is no other test's affair.
        import boto3

        self.client = boto3.client("s3", endpoint_url=self.address, region_name="eu-central-1", **KEYS)

    def new_bucket(self):
        name = f"packages-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        return name

    def storage(self, bucket, **options):
        """The entry of STORAGES that production would have for this bucket."""
        given = {"region_name": "eu-central-1", "endpoint_url": self.address, "location": "ota"} | KEYS_BY_URL | options
        return storage_urls.storage_of(f"s3://{bucket}?" + "&".join(f"{name}={text}" for name, text in given.items()))

    def stop(self):
        self.process.terminate()
        self.process.wait()


KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
KEYS_BY_URL = {"access_key": "key", "secret_key": "secret"}
