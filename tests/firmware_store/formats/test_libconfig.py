from contextlib import suppress

import pytest

from firmware_store.formats import libconfig
from firmware_store.formats.errors import FormatMalformedError, FormatUnsupportedError
from otaserver.errors import RefusedError


def test_all_kinds_of_values_are_read():
    text = r"""
    # a comment
    software = { // another
        version = "1.0" "-rc1";    /* and * one
        more */
        sizes = [ 1, 0x1F, -3L ];
        ratio : 1.5e1;
        on = true; off = FALSE
        list = ( "a", ( 1, { x = 1; } ), );
        escaped = "a\"b\\c\x41\.";
        group : { empty = ""; };
    };
    """

    assert libconfig.parse(text) == {
        "software": {
            "version": "1.0-rc1",
            "sizes": [1, 31, -3],
            "ratio": 15.0,
            "on": True,
            "off": False,
            "list": ["a", [1, {"x": 1}]],
            "escaped": 'a"b\\cA\\.',
            "group": {"empty": ""},
        }
    }


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a =",
        "a = ;",
        "= 1;",
        "a = { b = 1;",
        "a = [ 1 2 ];",
        'a = "b',
        "a = 1; a = 2;",
        "a = (1;",
        "a = b;",
        "a = 1; /* no end",
        "a = }",
        "a = .",
        "\0",
        "a = é;",
    ],
)
def test_what_is_no_libconfig_is_refused(text):
    with pytest.raises(FormatMalformedError):
        libconfig.parse(text)


def test_the_line_of_a_mistake_is_named():
    with pytest.raises(FormatMalformedError, match="line 3"):
        libconfig.parse('a = 1;\nb = "x";\nc = ?;')


def test_other_files_are_not_included():
    with pytest.raises(FormatUnsupportedError):
        libconfig.parse('@include "/etc/passwd"\n')


@pytest.mark.parametrize("text", ["a = " + "(" * 100_000, "a = " + "{b=" * 100_000, "a = [" + "1," * 100_000])
def test_depth_and_number_of_values_are_limited(text):
    with pytest.raises(RefusedError):
        libconfig.parse(text)


@pytest.mark.parametrize(
    "text", ['a = "' + "\\" * 200_001, "/*" + "*" * 200_000, "a = " + "9" * 200_000, "#" * 200_000]
)
def test_long_tokens_take_no_long_time(text):
    with suppress(RefusedError):
        libconfig.parse(text)
