"""What the image holds."""

import ast
import importlib.metadata
import itertools
import re
import sys
import tomllib
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from harness.cluster.containers.image import LOCUST, PARTS, Recipe, image

ROOT = Path(__file__).resolve().parents[4]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(recipe: Recipe) -> dict[str, str]:
    text = (ROOT / recipe.requirements).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {canonical(re.split(r"[<>=]", line)[0]): line for line in lines}


def test_the_image_that_was_asked_for_is_the_latest_though_another_was_built_since() -> None:
    images = MagicMock()
    name = image(MagicMock(client=MagicMock(images=images)))
    assert name.startswith("session-harness:") and images.get.call_args.args == (name,)
    images.build.assert_not_called()
    images.get.return_value.tag.assert_called_once_with("session-harness", "latest")


def test_every_library_that_the_services_import_is_in_the_image() -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "targets").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    others = {name.partition(".")[0] for name in named} - set(sys.stdlib_module_names) - {"targets"}
    providers = importlib.metadata.packages_distributions()
    wanted = {canonical(providers[name][0]) for name in others}
    assert wanted and wanted <= set(required(PARTS))


@pytest.mark.parametrize("recipe", [PARTS, LOCUST], ids=lambda recipe: str(recipe.name))
def test_an_image_asks_for_the_versions_that_the_harness_does(recipe: Recipe) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *itertools.chain.from_iterable(project["optional-dependencies"].values())]
    ours = {line.partition(";")[0].strip() for line in lines}
    assert set(required(recipe).values()) - ours <= {"async-timeout>=4.0.3"}  # for a base with an older Python


def test_an_image_holds_what_its_dockerfile_copies_and_no_caches() -> None:
    for recipe in (PARTS, LOCUST):
        files = set(recipe.files())
        assert {Path(recipe.dockerfile), recipe.requirements, Path("targets/__main__.py")} <= files
        assert not [path for path in files if "__pycache__" in path.parts]
