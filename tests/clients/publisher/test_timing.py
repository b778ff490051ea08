import pytest

from clients.publisher.errors import InputError
from clients.publisher.timing import read_precondition, read_window

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize(
    ("text", "weekdays", "start", "length"),
    [
        ("mon-fri 22:00-06:00", ["mon", "tue", "wed", "thu", "fri"], "22:00", 480),
        ("sat,sun 00:00-24:00", ["sat", "sun"], "00:00", 1440),
        ("fri-mon 01:30-02:00", ["mon", "fri", "sat", "sun"], "01:30", 30),
        ("Wed 00:01-24:00", ["wed"], "00:01", 1439),
    ],
)
def test_a_window_is_read_as_people_type_it(text, weekdays, start, length):
    assert read_window(text) == {"weekdays": weekdays, "start": start, "length_minutes": length}


@pytest.mark.parametrize(
    "text", ["", "mon", "mon 22-06", "funday 22:00-06:00", "mon- 25:00-26:00", "mon-x 01:00-02:00", "mon, 01:00-02:00"]
)
def test_what_is_no_window_is_refused_with_what_was_typed(text):
    with pytest.raises(InputError, match=r"--window|Weekdays"):
        read_window(text)


@pytest.mark.parametrize("times", ["22:00-22:00", "00:00-00:00", "22:00-24:01", "22:00-24:30"])
def test_a_window_that_ends_when_it_begins_is_a_slip_and_a_whole_day_is_written_otherwise(times):
    with pytest.raises(InputError, match=f"'mon {times}' does not") as refused:
        read_window(f"mon {times}")

    assert "A whole day is 'sat 00:00-24:00'." in refused.value.message


@pytest.mark.parametrize(
    ("text", "name", "operator", "value"),
    [
        ("state_of_charge>=40", "state_of_charge", ">=", 40),
        ("battery_12v > 12.4", "battery_12v", ">", 12.4),
        ("parked == true", "parked", "==", True),
        ("link_type == wifi", "link_type", "==", "wifi"),
        ("link_type in wifi, usb", "link_type", "in", ["wifi", "usb"]),
    ],
)
def test_a_precondition_is_read_as_people_type_it(text, name, operator, value):
    assert read_precondition(text) == {"name": name, "operator": operator, "value": value}


@pytest.mark.parametrize("text", ["", "parked", "parked =", "state of charge >= 4"])
def test_what_is_no_precondition_is_refused(text):
    with pytest.raises(InputError, match="--precondition"):
        read_precondition(text)
