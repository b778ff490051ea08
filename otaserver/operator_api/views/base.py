"""What all views share: authentication, permission by method, problems as errors, the tenant's rows only."""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from otaserver.errors import NotFoundError
from otaserver.operator_api import problems
from otaserver.operator_api.access import Caller, RolePermission, ServiceTokenAuthentication
from otaserver.operator_api.bodies import JsonParser
from otaserver.operator_api.errors import CursorInvalidError
from otaserver.tenants.states import Permission

Row = TypeVar("Row", bound=Model)
_POSITION = re.compile(r"[0-9]{1,18}\Z")
_BAD_CURSOR = "The cursor is not one that this server gave out for this list."


class NewestFirst(CursorPagination):
    """Pages by a cursor, newest first; a row that arrives meanwhile shifts nothing."""

    ordering = "-pk"
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 1000

    def decode_cursor(self, request: Request) -> Any:
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise CursorInvalidError(_BAD_CURSOR) from error
        # The position is compared with primary keys; the framework would hand anything to the database.
        if cursor is not None and cursor.position is not None and not _POSITION.match(str(cursor.position)):
            raise CursorInvalidError(_BAD_CURSOR)
        return cursor


class TenantView(GenericAPIView[Any]):
    """A view of one tenant's things. `permissions` names what each method needs."""

    permissions: ClassVar[Mapping[str, Permission]]
    authentication_classes = [ServiceTokenAuthentication]
    permission_classes = [RolePermission]
    parser_classes = [JsonParser]
    pagination_class: type[NewestFirst] | None = NewestFirst
    http_method_names = ["get", "head", "post", "put", "patch"]

    def get_exception_handler(self) -> Callable[..., Any]:
        return problems.exception_response

    @property
    def caller(self) -> Caller:
        return cast(Caller, self.request.auth)

    def received(self, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
        """Return the body's fields, checked; what does not fit is refused with the fields' names."""
        loaded = serializer(data=self.request.data, context=self.get_serializer_context())
        loaded.is_valid(raise_exception=True)
        fields: dict[str, Any] = loaded.validated_data
        return fields

    def page_of(self, rows: QuerySet[Any], serializer: type[BaseSerializer[Any]]) -> Response:
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(serializer(page, many=True).data)

    def only(self, rows: QuerySet[Row], *names: str) -> QuerySet[Row]:
        """Return the rows whose fields have the values that the query string gives; it may name these fields only."""
        wanted = {name: self.request.query_params[name] for name in names if name in self.request.query_params}
        if any("\0" in value for value in wanted.values()):
            return rows.none()
        return rows.filter(**wanted)

    def find(self, rows: QuerySet[Row], pk: int) -> Row:
        """Return the row, which may only be one of the caller's tenant: `rows` must say so."""
        found = rows.filter(pk=pk).first()
        if found is None:
            noun = rows.model._meta.verbose_name
            raise NotFoundError(f"There is no {noun} {pk}.", id=pk)
        return found
