"""The image of Locust has every package that a load process imports."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
LOADED = """
import json, sys
import harness.load.locustfiles.adapter, harness.load.locustfiles.session_user, harness.recipes
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def required(name: str, known: set[str]) -> set[str]:
    """A package with all that it requires, without extras."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    if name in known:
        return known
    known = known | {name}
    for requirement in map(Requirement, importlib.metadata.requires(name) or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            known = required(requirement.name, known)
    return known


def test_what_a_load_process_imports_is_in_the_image() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    modules, homes = json.loads(done.stdout), importlib.metadata.packages_distributions()
    imported = {re.sub(r"[-_.]+", "-", homes[name][0]).lower() for name in modules if name in homes}
    lines = (ROOT / "compose" / "requirements.txt").read_text().splitlines()
    in_image: set[str] = set()
    for requirement in (Requirement(line) for line in lines if not line.startswith("#")):
        in_image = required(requirement.name, in_image)
    assert {"locust", "gevent", "publicsuffixlist"} <= imported
    assert imported - in_image - {"session-harness"} == set()
