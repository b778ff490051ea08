"""A worker that is killed in the middle of delivering: nothing is lost, and the order of each campaign is kept."""

import json
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection

from otaserver import clock
from otaserver.audit import operations as audit
from otaserver.events import delivering, operations
from otaserver.events.models import Delivery, Event
from otaserver.events.operations.deliveries import LEASE
from otaserver.events.states import DeliveryState
from tests.events.conftest import make_endpoint
from tests.factories import NOON, make_tenant
from tests.processes import ROOT, environment, wait_for

# What a worker's thread does, in a process that can be killed without its knowing.
WORKER = """
import json, os, sys
from datetime import datetime
from ipaddress import ip_network
given = json.loads(sys.argv[1])
os.environ["DJANGO_SETTINGS_MODULE"] = "otaserver.settings"
from otaserver import settings
settings.DATABASES["default"] = given["database"]
settings.SECRET_KEY, settings.WEBHOOK_NETWORKS = given["key"], [ip_network("127.0.0.0/8")]
import django
django.setup()
from otaserver import clock, metrics
from otaserver.events import delivering
metrics.make_folder()
with clock.using(lambda: datetime.fromisoformat(given["at"])):
    delivering.deliver(given["endpoint"])
"""
CAMPAIGNS = ("autumn", "winter")
STEPS = ("campaign.started", "wave.opened", "wave.passed", "campaign.completed")


def happen(tenant):
    """What happens to two campaigns, one beside the other."""
    for action in STEPS:
        for name in CAMPAIGNS:
            audit.record(action, name, tenant=tenant, by="engine", at=NOON)
    operations.publish(tenant, at=NOON)


def worker(endpoint, folder):
    kept = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    given = {
        "database": {name: connection.settings_dict[name] for name in kept},
        "key": django_settings.SECRET_KEY,
        "endpoint": endpoint.pk,
        "at": NOON.isoformat(),
    }
    command = [sys.executable, "-c", WORKER, json.dumps(given, default=str)]
    return subprocess.Popen(command, cwd=ROOT, env=environment(folder))


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_the_middle_loses_nothing_and_keeps_the_order(listener, tmp_path):
    tenant = make_tenant("acme")
    endpoint, _ = make_endpoint(tenant, listener.url)
    happen(tenant)
    listener.gate, listener.held_after = threading.Event(), 3
    process = worker(endpoint, tmp_path)
    try:
        wait_for(lambda: len(listener.seen) == 4, seconds=120, what="a request in the middle")
    finally:
        process.kill()
        process.wait()
        listener.gate.set()
    delivered = Delivery.objects.filter(state=DeliveryState.DELIVERED).count()

    with clock.using(lambda: NOON + LEASE + timedelta(seconds=1)):
        delivering.deliver(endpoint.pk)

    events = {str(event.public_id): event for event in Event.objects.all()}
    assert delivered == 3
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.DELIVERED}
    # At least once: the one that was under way came again, with the same id.
    assert listener.ids[3] == listener.ids[4]
    assert len(listener.ids) == len(events) + 1
    first = list(dict.fromkeys(listener.ids))
    assert set(first) == set(events)
    for name in CAMPAIGNS:
        told = [events[id_].type for id_ in first if events[id_].data["object"]["name"] == name]
        assert told == list(STEPS)
