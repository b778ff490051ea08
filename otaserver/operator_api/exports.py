"""Lists as files: CSV for spreadsheets, JSON Lines for programs. Streamed page by page, so that none is too long.

Each page is a query of its own that goes on after the last row, as the cursor does: a reader who takes an hour holds no
transaction open.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer

PAGE_ROWS = 500
# With these a spreadsheet begins a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
Rows = Callable[[Sequence[Any]], list[dict[str, Any]]]


class _FileRenderer(BaseRenderer):
    """Only announces the form; the list itself writes it."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        raise AssertionError("a list writes its own file")


class CsvRenderer(_FileRenderer):
    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"


class JsonLinesRenderer(_FileRenderer):
    media_type = "application/jsonl"
    format = "jsonl"
    charset = None


FILES = (CsvRenderer, JsonLinesRenderer)


def file_response(
    rows: QuerySet[Any], represent: Rows, *, ordering: str, columns: Sequence[str], kind: str, name: str
) -> StreamingHttpResponse:
    """Return all rows as a file. The first page is read before, so that what cannot be answered is still refused."""
    pages = _pages(rows, ordering)
    first = next(pages, [])
    represented = (row for page in chain([first], pages) for row in represent(page))
    lines = _csv(represented, columns) if kind == "csv" else _json_lines(represented)
    media_type = "text/csv; charset=utf-8" if kind == "csv" else "application/jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(lines, content_type=media_type, headers=headers)


def cell(value: Any) -> Any:
    """Return a value as a spreadsheet may hold it: a text that it would take for a formula begins with an apostrophe.

    Lists and objects are written as JSON.
    """
    if isinstance(value, dict | list):
        value = JSONRenderer().render(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _pages(rows: QuerySet[Any], ordering: str) -> Iterator[list[Model]]:
    comparison = "pk__lt" if ordering.startswith("-") else "pk__gt"
    ordered = rows.order_by(ordering)
    page = list(ordered[:PAGE_ROWS])
    while page:
        yield page
        last = page[-1].pk
        page = list(ordered.filter(**{comparison: last})[:PAGE_ROWS]) if len(page) == PAGE_ROWS else []


def _csv(rows: Iterator[dict[str, Any]], columns: Sequence[str]) -> Iterator[bytes]:
    yield _csv_line(columns)
    for row in rows:
        yield _csv_line([cell(row[name]) for name in columns])


def _csv_line(cells: Sequence[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


def _json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        yield JSONRenderer().render(row) + b"\n"
