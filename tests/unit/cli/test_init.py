"""The questions of ``harness init``: asked once, and once more after a wrong answer, with what was answered before."""

import io

import pytest

from harness.cli.init import Interview
from harness.common.errors import UsageError
from harness.runner.init_template import check_answer

QUESTIONS = {"command": ("how is it started?", ""), "path": ("on which path?", "/")}
WRONG = UsageError("GET /nope answers 404", "--path names one that it has")


def interview(answers: str | None, **given: str) -> Interview:
    return Interview(QUESTIONS, given, None if answers is None else io.StringIO(answers), check_answer)


def test_what_flags_say_is_not_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert interview("/count\n", command="serve").complete() == {"command": "serve", "path": "/count"}
    assert capsys.readouterr().err == "on which path? [/] "


def test_an_empty_answer_is_the_default() -> None:
    assert interview("serve\n\n").complete() == {"command": "serve", "path": "/"}


def test_a_wrong_answer_is_asked_again_at_once_and_the_others_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert interview("serve\ncount\n/count\n").complete() == {"command": "serve", "path": "/count"}
    said = capsys.readouterr().err
    assert "path must be a path that begins with /, or None, not 'count'" in said
    assert (said.count("how is it started?"), said.count("on which path?")) == (1, 2)


def test_after_a_wrong_answer_all_is_asked_again_with_the_answers_as_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asking = interview("/nope\n\n/count\n", command="serve {port}")
    asking.complete()
    assert asking.again(WRONG)
    assert asking.complete() == {"command": "serve {port}", "path": "/count"}
    said = capsys.readouterr().err
    assert "GET /nope answers 404\n  hint: --path names one" in said
    assert "how is it started? [serve {port}] on which path? [/nope] " in said


def test_without_a_person_nothing_is_asked_twice_and_the_flags_repeat_the_answers() -> None:
    asking = interview(None, command="serve {port}")
    assert asking.complete() == {"command": "serve {port}", "path": "/"}
    assert not asking.again(WRONG)
    assert asking.flags() == "--command 'serve {port}' --path /"


def test_the_end_of_the_input_ends_the_questions() -> None:
    asking = interview("serve\n")
    assert asking.complete() == {"command": "serve", "path": "/"}
    assert not asking.again(WRONG)
