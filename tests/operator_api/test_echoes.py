import pytest
from rest_framework.exceptions import ErrorDetail

from otaserver.operator_api.echoes import with_values

RULE = ErrorDetail("Too much.", "max_value")


@pytest.mark.parametrize(
    ("detail", "given", "expected"),
    [
        ({"a": [RULE]}, {"a": 5}, {"a": ["Too much. Given was 5."]}),
        ({"a": {1: {"b": [RULE]}}}, {"a": [{}, {"b": "x"}]}, {"a": {1: {"b": ['Too much. Given was "x".']}}}),
        ({"a": [{}, {"b": [RULE]}]}, {"a": [{}, {"b": True}]}, {"a": [{}, {"b": ["Too much. Given was true."]}]}),
        ({"a": [ErrorDetail("It is missing.", "required")]}, {"a": "x"}, {"a": ["It is missing."]}),
        ({"a": ['"x" is none.']}, {"a": "x"}, {"a": ['"x" is none.']}),
        ({"a": ["There is no such field."]}, {"a": "x"}, {"a": ["There is no such field."]}),
        ({"secret": [RULE]}, {"secret": "x"}, {"secret": ["Too much."]}),
        ({"tokens": {0: [RULE]}}, {"tokens": ["x"]}, {"tokens": {0: ["Too much."]}}),
        ({"a": [RULE]}, {"a": "x" * 60}, {"a": ["Too much."]}),
        ({"a": [RULE]}, {"a": {"b": 1}}, {"a": ["Too much."]}),
        ({"a": [RULE]}, [], {"a": ["Too much."]}),
    ],
)
def test_a_refusal_says_what_was_given_unless_it_is_long_or_secret(detail, given, expected):
    assert with_values(detail, given) == expected
