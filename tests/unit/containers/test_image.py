"""What the image holds."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = (ROOT / "targets" / "requirements.txt").read_text().splitlines()


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required() -> dict[str, str]:
    lines = [line for line in REQUIREMENTS if line and not line.startswith("#")]
    return {canonical(re.split(r"[<>=]", line)[0]): line for line in lines}


def test_every_library_that_the_services_import_is_in_the_image() -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "targets").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    others = {name.partition(".")[0] for name in named} - set(sys.stdlib_module_names) - {"targets"}
    providers = importlib.metadata.packages_distributions()
    wanted = {canonical(providers[name][0]) for name in others}
    assert wanted and wanted <= set(required())


def test_the_image_asks_for_the_versions_that_the_harness_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = {line.partition(";")[0].strip() for line in project["dependencies"]}
    assert set(required().values()) - ours == {"async-timeout>=4.0.3"}  # for a base with an older Python
