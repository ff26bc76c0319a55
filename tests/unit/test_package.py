"""The package as a whole: its names, its layers, what it imports, and what it ships."""

import ast
import doctest
import graphlib
import importlib
import importlib.metadata
import os
import pkgutil
import subprocess
import sys
from functools import cache
from importlib import resources
from pathlib import Path

import pytest

import pytest_lime

ROOT = Path(pytest_lime.__file__).parent
PUBLIC = [
    "BaselineError",
    "Box",
    "CacheWarning",
    "CallableModel",
    "Claim",
    "ClaimFailed",
    "ClaimWarning",
    "Ellipse",
    "Explanation",
    "HuggingFaceModel",
    "ImageError",
    "InconclusiveWarning",
    "Lime",
    "LimeError",
    "LimeOptions",
    "Mask",
    "Model",
    "ModelError",
    "OnnxModel",
    "OptionError",
    "Polygon",
    "RecordError",
    "Region",
    "RegionError",
    "SegmentationError",
    "SklearnModel",
    "SuiteError",
    "TargetError",
    "TimmModel",
    "TorchModel",
    "Trial",
    "Verdict",
    "agrees_with",
    "contrast",
    "density_gap",
    "explain",
    "faithful",
    "fidelity",
    "invariant",
    "load_regions",
    "mass",
    "necessity",
    "no_reliance",
    "pointing",
    "predicted",
    "sane",
    "stable",
    "sufficiency",
    "top_iou",
    "top_overlap",
    "unchanged",
    "whole",
]
# From the bottom to the top; a package stands for all modules in it.
LAYERS = [
    {
        "errors",
        "extras",
        "options",
        "regions",
        "region_files",
        "images",
        "records",
        "states",
        "probes",
        "reliability",
        "environment",
        "revision",
    },
    {
        "anytime",
        "footprints",
        "segmentation",
        "fills",
        "designs",
        "perturbation",
        "kernels",
        "least_squares",
        "regressors",
        "selection",
        "surrogate",
        "agreement",
        "positives",
        "rankings",
        "drawing",
        "heatmaps",
        "highlights",
        "plots",
        "notebooks",
        "storage",
        "explanation",
    },
    {
        "models",
        "fingerprint",
        "allocator",
        "blas",
        "cache",
        "batches",
        "fusion",
        "tracing",
        "forward",
        "scenes",
        "opinions",
        "streams",
        "sampling",
        "explainer",
        "laboratory",
        "provenance",
    },
    {"verdicts", "interval_paths", "decisions", "groups", "sets", "claims", "trials", "baselines", "regression"},
    {
        "report",
        "suites",
        "summaries",
        "step_summary",
        "terminal_table",
        "half_blocks",
        "counts",
        "attempts",
        "untrusted",
        "svg_guard",
        "merging",
    },
    {
        "results",
        "ledger",
        "html_extras",
        "attachments",
        "endings",
        "report_folder",
        "leftovers",
        "tally",
        "callers",
        "workers",
        "progress",
        "prefetch",
        "lookahead",
        "workplace",
        "checker",
        "plugin",
        "starters",
        "cli",
        "__main__",
        "testing",
    },
]
LAYER_OF = {module: number for number, layer in enumerate(LAYERS) for module in layer}
HEAVY = (
    "torch",
    "numpy",
    "skimage",
    "sklearn",
    "PIL",
    "jinja2",
    "yaml",
    "scipy",
    "cmap",
    "matplotlib",
    "tqdm",
    "pycocotools",
)


