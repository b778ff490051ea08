"""What an answer without a body leaves out."""

import pytest
from django.http import HttpResponse

from otaserver.bodiless import leave_out_headers

FOR_BROWSERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
OTHERS = {"ETag": '"a"', "Cache-Control": "private", "OTA-Polling-Seconds": "300"}


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_headers_for_browsers(status):
    answer = leave_out_headers(lambda _: HttpResponse(status=status, headers=FOR_BROWSERS | OTHERS))(None)

    assert {name: value for name, value in answer.items() if name != "Content-Type"} == OTHERS


@pytest.mark.parametrize("status", [200, 401, 404])
def test_one_that_may_have_a_body_keeps_them(status):
    answer = leave_out_headers(lambda _: HttpResponse(status=status, headers=FOR_BROWSERS))(None)

    assert {name: answer[name] for name in FOR_BROWSERS} == FOR_BROWSERS


@pytest.mark.django_db
@pytest.mark.any_database
def test_a_page_of_the_server_still_has_them(client):
    answer = client.get("/console/login/")

    assert {name: answer[name] for name in FOR_BROWSERS} == FOR_BROWSERS
