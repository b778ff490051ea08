"""What is counted while it happens. A leaf: whoever counts imports this; what is read when asked is in `exposition`."""

from pathlib import Path

from django.conf import settings

# The library looks into the environment as it is imported, and the settings write there where processes count together.
FOLDER = Path(settings.METRICS_DIR)

from prometheus_client import Counter, Histogram, values  # noqa: E402

from otaserver.count_files import CountFile  # noqa: E402

values.MmapedDict = CountFile  # type: ignore[attr-defined]

vehicle_requests = Counter(
    "ota_vehicle_requests", "Requests of vehicles, as they were answered.", ["protocol", "kind", "outcome"]
)
orders = Counter("ota_orders_given", "Orders that were given to vehicles, by the kind of their campaign.", ["kind"])
request_seconds = Histogram(
    "ota_request_seconds",
    "How long requests took, by who asks: vehicles, operators, people at the console.",
    ["audience"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
task_seconds = Histogram(
    "ota_task_seconds", "How long tasks took.", ["task"], buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300)
)
task_lag_seconds = Histogram(
    "ota_task_lag_seconds", "How long tasks waited for a worker.", ["task"], buckets=(0.05, 0.25, 1, 5, 15, 60, 300)
)
task_failures = Counter("ota_task_failures", "Tasks that ended in an exception.", ["task"])
events = Counter("ota_events", "Events that were made, by their type: halts among them.", ["type"])
deliveries = Counter("ota_webhook_tries", "Tries to deliver a webhook.", ["outcome"])
letters = Counter("ota_letters", "Tries to send a letter.", ["outcome"])


def make_folder() -> None:
    """Make the folder in which the processes of this host count together; each does so before it counts anything."""
    FOLDER.mkdir(parents=True, exist_ok=True)