def name_of(path: Path) -> str:
    """Return a module's name within the package: "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
MODULES = [name for name in SOURCES if name]


@cache
def imports_of(name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the modules of the package that `name` imports, anywhere in its source, and the foreign packages."""
    ours, foreign = set(), set()
    for node in ast.walk(ast.parse(SOURCES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import in line {node.lineno}"
            module = node.module or ""
            found = [f"{module}.{alias.name}" if module == "pytest_lime" else module for alias in node.names]
        else:
            continue
        for imported in found:
            package, _, inner = imported.partition(".")
            if package != "pytest_lime":
                foreign.add(package)
            elif inner in SOURCES:
                ours.add(inner)
            else:
                # A name of the package: it comes from the module that the lazy table says.
                ours |= {home for home, names in pytest_lime._HOMES.items() if inner in names}
    return frozenset(ours - {""}), frozenset(foreign)


def layer_of(name: str) -> int:
    return LAYER_OF[name.partition(".")[0]]


class TestNames:
    def test_the_public_names_are_exactly_these(self) -> None:
        assert pytest_lime.__all__ == PUBLIC

    @pytest.mark.parametrize("name", PUBLIC)
    def test_every_public_name_can_be_imported_and_says_whence_it_is(self, name: str) -> None:
        value = getattr(pytest_lime, name)
        assert value.__doc__
        assert value.__module__.partition(".")[0] == "pytest_lime"
        assert value.__name__ == name

    def test_the_lazy_table_and_the_type_checkers_imports_agree(self) -> None:
        tree = ast.parse(SOURCES[""].read_text(encoding="utf-8"))
        typed = {
            alias.name: (node.module or "").removeprefix("pytest_lime.")
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pytest_lime")
            for alias in node.names
        }
        assert typed == pytest_lime._HOME_OF
        assert sorted(typed) == sorted(PUBLIC)

    def test_dir_lists_them(self) -> None:
        assert set(PUBLIC) <= set(dir(pytest_lime))
        assert dir(pytest_lime) == sorted(dir(pytest_lime))

    def test_an_unknown_name_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="module 'pytest_lime' has no attribute 'Bocks'"):
            _ = pytest_lime.Bocks
        assert not hasattr(pytest_lime, "__wrapped__")

    def test_the_version_is_that_of_the_installed_package(self) -> None:
        assert importlib.metadata.version("pytest-lime") == pytest_lime.__version__

    @pytest.mark.parametrize("name", sorted(set(MODULES) - {"__main__"}))
    def test_every_module_lists_its_names(self, name: str) -> None:
        module = importlib.import_module(f"pytest_lime.{name}")
        defined = [
            key
            for key, value in vars(module).items()
            if not key.startswith("_") and getattr(value, "__module__", None) == module.__name__ and callable(value)
        ]
        if name == "plugin" or not defined:
            # pytest reads the plugin's hooks by their names.
            assert not hasattr(module, "__all__") or module.__all__
            return
        assert len(set(module.__all__)) == len(module.__all__)
        assert [key for key in module.__all__ if not hasattr(module, key)] == []


class TestLayers:
    def test_every_module_is_in_exactly_one_layer(self) -> None:
        assert sum(map(len, LAYERS)) == len(LAYER_OF)
        assert {name.partition(".")[0] for name in MODULES} == set(LAYER_OF)

    @pytest.mark.parametrize("name", MODULES)
    def test_a_module_imports_only_its_own_layer_and_those_below(self, name: str) -> None:
        above = {imported for imported in imports_of(name)[0] if layer_of(imported) > layer_of(name)}
        assert above == set()

    def test_no_module_imports_itself_by_way_of_others(self) -> None:
        graph = {name: imports_of(name)[0] - {name} for name in MODULES}
        graphlib.TopologicalSorter(graph).prepare()  # raises CycleError

    @pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] in ("report", "suites")])
    def test_report_and_suites_know_nothing_of_models(self, name: str) -> None:
        reached, waiting = set(), [name]
        while waiting:
            here = waiting.pop()
            if here not in reached:
                reached.add(here)
                waiting += imports_of(here)[0]
        assert {module for module in reached if layer_of(module) == 2} == set()
        assert {module for module in reached if "torch" in imports_of(module)[1]} == set()

    def test_only_execution_the_models_for_tests_and_the_setting_of_threads_import_torch(self) -> None:
        direct = {name for name in MODULES if "torch" in imports_of(name)[1]}
        assert {name for name in direct if layer_of(name) != 2} == {"testing", "workers"}
        # Every run loads `workers`, which imports torch only where it sets its threads.
        top = ast.parse(SOURCES["workers"].read_text(encoding="utf-8")).body
        assert "torch" not in {
            alias.name for node in top if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
        }

    def test_the_reader_of_imports_sees_those_of_all_kinds(self) -> None:
        # At the top; within a function; for type checkers; and through the package.
        assert "errors" in imports_of("options")[0]
        assert "PIL" in imports_of("options")[1]
        assert "regions" in imports_of("verdicts")[0]
        assert "workers" in imports_of("plugin")[0]
        assert "checker" in imports_of("plugin")[0]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a fresh process, without the plugins of others."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


