"""Turns a filter into a Q over the vehicles of one tenant. What it names is looked up within that tenant only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet

from otaserver.fleet import naming
from otaserver.fleet.errors import FilterRefusedError, FilterUnknownGroupError
from otaserver.fleet.filters import grammar
from otaserver.fleet.filters.fields import ECU_FIELDS, VEHICLE_FIELDS, Field, is_negative, positive, refuse_unknown
from otaserver.fleet.filters.syntax import Block, Combination, Condition, Expression, Not, conditions
from otaserver.fleet.models import Attribute, AttributeValue, Ecu, Group, Membership, Vehicle
from otaserver.fleet.naming_models import Spelling
from otaserver.fleet.states import AttributeType, GroupKind
from otaserver.tenants.models import Tenant

# Answered from an index.
_SPELLED: Mapping[str, Callable[[str], Q]] = {"startswith": naming.id_begins, "endswith": naming.id_ends}
_GROUP = Field(AttributeType.TEXT, "name")


def compile_filter(tenant: Tenant, text: str) -> Q:
    """Return what the filter says, as a Q over Vehicle that is never unknown. The caller restricts to the tenant.

    Raises:
        FilterRefusedError: a subclass says why, and where.
    """
    expression = grammar.parse(text)
    names = {condition.field for condition in conditions(expression)}
    attributes = Attribute.objects.filter(tenant=tenant) if any(name.startswith("attribute.") for name in names) else ()
    vehicles = _Vehicles(tenant, {f"attribute.{known.name}": known for known in attributes})
    return _walk(expression, vehicles, either=vehicles.either)


def groups_named(text: str) -> set[str]:
    """Return the groups that a filter names; none where it cannot be read."""
    try:
        found = [each for each in conditions(grammar.parse(text)) if each.field == "group"]
    except FilterRefusedError:
        return set()
    return {str(name) for each in found for name in (each.value if isinstance(each.value, tuple) else (each.value,))}


def filters_met(vehicle: Vehicle, texts: Mapping[int, str]) -> dict[int, bool | None]:
    """Return which of these filters one vehicle meets, by their keys; None: the filter cannot be answered.

    However many there are, in three queries: each is asked of this vehicle alone, so that no union is needed.
    """
    leaf = _OneVehicle(
        vehicle.tenant,
        {f"attribute.{known.name}": known for known in Attribute.objects.filter(tenant=vehicle.tenant_id)},
        {group.name: group for group in Group.objects.filter(tenant=vehicle.tenant_id, kind=GroupKind.STATIC)},
    )
    compiled = {key: found for key, text in texts.items() if (found := _compiled(text, leaf)) is not None}
    asked = [ExpressionWrapper(found, BooleanField()) for found in compiled.values()]
    row: tuple[Any, ...] = Vehicle.objects.filter(pk=vehicle.pk).values_list(*asked).get() if asked else ()
    met = dict(zip(compiled, map(bool, row), strict=True))
    return {key: met.get(key) for key in texts}


def _compiled(text: str, leaf: "_OneVehicle") -> Q | None:
    try:
        return _walk(grammar.parse(text), leaf)
    except FilterRefusedError:
        return None


def _any_of(found: Sequence[Q]) -> Q:
    return reduce(or_, found)


def _walk(
    expression: Expression, leaf: Callable[[Condition | Block], Q], *, either: Callable[[Sequence[Q]], Q] = _any_of
) -> Q:
    if isinstance(expression, Combination):
        parts = [_walk(part, leaf, either=either) for part in expression.parts]
        return reduce(and_, parts) if expression.operator == "and" else either(parts)
    if isinstance(expression, Not):
        # NOT IN of a union would be answered by comparing every vehicle with every one of it.
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
            found = positive(leaf, VEHICLE_FIELDS[leaf.field])
            spelled = _SPELLED.get(leaf.operator.removeprefix("not ")) if leaf.field == "vehicle_id" else None
            return found if spelled is None else self._spelled(spelled(str(leaf.value)))
        if leaf.field in self.attributes:
            return self._with_attribute(leaf, self.attributes[leaf.field])
        if leaf.field == "group":
            return self._in_group(leaf)
        ecu_fields = {f"ecu.{name}": field for name, field in ECU_FIELDS.items()}
        if leaf.field not in ecu_fields:
            refuse_unknown(leaf.field, [*VEHICLE_FIELDS, *self.attributes, *ecu_fields, "group"], leaf.place)
        return _exists(Ecu.objects.filter(positive(leaf, ecu_fields[leaf.field])))

    def _spelled(self, spelling: Q) -> Q:
        return Q(pk__in=Spelling.objects.filter(spelling, tenant=self.tenant).values("pk"))

    def either(self, found: Sequence[Q]) -> Q:
        """Return the vehicles of any of these as a union.

        Joined by OR in one WHERE, conditions on other tables are asked of every vehicle in turn; of a union each part
        is answered from its own index.
        """
        first, *others = (Vehicle.objects.filter(part, tenant=self.tenant).order_by().values("pk") for part in found)
        return Q(pk__in=first.union(*others, all=True))

    def _with_attribute(self, condition: Condition, attribute: Attribute) -> Q:
        values = AttributeValue.objects.filter(attribute=attribute)
        if condition.value is None and condition.operator in {"=", "!="}:
            return ~_exists(values)
        return _exists(values.filter(positive(condition, Field(AttributeType(attribute.type), attribute.type))))

    def _in_group(self, condition: Condition) -> Q:
        # Never run: `positive` checks operator and values as for every other text.
        positive(condition, _GROUP)
        names = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        groups = self._groups(names)
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

    def _groups(self, names: Sequence[Any]) -> Mapping[str, Group]:
        return {group.name: group for group in Group.objects.filter(tenant=self.tenant, name__in=names)}


@dataclass(frozen=True)
class _OneVehicle(_Vehicles):
    """Compiles many filters for one vehicle, whose tenant's groups are read once."""

    groups: Mapping[str, Group]

    def _groups(self, names: Sequence[Any]) -> Mapping[str, Group]:
        return {name: self.groups[name] for name in names if name in self.groups}


def _exists(rows: QuerySet[Any]) -> Q:
    return Q(Exists(rows.filter(vehicle=OuterRef("pk"))))
