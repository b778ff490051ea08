"""Reads a filter: djangoql's lexer and its rules of comparison, with `not`, blocks and the usual precedence."""

import re
import threading
from decimal import Decimal
from typing import Any, NoReturn

from djangoql.ast import List
from djangoql.exceptions import DjangoQLLexerError
from djangoql.parser import DjangoQLParser
from ply.yacc import NullLogger  # type: ignore[import-untyped]

from otaserver.fleet.errors import FilterSyntaxError, FilterTooComplexError
from otaserver.fleet.filters.syntax import Block, Condition, Constant, Expression, Not, Place, combine, conditions

MAX_LENGTH = 4000
MAX_DEPTH = 20
MAX_CONDITIONS = 50
# What the parser's tokens are to whoever writes a filter, in the order in which they are told.
_TOKENS = {
    "NAME": "a field",
    "STRING_VALUE": "a text in quotes",
    "INT_VALUE": "a number",
    "FLOAT_VALUE": "a number",
    "TRUE": "True or False",
    "FALSE": "True or False",
    "NONE": "None",
    **dict.fromkeys(
        ["EQUALS", "NOT_EQUALS", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "CONTAINS", "NOT_CONTAINS"],
        "an operator",
    ),
    **dict.fromkeys(["STARTSWITH", "ENDSWITH", "IN"], "an operator"),
    "NOT": "not",
    "AND": "and",
    "OR": "or",
    "PAREN_L": "an opening parenthesis",
    "PAREN_R": "a closing parenthesis",
    "COMMA": "a comma",
    "$end": "the end",
}
_LINE_END = re.compile("\r\n|[\n\r\u2028\u2029]")


def parse(text: str) -> Expression:
    """Read a filter.

    Raises:
        FilterSyntaxError: it is none.
        FilterTooComplexError: it is longer, deeper or has more conditions than a filter may.
    """
    if len(text) > MAX_LENGTH:
        _refuse_complexity(f"A filter has at most {MAX_LENGTH} characters, not {len(text)}.", text, MAX_LENGTH)
    expression = _PARSER.read(text)
    found = list(conditions(expression))
    if len(found) > MAX_CONDITIONS:
        place = found[MAX_CONDITIONS].place
        rule = f"A filter has at most {MAX_CONDITIONS} conditions, not {len(found)}."
        raise FilterTooComplexError(
            rule, line=place.line, column=place.column, token=found[MAX_CONDITIONS].field, rule=rule
        )
    return expression


def _place(text: str, position: int) -> Place:
    ends = list(_LINE_END.finditer(text, 0, position))
    return Place(len(ends) + 1, position - (ends[-1].end() if ends else 0) + 1)


def _refuse_complexity(rule: str, text: str, position: int) -> NoReturn:
    place = _place(text, position)
    token = text[position : position + 20]
    raise FilterTooComplexError(rule, line=place.line, column=place.column, token=token, rule=rule)


def _refuse_syntax(rule: str, text: str, position: int, token: str) -> NoReturn:
    place = _place(text, position)
    raise FilterSyntaxError(rule, line=place.line, column=place.column, token=token, rule=rule)


class _Parser(DjangoQLParser):  # type: ignore[misc] # djangoql has no types
    # djangoql gives `and` and `or` one precedence and groups from the right: "a and b or c" would be "a and (b or c)".
    precedence = (("left", "OR"), ("left", "AND"), ("right", "NOT"))
    p_logical = None

    def __init__(self) -> None:
        super().__init__(errorlog=NullLogger())
        self._lock = threading.Lock()
        self._text = ""

    def read(self, text: str) -> Expression:
        # ply's lexer keeps its place in itself.
        with self._lock:
            self._text = text
            try:
                read: Expression = self.parse(text, tracking=True)
            except DjangoQLLexerError as error:
                rest = str(error.value)
                rule = f"{rest[0]!r} cannot stand here; text is in quotes that are closed on the same line."
                _refuse_syntax(rule, text, len(text) - len(rest), rest[0])
            return read

    def p_expression_logical(self, p: Any) -> None:
        """
        expression : expression OR expression
                   | expression AND expression
        """
        p[0] = self._bounded(combine(p[2], p[1], p[3]), p.lexpos(2))

    def p_expression_not(self, p: Any) -> None:
        """
        expression : NOT expression
        """
        p[0] = self._bounded(Not(p[2]), p.lexpos(1))

    def p_expression_block(self, p: Any) -> None:
        """
        expression : name PAREN_L expression PAREN_R
        """
        p[0] = self._bounded(Block(p[1].value, p[3], _place(self._text, p.lexpos(1))), p.lexpos(1))

    def p_expression_comparison(self, p: Any) -> None:
        """
        expression : name comparison_number number
                   | name comparison_string string
                   | name comparison_equality boolean_value
                   | name comparison_equality none
                   | name comparison_in_list const_list_value
        """
        value = tuple(_constant(item.value) for item in p[3].items) if isinstance(p[3], List) else _constant(p[3].value)
        places = [_place(self._text, p.lexpos(part)) for part in (1, 2, 3)]
        p[0] = Condition(p[1].value, p[2].operator, value, *places)

    def raise_syntax_error(self, message: str, token: Any = None) -> NoReturn:
        if token is None:
            rule = f"The filter ends where more is expected: {self._expected()}."
            _refuse_syntax(rule, self._text, len(self._text), "")
        shown = str(token.value)[:20]
        rule = f"{shown!r} is not expected here, but {self._expected()}."
        _refuse_syntax(rule, self._text, token.lexpos, shown)

    def _expected(self) -> str:
        """Return what could stand where the text stops making sense, by the parser's own table."""
        possible = {_TOKENS.get(token) for token in self.yacc.action[self.yacc.state]} - {None}
        return " or ".join(name for name in dict.fromkeys(_TOKENS.values()) if name in possible)

    def _bounded(self, expression: Expression, position: int) -> Expression:
        if expression.depth > MAX_DEPTH:
            _refuse_complexity(f"A filter is nested at most {MAX_DEPTH} deep.", self._text, position)
        return expression


def _constant(value: Any) -> Constant:
    constant: Constant = float(value) if isinstance(value, Decimal) else value
    return constant


_PARSER = _Parser()
