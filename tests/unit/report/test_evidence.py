from harness.report.evidence import describe_evidence


def test_evidence_is_said_in_words() -> None:
    facts: dict[str, str | int | bool] = {
        "kind": "kill",
        "pid": 17,
        "signal": "SIGKILL",
        "pid_gone": True,
        "boot": "ba0ed3ed705d5535",
        "fault": 1,
    }
    assert describe_evidence(facts) == "process 17; SIGKILL was sent; the process is gone; start ba0ed3ed"


def test_what_has_no_words_of_its_own_keeps_its_name() -> None:
    assert describe_evidence({"stands_still_s": 0.25, "held_up": False, "files": 3, "reason": None}) == (
        "stands still 0.25 s; not confirmed: held up; files 3"
    )
