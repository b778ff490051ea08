from concurrent.futures import ThreadPoolExecutor

import pytest

from otaserver.fleet.errors import FilterSyntaxError, FilterTooComplexError
from otaserver.fleet.filters import grammar
from otaserver.fleet.filters.syntax import Block, Combination, Condition, Not


def shape(expression):
    """The expression with every pair of parentheses that it means."""
    if isinstance(expression, Condition):
        return f"{expression.field} {expression.operator} {expression.value!r}"
    if isinstance(expression, Not):
        return f"not ({shape(expression.part)})"
    if isinstance(expression, Block):
        return f"{expression.name}[{shape(expression.part)}]"
    return "(" + f" {expression.operator} ".join(shape(part) for part in expression.parts) + ")"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1", "a = 1"),
        ("a.b != 'x'", "a.b != 'x'"),
        ("a >= 1.5", "a >= 1.5"),
        ("a in (1, 'x', None)", "a in (1, 'x', None)"),
        ("a not in (True)", "a not in (True,)"),
        ('a not startswith "x"', "a not startswith 'x'"),
        (r'a ~ "say \"hi\" \u00e4"', "a ~ 'say \"hi\" ä'"),
        ("a = 1 or b = 2 and c = 3", "(a = 1 or (b = 2 and c = 3))"),
        ("a = 1 and b = 2 or c = 3", "((a = 1 and b = 2) or c = 3)"),
        ("(a = 1 or b = 2) and c = 3", "((a = 1 or b = 2) and c = 3)"),
        ("a = 1 and b = 2 and (c = 3 and d = 4)", "(a = 1 and b = 2 and c = 3 and d = 4)"),
        ("not a = 1 and b = 2", "(not (a = 1) and b = 2)"),
        ("not (a = 1 and b = 2)", "not ((a = 1 and b = 2))"),
        ("not not a = 1", "not (not (a = 1))"),
        ("ecu(a = 1 and not b = 2) or c = 3", "(ecu[(a = 1 and not (b = 2))] or c = 3)"),
        ("((((a = 1))))", "a = 1"),
    ],
)
def test_not_binds_before_and_before_or(text, expected):
    assert shape(grammar.parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "line", "column", "token"),
    [
        ("", 1, 1, ""),
        ("a = 1 and", 1, 10, ""),
        ("a = 1 b = 2", 1, 7, "b"),
        ("a = b", 1, 5, "b"),
        ("a = 1\nand\n  or b = 2", 3, 3, "or"),
        ("a = 1\r\n and and", 2, 6, "and"),
        ("a = 'x", 1, 5, "'"),
        ("a = 'x\ny'", 1, 5, "'"),
        ("a = 1 ; drop", 1, 7, ";"),
        ("a = 1 or\u2028 $", 2, 2, "$"),
        ("(a = 1", 1, 7, ""),
        ("a in ()", 1, 7, ")"),
        ("a > True", 1, 5, "True"),
        ("1 = a", 1, 1, "1"),
        ("a == 1", 1, 4, "="),
        ("ecu()", 1, 5, ")"),
        ("a = xxxxxxxxxxxxxxxxxxxxxxxxx", 1, 5, "x" * 20),
    ],
)
def test_a_syntax_error_says_where(text, line, column, token):
    with pytest.raises(FilterSyntaxError) as refused:
        grammar.parse(text)

    details = refused.value.details
    assert (details["line"], details["column"], details["token"]) == (line, column, token)
    assert refused.value.message == f"Line {line}, column {column}: {details['rule']}"
    assert refused.value.code == "filter.syntax"


@pytest.mark.parametrize(
    ("text", "column", "rule"),
    [
        ("a = 1 " * 1000, 4001, "A filter has at most 4000 characters, not 6000."),
        ("not " * 20 + "a = 1", 1, "A filter is nested at most 20 deep."),
        (" or ".join(["a = 1"] * 51), 451, "A filter has at most 50 conditions, not 51."),
    ],
)
def test_a_filter_beyond_a_bound_is_refused(text, column, rule):
    with pytest.raises(FilterTooComplexError) as refused:
        grammar.parse(text)

    assert (refused.value.details["column"], refused.value.details["rule"]) == (column, rule)


def test_a_filter_at_every_bound_is_read():
    nested = "not " * 19 + "a = 1"
    many = " or ".join(["a = 1"] * 50)
    long = "a = 1".ljust(4000)

    assert [grammar.parse(text).depth for text in (nested, many, long, "(" * 1900 + "a = 1" + ")" * 1900)] == [
        20,
        2,
        1,
        1,
    ]


def test_conditions_know_where_field_operator_and_value_stand():
    combination = grammar.parse("a = 1 or\n  bb not in\t(2)")

    assert isinstance(combination, Combination)
    places = [
        [(place.line, place.column) for place in (part.place, part.operator_place, part.value_place)]
        for part in combination.parts
    ]
    assert places == [[(1, 1), (1, 3), (1, 5)], [(2, 3), (2, 6), (2, 13)]]


def test_threads_read_filters_at_once_without_mixing_them():
    texts = [f"a{number} = {number} and b{number} = 'x'" for number in range(200)]

    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(grammar.parse, texts))

    assert [shape(expression) for expression in read] == [f"({text})" for text in texts]
