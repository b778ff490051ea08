from clients.fleet.behaviour import ANY_RELEASE, Behaviour, SimulatedHooks
from clients.fleet.draws import draw
from clients.vehicle.hooks import StagedImage, StagedRelease, Verdict
from tests.factories import NOON

RELEASES = {"autumn 2": ("sup/gw-2",)}


def image(hardware_id="gw-a", target_name="sup/gw-2"):
    return StagedImage("E1", hardware_id, target_name, "gw", "2", "b", "/nowhere")


def staged(*images):
    return StagedRelease("attempt", "campaign", "autumn 2", images or (image(),))


def hooks(vehicle_id="V1", clock=lambda: NOON, **behaviour):
    return SimulatedHooks(
        vehicle_id, seed=1, behaviours={"autumn 2": Behaviour(**behaviour)}, clock=clock, releases=RELEASES
    )


def test_a_draw_depends_on_its_arguments_alone_and_is_spread_evenly():
    assert draw(1, "V1", "x") == draw(1, "V1", "x") != draw(2, "V1", "x")

    shares = [draw(7, f"V{number}", "x") for number in range(2000)]
    assert 0.45 < sum(shares) / len(shares) < 0.55
    assert 0.08 < sum(share < 0.1 for share in shares) / len(shares) < 0.12


def test_a_vehicle_with_failing_hardware_fails_its_health_check_and_another_does_not():
    sick = hooks(failing_hardware=("gw-b",))

    assert sick.health(staged(image("gw-b"))).verdict is Verdict.NO
    assert sick.health(staged(image("gw-a"))).verdict is Verdict.YES


def test_a_share_of_vehicles_fails_and_the_same_ones_each_time():
    def failing():
        return {
            number
            for number in range(300)
            if hooks(f"V{number}", health_failure=0.2).health(staged()).verdict is Verdict.NO
        }

    assert 40 <= len(failing()) <= 80
    assert failing() == failing()


def test_an_installation_fails_only_for_the_release_that_is_bad():
    sick = hooks(install_failure=1.0)

    assert sick.install(image()).verdict is Verdict.NO
    assert sick.install(image(target_name="sup/gw-1")).verdict is Verdict.YES


def test_a_silent_vehicle_says_so_to_the_simulator():
    silent = hooks(silence=1.0)

    assert silent.health(staged()).verdict is Verdict.NOT_YET
    assert silent.is_silent


def test_a_slow_vehicle_is_healthy_once_its_time_is_over():
    moments = iter([0, 0, 0, 29, 29, 30, 30])
    slow = hooks(slow=1.0, slow_seconds=30, clock=lambda: NOON.replace(second=next(moments)))

    verdicts = [slow.health(staged()).verdict for _ in range(3)]

    assert verdicts == [Verdict.NOT_YET, Verdict.NOT_YET, Verdict.YES]


def test_offline_time_is_drawn_for_each_contact():
    offline = SimulatedHooks(
        "V1",
        seed=1,
        behaviours={ANY_RELEASE: Behaviour(offline=0.5, offline_seconds=60)},
        clock=lambda: NOON,
        releases={},
    )

    assert {offline.offline_seconds(contact) for contact in range(30)} == {0.0, 60}