class TestLightness:
    @pytest.mark.parametrize("module", ["pytest_lime", "pytest_lime.plugin", "pytest_lime.cli", "pytest_lime.errors"])
    def test_importing_costs_nothing(self, module: str, tmp_path: Path) -> None:
        code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
        done = run("-c", code, cwd=tmp_path)
        assert (done.stdout.strip(), done.stderr, done.returncode) == ("[]", "", 0)

    @pytest.mark.slow
    def test_a_check_that_fails_needs_no_more_than_it_uses(self, tmp_path: Path) -> None:
        # Each would add half a second and more to the start of every run.
        (tmp_path / "test_cat.py").write_text(
            "import sys\n\nimport numpy as np\nimport pytest\n\nfrom pytest_lime import Box, mass\n"
            "from pytest_lime.testing import FakeModel\n\n\n"
            "@pytest.fixture\ndef lime_model():\n    return FakeModel()\n\n\n"
            "def test_cat(lime):\n"
            "    image = np.zeros((*lime.model.input_size, 3), np.uint8)\n"
            "    image[8:16, 8:16] = 200\n"
            "    lime.check(image, 0, mass(Box(0, 0, 8, 8), at_least=0.99))\n",
            encoding="utf-8",
        )
        (tmp_path / "conftest.py").write_text(
            "import sys\n\n\n"
            "def pytest_unconfigure():\n"
            "    needless = ('scipy.stats', 'scipy.signal', 'sklearn', 'matplotlib')\n"
            "    print('needless:', [name for name in needless if name in sys.modules])\n",
            encoding="utf-8",
        )
        options = ("-p", "pytest_lime.plugin", "-p", "no:cacheprovider", "--lime-inconclusive=fail")
        done = run("-m", "pytest", *options, cwd=tmp_path)
        assert "1 failed" in done.stdout, done.stdout + done.stderr
        assert "ClaimFailed" in done.stdout
        assert "needless: []" in done.stdout

    def test_a_run_that_explains_nothing_costs_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "test_empty.py").write_text(
            "import sys\n\n\n"
            "def test_empty(pytestconfig):\n"
            "    assert pytestconfig.pluginmanager.hasplugin('pytest-lime-results')\n"
            f"    assert [name for name in {HEAVY!r} if name in sys.modules] == []\n",
            encoding="utf-8",
        )
        (tmp_path / "conftest.py").write_text(
            "import sys\n\n\n"
            "def pytest_unconfigure():\n"
            f"    print('heavy at the end:', [name for name in {HEAVY!r} if name in sys.modules])\n",
            encoding="utf-8",
        )
        done = run("-m", "pytest", "-p", "pytest_lime.plugin", "-p", "no:cacheprovider", "-q", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout
        assert "heavy at the end: []" in done.stdout
        assert not (tmp_path / "lime-report").exists()


@cache
def doctests_of(name: str) -> doctest.TestResults:
    return doctest.testmod(importlib.import_module(name))


WALKED = [
    info.name for info in pkgutil.walk_packages([str(ROOT)], "pytest_lime.") if not info.name.endswith("__main__")
]


class TestDoctests:
    @pytest.mark.parametrize("name", ["pytest_lime", *WALKED])
    def test_examples_in_docstrings_hold(self, name: str) -> None:
        assert doctests_of(name).failed == 0

    def test_there_are_examples(self) -> None:
        assert len(WALKED) == len(MODULES) - 1
        # Each public claim has one, and the models for tests have several.
        assert doctests_of("pytest_lime.claims").attempted >= 4
        assert sum(doctests_of(name).attempted for name in WALKED) >= 25


class TestShipped:
    def test_types(self) -> None:
        assert (resources.files("pytest_lime") / "py.typed").is_file()

    @pytest.mark.parametrize(("folder", "suffixes"), [("templates", {".html"}), ("assets", {".css", ".js", ".svg"})])
    def test_what_the_report_is_made_of(self, folder: str, suffixes: set[str]) -> None:
        files = [file for file in (resources.files("pytest_lime.report") / folder).iterdir() if file.is_file()]
        assert {Path(file.name).suffix for file in files} == suffixes
        assert all(file.read_text(encoding="utf-8").strip() for file in files)

    def test_what_a_starter_suite_is_made_of(self) -> None:
        files = [file for file in resources.files("pytest_lime.starters").iterdir() if file.is_file()]
        assert {Path(file.name).suffix for file in files} == {".py", ".txt", ".jpg", ".onnx"}
        assert all(file.read_bytes() for file in files)

    def test_the_plugin_is_found_by_pytest(self) -> None:
        points = importlib.metadata.entry_points(group="pytest11", name="lime")
        assert [point.value for point in points] == ["pytest_lime.plugin"]
