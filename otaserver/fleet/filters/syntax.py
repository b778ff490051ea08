"""What a filter is once it is read: a tree whose conditions know where they stand in the text."""

from collections.abc import Iterator
from dataclasses import dataclass

Constant = str | int | float | bool | None


@dataclass(frozen=True)
class Place:
    """Where something stands: line and column from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Condition:
    """`field operator value`; the value of `in` is a tuple."""

    field: str
    operator: str
    value: Constant | tuple[Constant, ...]
    place: Place
    operator_place: Place
    value_place: Place

    depth = 1


@dataclass(frozen=True)
class Not:
    part: "Expression"

    @property
    def depth(self) -> int:
        return self.part.depth + 1


@dataclass(frozen=True)
class Combination:
    """Parts joined by `and` or `or`; a chain of one of them is one combination."""

    operator: str
    parts: tuple["Expression", ...]
    depth: int


@dataclass(frozen=True)
class Block:
    """`name(…)`: conditions on one and the same thing."""

    name: str
    part: "Expression"
    place: Place

    @property
    def depth(self) -> int:
        return self.part.depth + 1


Expression = Condition | Not | Combination | Block


def combine(operator: str, left: Expression, right: Expression) -> Combination:
    """Join two expressions, taking in a chain of the same operator on either side."""
    parts = tuple(
        part
        for side in (left, right)
        for part in (side.parts if isinstance(side, Combination) and side.operator == operator else (side,))
    )
    return Combination(operator, parts, 1 + max(part.depth for part in parts))


def conditions(expression: Expression) -> Iterator[Condition]:
    """Yield the conditions of an expression in the order of the text."""
    if isinstance(expression, Condition):
        yield expression
    elif isinstance(expression, Combination):
        for part in expression.parts:
            yield from conditions(part)
    else:
        yield from conditions(expression.part)
