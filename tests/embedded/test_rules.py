from otaserver.embedded.rules import restart_delay


def test_restarts_come_later_with_every_death_in_a_row_up_to_half_a_minute():
    assert [restart_delay(deaths) for deaths in range(1, 10)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert restart_delay(10_000) == 30
