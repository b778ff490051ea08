import pytest
from rest_framework import serializers

from otaserver.fleet.models import Group
from otaserver.operator_api.strictness import misfits


class Inner(serializers.Serializer):
    count = serializers.IntegerField()


class Outer(serializers.Serializer):
    name = serializers.CharField()
    is_on = serializers.BooleanField()
    rate = serializers.FloatField()
    share = serializers.DecimalField(max_digits=5, decimal_places=2)
    kind = serializers.ChoiceField(choices=["a"])
    at = serializers.DateTimeField()
    numbers = serializers.ListField(child=serializers.IntegerField())
    inner = Inner()
    inners = Inner(many=True)
    notes = serializers.DictField(child=serializers.CharField())
    said = serializers.CharField(read_only=True)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "1", "is_on": False, "rate": 1, "share": "1.5", "kind": "a", "at": "x", "numbers": [1, 2.0]},
        {"name": None, "share": 1.5, "inner": {"count": 1}, "inners": [{"count": 1}], "notes": {"en": "x"}},
        # Of another shape altogether: the fields say so themselves.
        {"numbers": "x", "inner": [], "inners": {}, "notes": 1},
    ],
)
def test_what_means_what_it_says_is_let_through(body):
    assert misfits(Outer(), body) is None


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"nmae": "x"}, {"nmae"}),
        ({"said": "x"}, {"said"}),
        ({"name": 1}, {"name"}),
        ({"name": True}, {"name"}),
        ({"is_on": "true"}, {"is_on"}),
        ({"is_on": 1}, {"is_on"}),
        ({"rate": "1"}, {"rate"}),
        ({"rate": True}, {"rate"}),
        ({"share": True}, {"share"}),
        ({"kind": 1}, {"kind"}),
        ({"at": 5}, {"at"}),
        ({"numbers": [1, "2", 2.5, True]}, {"numbers"}),
        ({"inner": {"cuont": 1}}, {"inner"}),
        ({"inners": [{"count": 1}, {"count": "1"}]}, {"inners"}),
        ({"notes": {"en": 1}}, {"notes"}),
    ],
)
def test_what_would_have_to_be_guessed_is_named(body, where):
    assert set(misfits(Outer(), body)) == where


def test_each_item_is_named_by_its_place():
    assert misfits(Outer(), {"numbers": [1, "2"]}) == {"numbers": {1: ["Must be a whole number."]}}
    assert misfits(Outer(), {"inners": [{}, {"x": 1}]}) == {"inners": {1: {"x": ["There is no such field."]}}}


@pytest.mark.any_database
def test_a_member_that_nobody_reads_is_refused_and_changes_nothing(caller):
    refused = caller.post("/groups", {"name": "north", "filtre": "x"})

    assert (refused.status_code, refused.json()["fields"]) == (422, {"filtre": ["There is no such field."]})
    assert not Group.objects.exists()
