"""What all views share: authentication, permission by method, problems as errors, the tenant's rows only."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

from django.db import transaction
from django.db.models import Model, QuerySet
from django.http.response import HttpResponseBase
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer

from otaserver.bearer import bearer_token
from otaserver.errors import NotFoundError, RateLimitedError
from otaserver.operator_api import echoes, idempotency, limits, preconditions, problems, strictness
from otaserver.operator_api.access import Caller, RolePermission, ServiceTokenAuthentication
from otaserver.operator_api.bodies import JsonParser
from otaserver.operator_api.errors import CursorInvalidError, FieldsInvalidError, PreconditionRequiredError
from otaserver.operator_api.exports import FILES, Rows, file_response
from otaserver.operator_api.limits import Allowance
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

Handler = Callable[..., HttpResponseBase]
Row = TypeVar("Row", bound=Model)
_POSITION = re.compile(r"[0-9]{1,18}\Z")
_LIMIT = re.compile(r"[1-9][0-9]{0,8}\Z")
_OF_EVERY_LIST = ("cursor", "format", "limit")
_NO_SUCH_PARAMETER = "There is no such parameter."
_BAD_CURSOR = "The cursor is not one that this server gave out for this list."
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# What was there before is gone after them, whoever wrote it.
_OVERWRITES = frozenset({"PUT", "PATCH", "DELETE"})


class NewestFirst(CursorPagination):
    """Pages by a cursor, newest first; a row that arrives meanwhile shifts nothing."""

    ordering = "-pk"
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 1000

    def decode_cursor(self, request: Request) -> Any:
        try:
            cursor = super().decode_cursor(request)
        except (NotFound, UnicodeError) as error:
            raise CursorInvalidError(_BAD_CURSOR) from error
        # The position is compared with primary keys; the framework would hand anything to the database.
        if cursor is not None and cursor.position is not None and not _POSITION.match(str(cursor.position)):
            raise CursorInvalidError(_BAD_CURSOR)
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return how OpenAPI 3.1 describes a page: the framework writes `nullable`, which is 3.0 and means nothing."""
        found: dict[str, Any] = super().get_paginated_response_schema(schema)
        found["required"] = ["next", "previous", "results"]
        for name in ("next", "previous"):
            found["properties"][name] = {"type": ["string", "null"], "format": "uri"}
        return found

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit", str(self.page_size))
        if not _LIMIT.match(text):
            raise FieldsInvalidError(f"limit is {text[:20]!r}; it is a number from 1.", fields={"limit": ["From 1."]})
        return min(int(text), self.max_page_size)


