"""A balancer's configuration of the user's own: a file into which the harness fills its address and the members.

``{bind}`` becomes the address to listen on. A line with ``{address}`` is repeated for each member, with its ``{name}``.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.capabilities import Member
from harness.common.errors import UsageError
from harness.common.ports import LOOPBACK, Reservation

_SYNTAX = {
    "haproxy": re.compile(r"^(frontend|backend|listen)\s", re.MULTILINE),
    "nginx": re.compile(r"^\s*(http|stream)\s*\{", re.MULTILINE),
}
_NAMING = {
    "haproxy": "add to its backend: http-response set-header X-Replica %s",
    "nginx": 'add map $upstream_addr $replica { default ""; } with the line {address} {name}; in it, and '
    "add_header X-Replica $replica always;",
}
_LINE_NUMBER = re.compile(r"(?<=:)\d+")
_TRIAL = (Member("r0", LOOPBACK, 1), Member("r1", LOOPBACK, 2))
_CHECK_TIMEOUT_S = 20


@dataclass(frozen=True)
class OwnConfig:
    """The file, not filled in yet."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: str | Path) -> "OwnConfig":
        """Read the file.

        Raises:
            UsageError: it cannot be read, or a placeholder is missing.
        """
        try:
            text = Path(path).read_text()
        except (OSError, ValueError) as problem:
            raise UsageError(f"cannot read the balancer's configuration {path}: {problem}", "correct config=") from None
        for placeholder, example in (("{bind}", "bind {bind}"), ("{address}", "server {name} {address}")):
            if placeholder not in text:
                raise UsageError(
                    f"{path} has no {placeholder}: the harness cannot fill in its own",
                    f"write {placeholder} in its place, as in: {example}",
                )
        return cls(Path(path), text)

    @property
    def balancer(self) -> str:
        """The balancer for which it is written.

        Raises:
            UsageError: it is for neither.
        """
        for name, syntax in _SYNTAX.items():
            if syntax.search(self.text):
                return name
        raise UsageError(
            f"{self.path} has neither a frontend (HAProxy) nor an http block (nginx)", f"for {' or '.join(_SYNTAX)}"
        )

    def fill(self, bind: str, members: Iterable[Member]) -> str:
        """The configuration for these members."""
        return "".join(line for _, line in self._lines(bind, list(members)))

    def _lines(self, bind: str, members: Sequence[Member]) -> Iterable[tuple[int, str]]:
        for number, line in enumerate(self.text.splitlines(keepends=True), 1):
            bound = line.replace("{bind}", bind)
            for member in members if "{address}" in line else (None,):
                yield number, fill_member(bound, member) if member else bound

    def require_names(self) -> None:
        """Check that replies say which replica answered, for a service that does not.

        Raises:
            UsageError: they do not.
        """
        if "X-Replica" not in self.text:
            raise UsageError(f"with {self.path} no reply says which replica answered", _NAMING[self.balancer])

    def require_accepted(self, argv: Sequence[str]) -> None:
        """Let the balancer check it, filled in; ``argv`` is the command, without the file.

        Raises:
            UsageError: it refuses the file; the message has its reason, and the line.
        """
        with tempfile.TemporaryDirectory(prefix="harness-") as folder, Reservation() as port:
            lines = list(self._lines(f"{LOOPBACK}:{port.port}", _TRIAL))
            file = Path(folder) / "checked.cfg"
            file.write_text("".join(line for _, line in lines))
            command = [word.replace("{folder}", folder) for word in argv]
            done = subprocess.run(
                [*command, str(file)], capture_output=True, text=True, timeout=_CHECK_TIMEOUT_S, check=False
            )
        if done.returncode:
            named = [line for line in done.stderr.splitlines() if str(file) in line and "file is" not in line]
            reason = (named or done.stderr.splitlines() or [f"exit code {done.returncode}"])[0]
            numbers = {str(index): str(number) for index, (number, _) in enumerate(lines, 1)}
            known = _LINE_NUMBER.sub(lambda match: numbers.get(match[0], match[0]), reason)
            raise UsageError(
                f"{self.balancer} refuses its configuration: {known.replace(str(file), str(self.path))}",
                f"correct {self.path}",
            )


def fill_member(line: str, member: Member) -> str:
    """A line of the file for one member."""
    return line.replace("{address}", f"{member.host}:{member.port}").replace("{name}", member.name)
