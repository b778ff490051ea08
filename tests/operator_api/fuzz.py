"""Requests that schemathesis makes up from the OpenAPI document, sent in this process, and what was wrong."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import negative_data_rejection

# A body may be in its form and still break a rule (422), come at the wrong moment (409), or start from another
# version (412): the document says so of each operation.
WELL_FORMED = ["2xx", "304", "401", "403", "404", "409", "412", "422", "428"]
# From which version a change starts is looked at before its body.
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "411", "412", "413", "415", "422", "428", "429"]


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document; it is the same for everybody, and takes a second to write."""
    return SchemaGenerator().get_schema(request=None, public=True)


def operations() -> dict[str, Any]:
    """Return the operations of the document by label, ready to be tried."""
    config = SchemathesisConfig.from_dict(
        {
            "checks": {
                "positive_data_acceptance": {"expected-statuses": WELL_FORMED},
                "negative_data_rejection": {"expected-statuses": REFUSED},
            }
        }
    )
    schema = schemathesis.openapi.from_dict(document(), config=config)
    schema.app = WSGIHandler()
    found = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        operation.app = schema.app
        found[operation.label] = operation
    return found


def violations(
    operation: Any, *, mode: GenerationMode, examples: int, known: dict[str, Any], headers: dict[str, str], chosen: int
) -> list[str]:
    """Try one operation, and return what was wrong, each as a line; `known` are ids that there are, by path parameter.

    Every other request goes to something that there is: of the numbers that are made up, none is.
    """
    found: dict[str, None] = {}
    turn = iter(range(10**9))

    @seed(chosen)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        names = set(case.path_parameters or {}) & set(known)
        is_mended = bool(names) and next(turn) % 2 == 0
        if is_mended:
            case.path_parameters = {**case.path_parameters, **{name: known[name] for name in names}}
        if mode == GenerationMode.POSITIVE and case.query:
            # A cursor is what this server gave out, and nothing that could be made up.
            case.query.pop("cursor", None)
        # Where the path was all that was wrong, nothing is left to refuse: unknown parameters are not.
        excluded = [negative_data_rejection] if is_mended and case.body is NOT_SET else []
        for line in _answered_wrongly(case, {} if _lacks_token(case) else headers, excluded):
            found[line] = None

    send()
    return list(found)


def _lacks_token(case: Any) -> bool:
    """Return whether what is wrong with the request is that it has no token: then none is sent along."""
    mutations = getattr(case.meta.phase.data, "mutations", ())
    return any("required" in each.keywords and "Authorization" in str(each.original_value) for each in mutations)


def _answered_wrongly(case: Any, headers: dict[str, str], excluded: list[Any]) -> Iterator[str]:
    response = case.call(headers=headers)
    try:
        case.validate_response(
            response, headers=headers, transport_kwargs={"headers": headers}, excluded_checks=excluded
        )
    except FailureGroup as group:
        for failure in group.exceptions:
            body = str(case.body)[:300]
            yield (
                f"{case.method} {case.formatted_path}?{case.query} {body} → {response.status_code} "
                f"{failure.title}: {failure.message[:300]} {response.content[:200]!r}"
            )
