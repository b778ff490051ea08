import time

import pytest

from clients.vehicle.hooks import ConsentQuestion, ExecutableHooks, HookResult, StagedImage, StagedRelease, Verdict

IMAGE = StagedImage("P1", "gateway", "supplier/fw-2.0", "fw", "2.0", "b", "/state/ecus/P1/b/image")
RELEASE = StagedRelease("attempt", "spring", "fleet 2.0", (IMAGE,))
QUESTION = ConsentQuestion("attempt", "fleet 2.0", {}, "", "en")


@pytest.fixture
def program(tmp_path):
    def write(script):
        path = tmp_path / "hook"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.mark.parametrize(("status", "verdict"), [(0, Verdict.YES), (75, Verdict.NOT_YET), (1, Verdict.NO)])
def test_the_exit_status_is_the_verdict(program, status, verdict):
    hooks = ExecutableHooks({"health": program(f"exit {status}")})

    assert hooks.health(RELEASE).verdict is verdict


def test_a_program_reads_json_and_may_say_what_it_measured(program, tmp_path):
    script = f"""cat > {tmp_path}/asked; echo '{{"message": "low", "measured": {{"battery": 30}}}}'; exit 75"""
    hooks = ExecutableHooks({"preconditions": program(script)})

    result = hooks.preconditions([{"name": "battery", "operator": ">=", "value": 50}])

    assert result == HookResult(Verdict.NOT_YET, "low", {"battery": 30})
    assert (tmp_path / "asked").read_text() == '{"conditions": [{"name": "battery", "operator": ">=", "value": 50}]}'


@pytest.mark.parametrize("output", ["not json", "[]", '{"measured": 7}'])
def test_what_a_program_prints_beside_json_does_not_matter(program, output):
    hooks = ExecutableHooks({"install": program(f"echo '{output}'")})

    assert hooks.install(IMAGE) == HookResult()


def test_a_program_that_runs_out_of_time_says_no_or_not_yet(program):
    path = program("exec sleep 5")
    hooks = ExecutableHooks({"health": path, "consent": path}, timeout_seconds=0.1)

    assert hooks.health(RELEASE).verdict is Verdict.NO
    assert hooks.consent(QUESTION).verdict is Verdict.NOT_YET


def test_a_program_that_runs_out_of_time_is_killed_with_what_it_has_started(program, tmp_path):
    late = tmp_path / "late"
    path = program(f"(sleep 0.6; touch {late}) & sleep 5")
    hooks = ExecutableHooks({"install": path}, timeout_seconds=0.1)

    assert hooks.install(IMAGE).verdict is Verdict.NO
    time.sleep(0.8)

    assert not late.exists()


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", '[1, {"x": NaN}]'])
def test_a_measured_value_that_json_cannot_say_is_dropped_and_named(program, value):
    output = f'{{"message": "low", "measured": {{"oil": {value}, "battery": 30}}}}'
    hooks = ExecutableHooks({"preconditions": program(f"echo '{output}'; exit 75")})

    result = hooks.preconditions([])

    assert result == HookResult(Verdict.NOT_YET, "low (measured is not JSON: oil)", {"battery": 30})


def test_a_program_that_prints_json_nested_without_end_says_what_its_status_says(program):
    hooks = ExecutableHooks({"install": program("head -c 200000 /dev/zero | tr '\\0' '['")})

    assert hooks.install(IMAGE) == HookResult()


def test_a_program_that_is_missing_says_no(tmp_path):
    hooks = ExecutableHooks({"install": tmp_path / "nowhere"})

    assert hooks.install(IMAGE).verdict is Verdict.NO


def test_without_programs_nobody_consents():
    hooks = ExecutableHooks({})

    assert hooks.install(IMAGE).verdict is Verdict.YES
    assert hooks.health(RELEASE).verdict is Verdict.YES
    assert hooks.preconditions([{}]).verdict is Verdict.NOT_YET
    assert hooks.consent(QUESTION).verdict is Verdict.NOT_YET
