"""What the OpenAPI document says of every endpoint alike: problems, versions, keys, files."""

from collections.abc import Iterator
from typing import Any

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` is a sentence with the actual values.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "examples": ["state.invalid_transition"]},
        "detail": {"type": "string"},
        "fields": {
            "type": "object",
            "description": "What is wrong with the body, by field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
_READING = {
    400: "A header, cursor or body is malformed.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token's role lacks the permission.",
    404: "There is none, or none of this tenant.",
    406: "It is not written in the form that was asked for.",
    422: "It breaks a rule.",
    429: "Too many requests; Retry-After says when to come back.",
    503: "The server is busy; Retry-After says when to come back.",
}
_CHANGING = _READING | {
    409: "The right request at the wrong moment.",
    411: "Nobody can tell where the body ends.",
    412: "It has another version than the one in If-Match.",
    413: "The body is too large.",
    415: "The body has another content type than this takes.",
    428: "The change must name the version that it starts from, in If-Match.",
    507: "The storage is full.",
}
_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    "description": "Sent again with it within a day, the same request does nothing and gets the same answer.",
}
_IF_MATCH: dict[str, Any] = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string", "pattern": '^("[0-9a-f]+"|[*])$'},
    "description": "The ETag that the change starts from; it is refused with 412 where that is no longer current.",
}
_OVERWRITES = ("put", "patch", "delete")
# What says in another way from where it goes on: bytes by their offset, a root by the version that it holds.
_STARTS_OTHERWISE = ("/content", "/root")
_IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string"},
    "description": "The ETag of what the caller has; 304 where it is still that.",
}
_FORMAT = {"in": "query", "name": "format", "schema": {"type": "string", "enum": ["json", "csv", "jsonl"]}}


def describe_everywhere(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to the document what views do not say because all of them do it (a hook of drf-spectacular)."""
    result["components"]["schemas"]["Problem"] = _PROBLEM
    for path, method, operation in _operations(result):
        for status, text in (_READING if method == "get" else _CHANGING).items():
            operation["responses"].setdefault(str(status), _problem(text))
        _add_parameters(operation, path, method)
        _require_bytes(operation)
        if method == "get":
            _describe_reading(operation)
    return result


def _operations(result: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in result["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield path, method, operation


def _problem(text: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": text, "content": content}


def _add_parameters(operation: dict[str, Any], path: str, method: str) -> None:
    parameters = operation.setdefault("parameters", [])
    named = {parameter["name"] for parameter in parameters}
    wanted = [_KEY] if method == "post" else []
    if method == "get" or "If-Match" in named or path.endswith(_STARTS_OTHERWISE):
        pass
    elif method in _OVERWRITES:
        wanted.append(_IF_MATCH | {"required": True})
    elif "{" in path or path.count("/") > 3:
        wanted.append(_IF_MATCH)
    parameters.extend(wanted)


def _require_bytes(operation: dict[str, Any]) -> None:
    # Bytes come with their media type: a request without either is refused.
    body = operation.get("requestBody")
    if body is not None and list(body["content"]) == ["application/octet-stream"]:
        body["required"] = True


def _describe_reading(operation: dict[str, Any]) -> None:
    # The framework takes every view that has lists for one that is written in each form.
    operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "format"]
    answer = operation["responses"].get("200")
    if answer is None:
        return
    operation["parameters"].append(_IF_NONE_MATCH)
    operation["responses"]["304"] = {"description": "It is still what If-None-Match names."}
    answer["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "The version of what is read."}}
    if "application/json" in answer.get("content", {}):
        answer["content"] = {"application/json": answer["content"]["application/json"]}
    if is_list(operation):
        operation["parameters"].append(_FORMAT)
        answer["content"]["text/csv"] = {"schema": {"type": "string"}}
        answer["content"]["application/jsonl"] = {"schema": {"type": "string"}}


def is_list(operation: dict[str, Any]) -> bool:
    """Return whether an operation of the document answers with pages of rows."""
    content = operation["responses"].get("200", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2].startswith("Paginated")
