import subprocess
import sys

import pytest

from otaserver.embedded import janitor
from tests.processes import descendants, is_running, wait_for


def sleeper(code="import time; time.sleep(600)"):
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)


STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
WITH_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"


def test_groups_that_have_ended_are_not_followed_on():
    assert janitor.follow(["+5\n", "+6\n", "-5\n", "+7\n"]) == {6, 7}


@pytest.mark.parametrize("code", [STUBBORN, WITH_CHILD], ids=["stubborn", "with a child"])
def test_a_group_ends_even_if_it_does_not_want_to_or_has_children(code):
    process = sleeper(code)
    wait_for(lambda: code == STUBBORN or descendants(process.pid))
    group = descendants(process.pid) | {process.pid}

    janitor.end_groups({process.pid}, grace_seconds=0.5)

    process.wait(5)
    assert [pid for pid in group if is_running(pid)] == []


def test_a_group_that_is_gone_is_no_error():
    process = sleeper("pass")
    process.wait()

    janitor.end_groups({process.pid}, grace_seconds=0.5)


def test_the_end_of_its_input_ends_what_it_was_told_of():
    process, spared = sleeper(), sleeper()
    cleaner = subprocess.Popen([sys.executable, "-I", "-S", janitor.__file__], stdin=subprocess.PIPE, text=True)

    cleaner.communicate(f"+{process.pid}\n+{spared.pid}\n-{spared.pid}\n", timeout=10)

    assert process.wait(5) == -15
    assert is_running(spared.pid)
    spared.kill()
    spared.wait()
