import pytest

from otaserver.embedded.rules import configure_nginx, host_names, restart_delay


def test_restarts_come_later_with_every_death_in_a_row_up_to_half_a_minute():
    assert [restart_delay(deaths) for deaths in range(1, 10)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert restart_delay(10_000) == 30


EDITED = """server {
    listen 443 ssl;  # edit
}
upstream {
        server 127.0.0.1:8000 max_fails=0;  # edit
        server 127.0.0.1:8001 max_fails=0;  # edit
}
"""


def test_nginx_listens_where_it_is_told_and_calls_the_server_where_that_is():
    edited = configure_nginx(EDITED, host="127.0.0.1", port=8443, web_ports=[9000, 9002])

    assert edited == EDITED.replace("443 ssl", "127.0.0.1:8443 ssl").replace(":8000", ":9000").replace(":8001", ":9002")


@pytest.mark.parametrize("text", ["", EDITED * 2, EDITED.replace("listen 443 ssl;", "")])
def test_a_configuration_without_exactly_the_lines_to_edit_is_refused(text):
    with pytest.raises(ValueError, match="one is needed"):
        configure_nginx(text, host="127.0.0.1", port=8443, web_ports=[9000, 9002])


@pytest.mark.parametrize(
    ("allowed", "more"),
    [
        ([], set()),
        (["*", "testserver"], set()),
        (["ota.example.com", ".example.org"], {"ota.example.com", "*.example.org"}),
    ],
)
def test_a_certificate_is_for_the_names_that_the_server_answers_to(allowed, more):
    assert host_names(allowed) == {"localhost", "127.0.0.1", "[::1]"} | more
