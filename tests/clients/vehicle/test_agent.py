def test_a_vehicle_installs_a_release_on_all_its_ecus(vehicle, oem):
    new = oem.publish_release("2.0", counter=2)
    attempt = oem.order(new)

    result = vehicle.run()

    assert (result.status, result.detail) == ("installed", "fleet 2.0")
    assert vehicle.runs() == new
    assert oem.installed() == new
    assert oem.finished(attempt) == [("success", "")]
    assert oem.phases(attempt) == ["downloading", "downloaded", "installing", "installed", "finished"]
    assert oem.manifests[-1]["report"] == {"attempt": attempt, "outcome": "success", "code": "", "message": ""}
    assert oem.problems == []


def test_an_idle_cycle_is_one_conditional_request(vehicle, oem):
    result = vehicle.run()

    assert result.status == "idle"
    assert 540 <= result.next_seconds <= 660
    assert oem.paths() == ["/director/metadata/timestamp.json"]