class TenantView(GenericAPIView[Any]):
    """A view of one tenant's things. `permissions` names what each method needs.

    What every one of them does, without saying so: it limits requests by token, answers lists as pages or files, tags
    what is read and refuses changes that start from something else, and does once what is sent twice with one key.
    """

    permissions: ClassVar[Mapping[str, Permission]]
    authentication_classes = [ServiceTokenAuthentication]
    permission_classes = [RolePermission]
    parser_classes = [JsonParser]
    pagination_class: type[NewestFirst] | None = NewestFirst
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    # False: what its POST does takes long, or keeps something also where it refuses.
    is_one_transaction = True
    # True: what its POST answers is shown once and stored nowhere.
    shows_secret = False
    # True: what it changes carries its own version, which the operation itself compares.
    compares_version = False
    allowance: Allowance | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # What a list reads of the query string, as it reads it; the rest is refused.
        self.parameters = set(_OF_EVERY_LIST)

    def get_exception_handler(self) -> Callable[..., Any]:
        return problems.exception_response

    @property
    def caller(self) -> Caller:
        return cast(Caller, self.request.auth)

    def get_renderers(self) -> list[Any]:
        files = FILES if self.request.method in ("GET", "HEAD") and self.pagination_class is not None else ()
        return [*super().get_renderers(), *(one() for one in files)]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = str(request.method)
        if method in _CHANGES and hasattr(self, method.lower()):
            # Where the framework looks for the handler next.
            setattr(self, method.lower(), partial(self._change, getattr(self, method.lower())))

    def check_throttles(self, request: Request) -> None:
        # As it was authenticated: the header may write one token in many ways.
        self.allowance = limits.spend(bearer_token(request.headers.get("Authorization", "")) or self.caller.actor)
        if self.allowance is not None and self.allowance.is_exceeded:
            raise RateLimitedError(
                f"More than {self.allowance.limit} requests in {limits.WINDOW_SECONDS} seconds.",
                retry_after_seconds=self.allowance.reset_seconds,
            )

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        chosen = getattr(request, "accepted_renderer", None)
        if isinstance(response, Response) and isinstance(chosen, FILES):
            response = problems.not_a_list(chosen.media_type)
        finished = preconditions.tag_response(request, super().finalize_response(request, response, *args, **kwargs))
        for name, value in (self.allowance.headers if self.allowance else {}).items():
            finished[name] = value
        return finished

    def _change(self, handler: Handler, request: Request, **kwargs: Any) -> HttpResponseBase:
        key = idempotency.key_of(request) if request.method == "POST" else None
        do = partial(self._from_version, handler, request, **kwargs)
        return do() if key is None else idempotency.done_once(self, request, key, do)

    def _from_version(self, handler: Handler, request: Request, **kwargs: Any) -> HttpResponseBase:
        wanted = request.headers.get("If-Match")
        if self.compares_version:
            return handler(request, **kwargs)
        if wanted is None:
            if request.method in _OVERWRITES:
                raise PreconditionRequiredError(
                    "Name the ETag of what this changes in If-Match, so that nobody's change is lost; * takes any."
                )
            return handler(request, **kwargs)
        with transaction.atomic():
            # Of two changes that start from one version, one waits here, and then starts from another.
            Tenant.objects.select_for_update(no_key=True).get(pk=self.caller.tenant.pk)
            preconditions.refuse_stale(request, wanted)
            return handler(request, **kwargs)

    def received(self, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
        """Return the body's fields, checked; what does not fit is refused with the fields' names and values."""
        given = self.request.data
        loaded = serializer(data=given, context=self.get_serializer_context())
        wrong: Any = strictness.misfits(loaded, given)
        if not wrong and not loaded.is_valid():
            wrong = loaded.errors
        if wrong:
            raise ValidationError(echoes.with_values(wrong, given))
        fields: dict[str, Any] = loaded.validated_data
        return fields

    def page_of(
        self,
        rows: QuerySet[Any],
        serializer: type[BaseSerializer[Any]],
        context_of: Callable[[Sequence[Any]], dict[str, Any]] = lambda page: {},
    ) -> Response:
        """Return a page of the rows, or all of them as the file that was asked for; `context_of` serves one page."""

        def represent(page: Sequence[Any]) -> list[dict[str, Any]]:
            context = {**self.get_serializer_context(), **context_of(page)}
            return list(serializer(page, many=True, context=context).data)

        self._refuse_unread()
        kind = self.request.accepted_renderer.format if self.request.accepted_renderer else "json"
        if kind in ("csv", "jsonl"):
            columns = list(cast(Serializer[Any], serializer()).fields)
            # No response of the framework, but whoever asks for a page only hands it on.
            return cast(Response, self._file(rows, represent, kind, columns))
        return self.get_paginated_response(represent(self.paginate_queryset(rows) or []))

    def _file(self, rows: QuerySet[Any], represent: Rows, kind: str, columns: list[str]) -> HttpResponseBase:
        paginator = cast(NewestFirst, self.paginator)
        # A file has no pages; what is wrong is refused all the same.
        paginator.get_page_size(self.request)
        name = self.request.path.removeprefix("/api/v1/").replace("/", "-")
        return file_response(rows, represent, ordering=paginator.ordering, columns=columns, kind=kind, name=name)

    def only(self, rows: QuerySet[Row], *names: str, **fields: str) -> QuerySet[Row]:
        """Return the rows whose fields have the values that the query string gives for these names.

        `fields` are names that stand for a field called otherwise.
        """
        by_field = {name: name for name in names} | fields
        given = {field: self.parameter(name) for name, field in by_field.items()}
        wanted = {field: value for field, value in given.items() if value is not None}
        if any("\0" in value for value in wanted.values()):
            return rows.none()
        return rows.filter(**wanted)

    def parameter(self, name: str) -> str | None:
        """Return what the query string gives for this name; a list refuses names that it does not ask for."""
        self.parameters.add(name)
        return self.request.query_params.get(name)

    def _refuse_unread(self) -> None:
        # A change may read the list that it changes, for its version: what it says itself is not the list's.
        if self.request.method not in ("GET", "HEAD"):
            return
        # A filter that is misspelt would otherwise show, or export, everything.
        unknown = sorted(set(self.request.query_params) - self.parameters)
        if unknown:
            known = ", ".join(sorted(self.parameters))
            raise FieldsInvalidError(
                f"There is no parameter {unknown[0][:40]!a}; this list takes {known}.",
                fields={name[:40]: [_NO_SUCH_PARAMETER] for name in unknown[:10]},
            )

    def find(self, rows: QuerySet[Row], pk: int) -> Row:
        """Return the row, which may only be one of the caller's tenant: `rows` must say so."""
        found = rows.filter(pk=pk).first()
        if found is None:
            noun = rows.model._meta.verbose_name
            raise NotFoundError(f"There is no {noun} {pk}.", id=pk)
        return found
