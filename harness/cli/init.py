"""``harness init``."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from harness.cli import flags
from harness.common.terminal import note, show

if TYPE_CHECKING:
    from harness.common.errors import HarnessError
    from harness.runner.examine import InitFindings
    from harness.scenario.loading import Loaded

Target = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file to write; if it exists, only examine the service again.")
]
Start = Annotated[
    str | None,
    typer.Option(
        "--command", metavar="TEXT", help="How one copy of the service is started; {port} is where it listens."
    ),
]
Ready = Annotated[str | None, typer.Option(metavar="PATH", help="The path that answers 200 to 399 once it is up (/).")]
SessionKind = Annotated[
    str | None,
    typer.Option(
        metavar="KIND", help="How a session shows: page, counter, cart, login, token, mcp or socketio (page)."
    ),
]
SessionPath = Annotated[str | None, typer.Option(metavar="PATH", help="The path whose reply shows it (/).")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")]


def init(
    file: Target = Path("scenario.py"),
    *,
    start: Start = None,
    ready: Ready = None,
    session: SessionKind = None,
    path: SessionPath = None,
    force: Force = False,
    as_json: flags.Json = False,
) -> int:
    """Write a scenario for your own service.

    First start the service, and report how its sessions behave; the file is written last.

    Example:

    \b
        harness init --command "node server.js" --session counter --path /count
    """
    from harness.common.errors import UsageError

    answers = {"command": start, "ready": ready, "session": session, "path": path}
    if file.exists() and start is None and not force:
        findings = _examine_file(file)
    elif file.exists() and not force:
        raise UsageError(f"{file} already exists", "choose another name, or --force")
    else:
        findings = _write(file, {name: value for name, value in answers.items() if value is not None})
    if as_json:
        show(json.dumps(asdict(findings)))
    else:
        show("\n".join([*findings.sentences(), f"next: harness run {file}"]))
    return 0 if findings.shown else 3


def _write(file: Path, answers: dict[str, str]) -> "InitFindings":
    """Ask for what was not given, examine the service, and write the file; ask again after a wrong answer.

    Raises:
        HarnessError: an answer is wrong, and nobody is there to be asked again.
    """
    from harness.common.errors import HarnessError, UsageError
    from harness.load.sessions.manual import NotPlayableError
    from harness.runner import init_template
    from harness.runner.examine import InitFindings

    if not os.access(file.resolve().parent, os.W_OK):
        raise UsageError(f"cannot write {file}", "choose another place")
    kinds = ", ".join(init_template.KINDS)
    questions: dict[str, tuple[str, Default]] = {
        "command": ("how is one copy started ({port} is where it listens)?", ""),
        "session": (f"how does a session show ({kinds})?", "page"),
        "ready": ("which path answers once it is up?", init_template.usual_ready),
        "path": ("on which path?", "/"),
    }
    person = sys.stdin if sys.stdin.isatty() else None
    asking = Interview(questions, answers, person, init_template.check_answer)
    while True:
        try:
            options = init_template.InitOptions(**asking.complete())
            with _logs(file) as logs:
                findings = _examine(init_template.load_scenario(options, file, logs), logs)
            break
        except NotPlayableError as reason:  # the file is right, but nothing can be found out about it
            findings = InitFindings("", reason.message)
            break
        except HarnessError as problem:
            if not asking.again(problem):
                note(f"once more: harness init {file} {asking.flags()}")
                raise
    init_template.write_scenario(options, file, findings)
    note(f"{file} is written")
    return findings


def _examine_file(file: Path) -> "InitFindings":
    from harness.scenario import loading

    with _logs(file) as logs:
        return _examine(loading.load(file), logs)


def _examine(loaded: "Loaded", logs: Path) -> "InitFindings":
    """Start the service and look at its sessions."""
    from harness.common import interrupts
    from harness.runner import examine

    note("examining the service, 10 to 30 s")
    return interrupts.run_until_interrupted(examine.examine(loaded, logs))


@contextmanager
def _logs(file: Path) -> Iterator[Path]:
    """A directory beside the file, for logs: they stay if the examination fails."""
    logs = file.resolve().with_name(f"{file.name}.logs")
    logs.mkdir(exist_ok=True)
    for path in logs.iterdir():
        if path.suffix in (".log", ".jsonl", ".py"):  # of a former examination
            path.unlink()
    before = set(logs.iterdir())
    yield logs
    for path in set(logs.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with suppress(OSError):  # there is something else in it
        logs.rmdir()


Default = str | Callable[[Mapping[str, str]], str]


class Interview:
    """Asks a person for what flags did not say, and again after a wrong answer; what was answered is then the default.

    Without a person (``answers_from`` is None) the defaults hold. A default is a text, or made from the answers so far.
    ``check`` raises a ``UsageError`` for a wrong answer, given with its name.
    """

    def __init__(
        self,
        questions: Mapping[str, tuple[str, Default]],
        given: Mapping[str, str],
        answers_from: TextIO | None,
        check: Callable[[str, str], object],
    ) -> None:
        self._questions = questions
        self._answers_from = answers_from
        self._check = check
        self._known = dict(given)
        self._defaults: dict[str, str] = {}

    def complete(self) -> dict[str, str]:
        """Every answer."""
        for name, (question, default) in self._questions.items():
            if name not in self._known:
                usual = default if isinstance(default, str) else default(self._known)
                self._known[name] = self._ask(name, question, self._defaults.get(name, usual))
        return self._known

    def _ask(self, name: str, question: str, default: str) -> str:
        from harness.common.errors import UsageError

        while self._answers_from is not None:
            note(f"{question} [{default}] ", end="")
            line = self._answers_from.readline()
            if not line:  # the end of the input: nobody answers any more
                self._answers_from = None
            answer = line.strip() or default
            try:
                self._check(name, answer)
            except UsageError as problem:
                note(f"{problem.message}\n  hint: {problem.hint}")
            else:
                return answer
        return default

    def again(self, problem: "HarnessError") -> bool:
        """Say what is wrong with the answers, and forget them, but offer them again; False if nobody is there."""
        if self._answers_from is None:
            return False
        note(f"{problem.message}\n  hint: {problem.hint}\n(Ctrl-C ends this)")
        self._defaults, self._known = {**self._defaults, **self._known}, {}
        return True

    def flags(self) -> str:
        """The answers as flags."""
        return " ".join(f"--{name} {shlex.quote(value)}" for name, value in self._known.items())
