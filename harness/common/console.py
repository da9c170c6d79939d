"""Consoles for rich's tables and live view, safe for text of others. Imported only when used: rich loads slowly."""

from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from harness.common.terminal import visible


class SafeConsole(Console):
    """A console that reads no markup in what it prints, and shows characters that a terminal would obey."""

    def __init__(self, file: TextIO | None = None, width: int | None = None, **options: Any) -> None:
        super().__init__(file=file, width=width, markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is shown: a cell is as wide as that."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything that is printed, whatever it is made of."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line; rich itself would end with exit code 1."""
        raise BrokenPipeError
