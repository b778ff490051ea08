import pytest
from django.db import transaction

from otaserver import clock
from tests.clients.vehicle.test_real_server import Road
from tests.vehicle_api.conftest import Clock


class Backup:
    """The database as it was: what is outside of it stays as it is, and so do vehicles."""

    def __init__(self):
        self._point = transaction.savepoint()

    def restore(self):
        transaction.savepoint_rollback(self._point)


@pytest.fixture
def road(db, tmp_path):
    """One tenant with two releases, and one car on the first that has called."""
    source = Clock()
    with clock.using(source):
        road = Road(tmp_path, source)
        assert road.agent.run_once().status == "idle"
        yield road
