"""Every page of the console in Chinese: nothing is left in English but names, identifiers and code."""

import math
import re
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.utils import translation

from otaserver.campaigns.models import Decision
from otaserver.campaigns.rules import explanations, gate, suggestions
from otaserver.console import sentences
from otaserver.people import operations
from otaserver.people.rules import Grantor
from otaserver.tenants.states import Permission, Role
from tests.console.conftest import make_member
from tests.console.test_matrix import ACTIONS, FOR_ALL, MODELS, NEEDS, OWN_PAGES, address, things_of
from tests.factories import NOON

pytestmark = pytest.mark.any_database
WORD = re.compile(r"[A-Za-z]{3,}")
# What is no text of ours: names that this test's tenant gives, identifiers, protocols and units; and code, which is
# anything with a point, slash, underscore, digit or the like inside.
NAMES = re.compile(
    r"\b(mia|north|factory|engine|brake|supplier|rollout|of|freeze|gateway|radio|vin|group|holidays|ota|server|ecu|ddi|sha"
    r"|utc|csv|json|lines|swu|rauc|mender|uptane|aktualizr|pem|english|targets|tuf|ctrl|post|get|webhook|python|clients"
    r"|publisher|trust|init|refresh|parked|silent|unknown|as|viewer|member|city|not)\b",
    re.IGNORECASE | re.ASCII,
)
CODE = re.compile(r"[\w@:+-]*[./_=\d{}@:-][\w@:./_=+-]*", re.ASCII)
SKIPPED = {"script", "style", "code", "pre", "template", "svg"}
SHOWN = ("title", "placeholder", "aria-label", "alt")


class Texts(HTMLParser):
    """What a page says to whoever sees or hears it."""

    def __init__(self):
        super().__init__()
        self.found, self._open = [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        is_icon = "material-symbols-outlined" in (attrs.get("class") or "")
        if self._open or tag in SKIPPED or is_icon:
            self._open += [tag] if tag not in ("br", "input", "img", "path", "meta", "link", "hr") else []
        else:
            self.found += [attrs[name] for name in SHOWN if attrs.get(name)]

    def handle_endtag(self, tag):
        if self._open and tag == self._open[-1]:
            self._open.pop()

    def handle_data(self, data):
        if not self._open and data.strip():
            self.found.append(" ".join(data.split()))


def english_in(text):
    return WORD.findall(NAMES.sub(" ", CODE.sub(" ", text)))


@pytest.fixture
def things(tenant):
    return things_of(tenant)


@pytest.fixture
def reader(tenant, things):
    user = make_member(tenant, Role.ADMINISTRATOR)
    operations.invite(tenant, role=Role.VIEWER, by=Grantor("mia", frozenset(Permission)), at=NOON)
    client = Client(headers={"Accept-Language": "zh-hans"})
    client.force_login(user)
    return client


def paths_of(things):
    yield from (things.path_of(page) for page in {**OWN_PAGES, **ACTIONS}.values())
    for model in MODELS.values():
        pk = model.objects.order_by("-pk").values_list("pk", flat=True)[0]
        yield from (address(model, page, pk) for page in ("changelist", "change"))
    for name in (*FOR_ALL, *NEEDS):
        yield "/console/" + PATHS.get(name, f"{name.partition(':')[2]}/")
    yield from (f"/console/campaigns/new/{step}/" for step in ("whom", "waves", "gate", "when"))


PATHS = {
    "people:enrolment": "profile/second-factor/",
    "people:sign-in": "login/",
    "people:second-factor": "login/second-factor/",
    "people:sign-out": "logout/",
    "people:sign-on": "login/sign-on/",
    "people:sign-on-callback": "login/sign-on/callback/",
    "console:index": "",
    "console:search": "search/?q=m",
    "console:password_change_done": "password_change/done/",
}


def test_no_page_is_left_in_english(reader, things):
    # What a row is called in the records is its name; the page's own title is translated.
    called = {str(model.objects.order_by("-pk")[0]) for model in MODELS.values()}
    left, opened = {}, 0
    for path in paths_of(things):
        answer = reader.get(path)
        if answer.status_code != 200 or "html" not in answer["Content-Type"]:
            continue
        opened += 1
        texts = Texts()
        texts.feed(answer.content.decode())
        for text in texts.found:
            if text not in called and english_in(text):
                left.setdefault(text, path)

    assert left == {}, "\n".join(f"LEFT {text} @ {path}" for text, path in left.items())
    assert opened > 60


def test_each_reason_of_the_table_of_explanations_is_translated():
    constants = [each for each in vars(explanations).values() if isinstance(each, explanations.Remedy)]
    tables = [row for each in vars(explanations).values() if isinstance(each, dict) for row in each.values()]
    rows = [*constants, *(row for row in tables if isinstance(row, explanations.Remedy))]
    said = {text for row in rows for text in (row.sentence, row.rule, row.remedy) if text}

    with translation.override("zh-hans"):
        left = sorted(text for text in said if english_in(sentences.of(text)))

    assert left == []
    assert len(said) > 80


@pytest.mark.parametrize("fleet", [1, 100, 100_000])
def test_each_reason_of_suggested_waves_is_translated(fleet):
    test = gate.GateTest(math.log(4), math.log(0.98 / 0.995), math.log(95), math.log(0.05), math.log(1000))
    reasons = suggestions.suggest(test, fleet=fleet, failure_budget=5, growth=4).reasons

    with translation.override("zh-hans"):
        left = [each for each in map(sentences.of, reasons) if english_in(each.replace("Wilson", ""))]

    assert (left, len(reasons) > 1) == ([], True)


@pytest.mark.parametrize(
    ("sentence", "chinese"),
    [
        ("Wave 2 is open to 1 vehicle.", "批次 2 已向 1 辆车开放。"),
        ("5 vehicles need hands: see the workshop list.", "5 辆车需要人工处理：见维修列表。"),  # noqa: RUF001
        ("summer has approved already.", "summer has approved already."),
        ("every 300 s", "每 300 秒"),
        (
            "The vehicle waits, and the campaign was halted: the evidence says that hardware a+b fails too often.",
            "车辆在等待，活动已被停止：证据表明硬件 a+b 失败过于频繁。",  # noqa: RUF001
        ),
        # A name that is a word as well is a name.
        ("bad was halted: Smoke in two cars.", "bad 已被停止：Smoke in two cars."),  # noqa: RUF001
        ("Smoke in two cars.", "Smoke in two cars."),
        ("", ""),
    ],
)
def test_a_sentence_keeps_its_values_and_what_is_nobodys_of_ours_stays_as_it_is(sentence, chinese):
    with translation.override("zh-hans"):
        assert sentences.of(sentence) == chinese
    with translation.override("en"):
        assert sentences.of(sentence) == sentence


def test_what_is_stored_stays_in_english(reader, things):
    page = reader.get(f"/console/campaigns/{things.campaign.pk}/").content.decode()

    assert "批次 1 已向 3 辆车开放。" in page
    assert Decision.objects.get().sentence == "Wave 1 is open to 3 vehicles."
