"""Live progress in the terminal: a bar for each wave, drawn again with each look at the server."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

BAR = 24
# What a vehicle can be doing, in the order of the bar.
PARTS = (
    ("succeeded", "green", "█"),
    ("soaking", "cyan", "█"),
    ("installing", "blue", "█"),
    ("downloaded", "blue", "▓"),
    ("downloading", "blue", "▒"),
    ("offered", "yellow", "░"),
    ("failed", "red", "█"),
)


class Counting:
    """One line that counts up."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self._live = Live(console=console, refresh_per_second=4)
        self._console = console
        self._what, self._total = what, total

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()
        _end_line(self._console)

    def show(self, count: int) -> None:
        self._live.update(Text(f"  {count:>4} of {self._total} {self._what}"))


class CampaignDisplay:
    """A campaign's waves as bars, with its state above them."""

    def __init__(self, console: Console, title: str) -> None:
        self._live = Live(console=console, refresh_per_second=4)
        self._console = console
        self._title = title

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()
        _end_line(self._console)

    def show(self, campaign: Mapping[str, Any]) -> None:
        """Draw the campaign as the operator API shows it."""
        table = Table.grid(padding=(0, 1))
        table.title = f"[bold]{self._title}[/]  {campaign['state']}"
        table.title_justify = "left"
        for width in (9, 9, BAR, None):
            table.add_column(min_width=width, no_wrap=width is not None)
        for wave in campaign["waves"]:
            counts: Mapping[str, int] = wave["counts"]
            table.add_row(f"  wave {wave['number']}", f"{wave['state']:9}", _bar(counts), _words(counts))
        self._live.update(table)


def _end_line(console: Console) -> None:
    # Into a file or a pipe, what was live is written once, without the end of its last line.
    if not console.is_terminal:
        console.print()


def _bar(counts: Mapping[str, int]) -> Text:
    total = max(sum(counts.values()), 1)
    bar = Text()
    for state, colour, block in PARTS:
        bar.append(block * round(BAR * counts.get(state, 0) / total), style=colour)
    bar.append("·" * max(BAR - len(bar), 0), style="dim")
    return bar


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "0 vehicles"
