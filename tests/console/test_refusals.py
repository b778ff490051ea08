"""Failures and refusals in the viewer's language: every code there is, found in the catalogues, none listed here."""

import ast
import inspect
import re

import pytest
from django.test import Client
from django.urls import get_resolver
from django.utils import translation

from otaserver import clock
from otaserver.campaigns.models import WorkshopCase
from otaserver.campaigns.rules import failures
from otaserver.console import failure_words, refusals
from otaserver.errors import OtaError
from otaserver.fleet import arrival_rules
from otaserver.fleet.errors import GroupExistsError
from otaserver.tenants.states import Role
from tests.console.conftest import make_campaign, make_member
from tests.console.test_languages import english_in
from tests.factories import make_group

pytestmark = pytest.mark.any_database
CHINESE = re.compile("[\u4e00-\u9fff]")
# Refuse on a terminal alone; whether they are imported here depends on what was tested before.
OF_COMMANDS = ("otaserver.recovery.", "otaserver.embedded.", "otaserver.demo.")


def all_errors(of=OtaError):
    for error in of.__subclasses__():
        yield error
        yield from all_errors(error)


def refusal_codes():
    # All that can refuse is imported by what is served.
    assert get_resolver().url_patterns
    lines = ast.walk(ast.parse(inspect.getsource(arrival_rules)))
    calls = [each for each in lines if isinstance(each, ast.Call) and getattr(each.func, "id", "") == "_BadError"]
    of_imports = {each.args[0].value for each in calls if isinstance(each.args[0], ast.Constant)}
    return {error.code for error in all_errors() if not error.__module__.startswith(OF_COMMANDS)} | of_imports


def test_each_code_of_a_refusal_says_something_in_chinese():
    codes = refusal_codes()

    with translation.override("zh-hans"):
        left = sorted(code for code in codes if not CHINESE.search(refusals.told(code, "")))

    assert left == []
    assert len(codes) > 240


def test_each_failure_of_the_catalogue_is_described_in_chinese():
    with translation.override("zh-hans"):
        told = {
            text: translation.gettext(text)
            for each in failures.CATALOGUE.values()
            for text in (each.meaning, each.advice)
        }

    assert (
        sorted(
            text
            for text, chinese in told.items()
            if not CHINESE.search(chinese) or english_in(chinese.replace("Director", ""))
        )
        == []
    )
    assert len(told) > 130


@pytest.mark.parametrize(
    ("sentence", "chinese"),
    [
        ("Tenant north has a group 'all' already.", "租户 north 已有分组 'all'。"),
        ("Smoke in two cars.", "已有同名的分组（Smoke in two cars.）"),  # noqa: RUF001
        ("", "已有同名的分组"),
    ],
)
def test_a_sentence_that_is_not_known_stays_beside_what_its_code_says(sentence, chinese):
    error = GroupExistsError(sentence)

    with translation.override("zh-hans"):
        assert refusals.of(error) == chinese
    with translation.override("en"):
        assert refusals.of(error) == sentence


def test_a_state_in_a_refusal_is_said_in_words_and_a_name_stays():
    with translation.override("zh-hans"):
        told = refusals.told("state.stale", "Campaign in_review_2 is no longer in_review.")

    assert told == "Campaign in_review_2 已不再是审查中。"


def test_a_workshop_case_says_what_its_code_means_and_what_the_vehicle_said_itself(tenant):
    found = failures.of("rollback_failed")
    case = WorkshopCase(code=found.code, reason=f"{found.meaning} (install_failed: E7 bad) {found.advice}")

    with translation.override("zh-hans"):
        assert failure_words.reason_of(case) == "车辆回滚失败。 (install_failed: E7 bad) 人工恢复。"
    with translation.override("en"):
        assert failure_words.reason_of(case) == case.reason
    assert failure_words.reason_of(WorkshopCase(code="own", reason="Smoke.")) == "Smoke."


def test_what_a_filter_lacks_is_said_in_words():
    said = "Line 1, column 9: '=' is not expected here, but a text in quotes or a number or True or False."

    with translation.override("zh-hans"):
        told = refusals.told("filter.syntax", said)

    assert told == "第 1 行，第 9 列：此处不应是 '='，而应是 引号中的文本或数或True or False。"  # noqa: RUF001


@pytest.fixture
def reader(tenant):
    client = Client(headers={"Accept-Language": "zh-hans"})
    client.force_login(make_member(tenant, Role.ADMINISTRATOR))
    return client


def test_a_form_that_is_refused_says_so_in_chinese_and_changes_nothing(tenant, reader):
    make_group(tenant, name="all")

    answer = reader.post("/console/groups/new/?tenant=north", {"name": "all", "filter": 'vehicle_id = "x"'})

    assert answer.status_code == 409
    assert "租户 north 已有分组" in answer.content.decode()
    assert tenant.groups.count() == 1


def test_a_filter_that_is_refused_says_so_in_chinese(tenant, reader):
    page = reader.get(
        "/console/groups/new/?tenant=north", {"filter": "zzz = 1"}, headers={"X-Requested-With": "fragment"}
    )

    assert ">第 1 行，第 1 列：没有字段 zzz。<" in page.content.decode()  # noqa: RUF001


def test_a_code_stands_beside_what_it_means_on_the_overview_and_in_the_control_room(tenant, reader):
    campaign = make_campaign(tenant)
    campaign.assignments.filter(state="failed").update(code="health_failed", settled_at=clock.now())

    for path in ("", f"campaigns/{campaign.pk}/"):
        page = reader.get(f"/console/{path}").content.decode()
        assert '<code>health_failed</code> <span class="c-there">新软件运行后不健康，已退回。</span>' in page  # noqa: RUF001
