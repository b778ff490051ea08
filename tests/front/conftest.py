import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import override_settings

from otaserver import clock
from otaserver.front import Front, changes
from tests.factories import NOON
from tests.front.world import PROXY, Passed, World, another, ask, make_front, make_world
from tests.vehicle_api.conftest import Clock


@contextmanager
def open_connection() -> Iterator[None]:
    """As in Django's own client: the test's transaction stays open across its requests."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(scope="module")
def _made(kept: Any) -> tuple[Path, World, Front]:
    """A world in which each vehicle has polled until its answer was kept, made once for all of a module."""
    made = []

    def make(folder: Path) -> None:
        with clock.using(lambda: NOON), override_settings(TRUSTED_PROXIES=[PROXY]), open_connection():
            world = make_world()
            front = make_front(WSGIHandler())
            for name in list(world.polls()) * 3:
                world.hear(name, ask(front, world.polls()[name]))
                front.changes.read()
            made.extend([world, front])

    folder = Path(kept(make))
    world, front = made
    return folder, world, front


@pytest.fixture
def server_clock() -> Iterator[Clock]:
    source = Clock()
    with clock.using(source):
        yield source


@pytest.fixture
def world(
    _made: tuple[Path, World, Front],
    db: None,
    settings: Any,
    tmp_path: Path,
    server_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    folder, world, _ = _made
    # Whoever reads does so when the test says, however slow the machine is.
    monkeypatch.setattr(changes, "CURRENT_SECONDS", 1e9)
    shutil.copytree(folder / "var", tmp_path / "var", dirs_exist_ok=True)
    settings.TRUSTED_PROXIES = [PROXY]
    mine = copy.copy(world)
    mine.trust, mine.etags = copy.copy(world.trust), dict(world.etags)
    mine.trust.tenant.refresh_from_db()
    with open_connection():
        yield mine


@pytest.fixture
def django() -> Passed:
    """The server without a front; what the front of the same test passes on is counted."""
    return Passed(WSGIHandler())


@pytest.fixture
def front(world: World, django: Passed) -> Front:
    """A front that has answered nobody yet."""
    return make_front(django)


@pytest.fixture
def warm(_made: tuple[Path, World, Front], world: World, django: Passed) -> Front:
    """A front that has kept the answer to each vehicle's poll."""
    return another(_made[2], django)
