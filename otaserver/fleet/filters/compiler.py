"""Turns a filter into a Q over the vehicles of one tenant. What it names is looked up within that tenant only."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from otaserver.fleet.errors import FilterUnknownGroupError
from otaserver.fleet.filters import grammar
from otaserver.fleet.filters.fields import ECU_FIELDS, VEHICLE_FIELDS, Field, is_negative, positive, refuse_unknown
from otaserver.fleet.filters.syntax import Block, Combination, Condition, Expression, Not, conditions
from otaserver.fleet.models import Attribute, AttributeValue, Ecu, Group, Membership
from otaserver.fleet.states import AttributeType, GroupKind
from otaserver.tenants.models import Tenant

_GROUP = Field(AttributeType.TEXT, "name")


def compile_filter(tenant: Tenant, text: str) -> Q:
    """Return what the filter says, as a Q over Vehicle that is never unknown. The caller restricts to the tenant.

    Raises:
        FilterRefusedError: a subclass says why, and where.
    """
    expression = grammar.parse(text)
    names = {condition.field for condition in conditions(expression)}
    attributes = Attribute.objects.filter(tenant=tenant) if any(name.startswith("attribute.") for name in names) else ()
    return _walk(expression, _Vehicles(tenant, {f"attribute.{known.name}": known for known in attributes}))


def _walk(expression: Expression, leaf: Callable[[Condition | Block], Q]) -> Q:
    if isinstance(expression, Combination):
        return reduce(and_ if expression.operator == "and" else or_, (_walk(part, leaf) for part in expression.parts))
    if isinstance(expression, Not):
        return ~_walk(expression.part, leaf)
    found = leaf(expression)
    return ~found if isinstance(expression, Condition) and is_negative(expression) else found


def _one_ecu(leaf: Condition | Block) -> Q:
    if isinstance(leaf, Block) or leaf.field not in ECU_FIELDS:
        refuse_unknown(leaf.name if isinstance(leaf, Block) else leaf.field, ECU_FIELDS, leaf.place)
    return positive(leaf, ECU_FIELDS[leaf.field])


@dataclass(frozen=True)
class _Vehicles:
    """Compiles the leaves of a filter, each to the vehicles that satisfy it with its operator's positive form."""

    tenant: Tenant
    attributes: dict[str, Attribute]

    def __call__(self, leaf: Condition | Block) -> Q:
        if isinstance(leaf, Block):
            if leaf.name != "ecu":
                refuse_unknown(leaf.name, ["ecu"], leaf.place)
            return _exists(Ecu.objects.filter(_walk(leaf.part, _one_ecu)))
        if leaf.field in VEHICLE_FIELDS:
            return positive(leaf, VEHICLE_FIELDS[leaf.field])
        if leaf.field in self.attributes:
            return self._with_attribute(leaf, self.attributes[leaf.field])
        if leaf.field == "group":
            return self._in_group(leaf)
        ecu_fields = {f"ecu.{name}": field for name, field in ECU_FIELDS.items()}
        if leaf.field not in ecu_fields:
            refuse_unknown(leaf.field, [*VEHICLE_FIELDS, *self.attributes, *ecu_fields, "group"], leaf.place)
        return _exists(Ecu.objects.filter(positive(leaf, ecu_fields[leaf.field])))

    def _with_attribute(self, condition: Condition, attribute: Attribute) -> Q:
        values = AttributeValue.objects.filter(attribute=attribute)
        if condition.value is None and condition.operator in {"=", "!="}:
            return ~_exists(values)
        return _exists(values.filter(positive(condition, Field(AttributeType(attribute.type), attribute.type))))

    def _in_group(self, condition: Condition) -> Q:
        # Never run: `positive` checks operator and values as for every other text.
        positive(condition, _GROUP)
        names = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        groups = {group.name: group for group in Group.objects.filter(tenant=self.tenant, name__in=names)}
        for name in names:
            group = groups.get(str(name))
            if group is None or group.kind != GroupKind.STATIC:
                what = "There is no group" if group is None else "A filter names static groups only, not"
                raise FilterUnknownGroupError(
                    rule := f"{what} {name!r}.",
                    line=condition.value_place.line,
                    column=condition.value_place.column,
                    token=str(name),
                    rule=rule,
                )
        return _exists(Membership.objects.filter(group__in=[group.pk for group in groups.values()]))


def _exists(rows: QuerySet[Any]) -> Q:
    return Q(Exists(rows.filter(vehicle=OuterRef("pk"))))
