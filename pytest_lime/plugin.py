"""The pytest plugin: options, fixtures, and the way from a check to the report.

Nothing heavy is imported until a fixture is used.
"""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_lime import workers
from pytest_lime.callers import called_from
from pytest_lime.environment import describe_arithmetic
from pytest_lime.errors import LimeError, ModelError, OptionError, is_for_the_user, nearest
from pytest_lime.leftovers import Leftovers, from_root
from pytest_lime.options import INCONCLUSIVE, OPTION_NAMES, LimeOptions, check_names, from_text, resolve
from pytest_lime.results import Results
from pytest_lime.suites import CASE, LIME_OF_SUITE
from pytest_lime.tally import Tally
from pytest_lime.workplace import CACHE_SIZE, FOLDER, Workplace

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_lime.baselines import Shelf
    from pytest_lime.checker import Lime
    from pytest_lime.models import Model
    from pytest_lime.suites.collecting import SuiteFile

# Options that an ini file or a command line can spell; the values of others are objects.
COMMAND_LINE = {
    "device": "where the model runs: auto, cpu, cuda, cuda:1, mps, xpu",
    "samples": "masked copies scored in each explanation, or auto: until every claim is decided",
    "max_samples": "the most that auto takes",
    "seed": "seed of the masks",
    "precision": "of the passes: float32, bfloat16, float16",
}
# What a YAML suite is called; pytest itself asks Python files for the same beginning.
# Marks that say how a test runs, and not what it is about.
NOT_MARKS = frozenset({"parametrize", "usefixtures", "filterwarnings", "lime"})
SUITE_BEGINS, SUITE_ENDS = "test_", (".lime.yaml", ".lime.yml")
NO_MODEL = """\
lime_model is not defined: the lime fixture needs to know your model. Say --lime-model=module:attribute, or put this \
into conftest.py:

    import pytest
    from pytest_lime import TorchModel

    @pytest.fixture(scope="session")
    def lime_model():
        return TorchModel(net, size=(224, 224), mean=MEAN, std=STD, labels=LABELS)"""

RESULTS = pytest.StashKey[Results]()
WORKPLACE = pytest.StashKey[Workplace]()
LIME = pytest.StashKey["Lime"]()
# How often a test of this name has come in this run.
REPEAT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lime", "where image classifiers look (pytest-lime)")
    group.addoption(
        "--lime-report",
        metavar="DIR",
        help="folder of the report; given, it is written even when every check passes (default: lime-report)",
    )
    group.addoption("--lime-report-all", action="store_true", help="write the report, with pictures of passes too")
    group.addoption(
        "--lime-self-contained",
        action="store_true",
        help="write the report as one HTML file that holds its pictures (beside it, results.json)",
    )
    group.addoption(
        "--lime-inconclusive",
        metavar="|".join(INCONCLUSIVE),
        help="what an inconclusive check does to its test (default: warn)",
    )
    for name, words in COMMAND_LINE.items():
        group.addoption(_flag(name), metavar=name.upper(), help=f"{words} (default: {_default(name)})")
    group.addoption(
        "--lime-model",
        metavar="MODULE:ATTRIBUTE",
        help="a model, or a function that makes one, where no conftest.py defines the fixture lime_model",
    )
    group.addoption(
        "--lime-cache", metavar="DIR", help="folder for superpixels and samples (default: in the cache of pytest)"
    )
    group.addoption("--lime-no-cache", action="store_true", help="compute everything anew, and store nothing")
    group.addoption(
        "--lime-baselines",
        metavar="DIR",
        help=f"folder of the baselines of unchanged() (default: {FOLDER}, beside each test file)",
    )
    group.addoption("--lime-update", action="store_true", help="write baselines that are missing or have changed")
    group.addoption(
        "--lime-update-new-only", action="store_true", help="write baselines that are missing, and compare the others"
    )
    parser.addini("lime_report", "folder of the report, from the ini file's folder (default: lime-report)")
    parser.addini(
        "lime_self_contained", "whether the report is one HTML file that holds its pictures", type="bool", default=False
    )
    parser.addini("lime_inconclusive", f"what an inconclusive check does: {', '.join(INCONCLUSIVE)} (default: warn)")
    parser.addini("lime_model", "module:attribute of a model, where no conftest.py defines lime_model")
    parser.addini("lime_baselines", "folder of the baselines, from the ini file's folder")
    parser.addini("lime_cache", "folder for superpixels and samples, from the ini file's folder")
    parser.addini("lime_cache_size", f"megabytes that this folder may hold (default: {CACHE_SIZE})")
    for name in OPTION_NAMES:
        parser.addini(f"lime_{name}", f"default of the lime option {name} (default: {_default(name)})")


def _flag(name: str) -> str:
    return f"--lime-{name.replace('_', '-')}"


def _default(name: str) -> Any:
    return getattr(resolve(), name)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "lime(**options): options of pytest-lime for the checks of a test, such as samples=2000"
    )
    layers = [_read_layer(config, "command line"), _read_layer(config, "ini file")]
    given, ini = config.getoption("lime_inconclusive"), config.getini("lime_inconclusive")
    inconclusive = (ini or "warn") if given is None else given
    if inconclusive not in INCONCLUSIVE:
        spelt = f"lime_inconclusive={ini!r} in {config.inipath}" if given is None else f"--lime-inconclusive={given!r}"
        raise pytest.UsageError(
            f"{spelt} must be one of {', '.join(INCONCLUSIVE)}{nearest(inconclusive, INCONCLUSIVE)}."
        )
    if config.getoption("lime_model") == "":
        raise pytest.UsageError("--lime-model: no model is named; say --lime-model=module:attribute.")
    workplace = Workplace(config)
    leftovers = Leftovers(config, workplace.baselines, FOLDER)
    tally = Tally(config)
    results = Results(config, layers=layers, inconclusive=inconclusive, leftovers=leftovers, tally=tally)
    config.stash[RESULTS] = results
    config.stash[WORKPLACE] = workplace
    config.pluginmanager.register(leftovers, "pytest-lime-leftovers")
    config.pluginmanager.register(tally, "pytest-lime-tally")
    config.pluginmanager.register(results, "pytest-lime-results")


def _read_layer(config: pytest.Config, source: str) -> tuple[str, dict[str, Any]]:
    """Return the options that the command line, or the ini file, gives."""
    values = {}
    for name in COMMAND_LINE if source == "command line" else OPTION_NAMES:
        key = f"lime_{name}"
        text = config.getoption(key) if source == "command line" else config.getini(key)
        # An ini value that is not there reads as empty; an empty one on the command line is a slip.
        if text or (source == "command line" and text is not None):
            try:
                values[name] = from_text(name, text)
                LimeOptions(**{name: values[name]})
            except OptionError as error:
                spelt = _flag(name) if source == "command line" else f"{key} in {config.inipath}"
                raise pytest.UsageError(f"{spelt}: {error}") from None
    return source, values


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    name = file_path.name
    if not name.endswith(SUITE_ENDS):
        return None
    if not (name.startswith(SUITE_BEGINS) or parent.session.isinitpath(file_path)):
        return None
    from pytest_lime.suites.collecting import SuiteFile  # noqa: PLC0415  (imports numpy and yaml)

    return SuiteFile.from_parent(parent, path=file_path)


@pytest.fixture(scope="session")
def lime_model(request: pytest.FixtureRequest) -> Model:
    """The model that `lime` explains: override it in your conftest.py, or name one with ``--lime-model``.

    Return a `TorchModel`, a `CallableModel`, or any object that follows the protocol
    `pytest_lime.Model`.
    """
    config = request.config
    given, ini = config.getoption("lime_model"), config.getini("lime_model")
    if not (given or ini):
        pytest.fail(NO_MODEL, pytrace=False)
    try:
        return config.stash[WORKPLACE].model(given or ini)
    except ModelError as error:
        failure = f"{'--lime-model' if given else f'lime_model in {config.inipath}'}: {error}"
    pytest.fail(failure, pytrace=False)


@pytest.fixture
def lime(request: pytest.FixtureRequest, lime_model: Model) -> Lime:
    """Tests of where an image classifier looks.

    ``lime.check(image, target, *claims, **options)`` explains and judges, and
    ``lime.explain(image, target, **options)`` explains. Options come from the call, the
    marker ``@pytest.mark.lime(...)``, the command line and the ini file, in this order.
    """
    return _provide(request, lime_model)


@pytest.fixture(name=LIME_OF_SUITE)
def _lime_of_suite(request: pytest.FixtureRequest) -> Lime:
    """`lime` for the model that a case of a YAML suite names."""
    named = request.node.stash[CASE].model
    if ":" not in named.value:
        return _provide(request, request.getfixturevalue(named.value))
    try:
        model = request.config.stash[WORKPLACE].model(named.value)
    except ModelError as error:
        failure = named.error(str(error))
    else:
        return _provide(request, model)
    pytest.fail(f"{type(failure).__name__}: {failure}", pytrace=False)


def _provide(request: pytest.FixtureRequest, model: Model) -> Lime:
    """Make the `lime` of a test, or fail with one sentence."""
    made = _make_lime(request, model)
    if isinstance(made, LimeError):
        # The fixture's own lines say nothing to a user; the sentence does.
        pytest.fail(f"{type(made).__name__}: {made}", pytrace=False)
    request.node.stash[LIME] = made
    request.addfinalizer(made.close)
    return made


def _make_lime(request: pytest.FixtureRequest, model: Model) -> Lime | LimeError:
    from pytest_lime.checker import Lime  # noqa: PLC0415  (imports torch)
    from pytest_lime.models.protocol import check_model  # noqa: PLC0415

    workers.share_threads(request.config)
    results, workplace = request.config.stash[RESULTS], request.config.stash[WORKPLACE]
    try:
        made = Lime(
            check_model(model),
            layers=_layers(request.node),
            place=(place := _place(request)),
            shelf=_shelf(request, place),
            load=functools.partial(_load, request),
            folder=results.folder.path,
            shown=results.folder.address,
            inconclusive=results.inconclusive,
            draw_all=results.draw_all,
            failed_to_draw=results.failed_to_write,
            cache=workplace.cache,
            progress=workplace.progress,
            device=functools.partial(workers.device_of_worker, request.config),
            ahead=workplace.lookahead,
            # Counted by pytest-rerunfailures.
            attempt=max(1, getattr(request.node, "execution_count", 1)),
            called=_caller(request.node, place),
        )
        made.look_ahead(workers.plain_node_id(request.node), workplace.coming(request.node), _layers)
    except LimeError as error:
        return error
    return made


def _load(request: pytest.FixtureRequest, name: str) -> Model:
    """Return the model that a claim names: a fixture's name, or ``module:attribute``."""
    if ":" in name or not name.isidentifier():
        return request.config.stash[WORKPLACE].model(name)
    try:
        found: Model = request.getfixturevalue(name)
    except pytest.FixtureLookupError:
        raise ModelError(
            f"model {name!r} is no fixture that this test can use, and not of the form module:attribute, such as "
            "network:make_model; define the fixture in conftest.py, or name a module."
        ) from None
    return found


def _shelf(request: pytest.FixtureRequest, place: Mapping[str, Any]) -> Shelf:
    """Return the baselines of a test."""
    from pytest_lime.baselines import Shelf  # noqa: PLC0415  (imports numpy)

    workplace = request.config.stash[WORKPLACE]
    path = request.node.path
    # Beside its file a test is known by the name of that, so that the folder may be moved as a whole.
    beside = f"{path.name}::{place['test'].partition('::')[2]}"
    folder, test = workplace.baselines or path.parent / FOLDER, place["test"] if workplace.baselines else beside
    return Shelf(
        folder,
        shown=from_root(folder, request.config),
        test=test,
        mode=workplace.update,
        command=f"{place['rerun']} --lime-update",
        environment=describe_arithmetic(),
    )


def _layers(item: pytest.Item) -> list[tuple[str, Any]]:
    """Return the options of marker, command line and ini file, the strongest first."""
    case = item.stash.get(CASE, None)
    return [(case.where if case else "@pytest.mark.lime", _marked(item)), *item.config.stash[RESULTS].layers]


def _marked(item: pytest.Item) -> dict[str, Any]:
    """Return the options of the item's markers, the closest the strongest."""
    merged: dict[str, Any] = {}
    # pytest gives the marks of a parameter after those of its function, and they are closer.
    parameter = [mark for mark in getattr(getattr(item, "callspec", None), "marks", ()) if mark.name == "lime"]
    for mark in [*parameter, *item.iter_markers("lime")]:
        if mark.args:
            raise OptionError(f"@pytest.mark.lime takes options by name only, not {mark.args[0]!r}.")
        check_names(mark.kwargs, "@pytest.mark.lime")
        merged = {**mark.kwargs, **merged}
    return merged


def _place(request: pytest.FixtureRequest) -> dict[str, Any]:
    node_id = workers.plain_node_id(request.node)
    # Not the arguments as they were written, which a worker of pytest-xdist does not know.
    given = {
        name: request.config.getoption(f"lime_{name}") for name in (*COMMAND_LINE, "inconclusive", "model", "baselines")
    }
    kept = [f"{_flag(name)}={value}" for name, value in given.items() if value]
    path, line, _ = request.node.location
    case = request.node.stash.get(CASE, None)
    # From where the user stands, which need not be the folder that node ids start from.
    _, separator, inside = node_id.partition("::")
    try:
        reached = os.path.relpath(request.node.path, request.config.invocation_params.dir)
    except ValueError:  # on another drive of Windows
        reached = str(request.node.path)
    marks = {mark.name for mark in request.node.iter_markers()} - NOT_MARKS
    return {
        "test": node_id,
        "file": str(path).replace("\\", "/"),
        "line": (line or 0) + 1,
        "marks": sorted(marks),
        "rerun": shlex.join(["pytest", f"{reached}{separator}{inside}", *kept]),
        **({"repeat": repeat} if (repeat := request.node.stash.get(REPEAT, 1)) > 1 else {}),
        **(case.facts if case else {}),
    }


def _caller(item: pytest.Item, place: Mapping[str, Any]) -> Callable[[], Mapping[str, Any] | None]:
    """Return what says where a check is called: of a case of a YAML suite, where that begins."""
    if item.stash.get(CASE, None) is not None:
        return lambda: {"file": place["file"], "line": place["line"]}
    return functools.partial(called_from, item.config.rootpath)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    item.config.stash[WORKPLACE].next = nextitem
    item.stash[REPEAT] = workers.repeat_of(item)
    try:
        return (yield)
    except (KeyboardInterrupt, pytest.exit.Exception):
        # pytest makes no report of this test any more, but what it has checked is evidence.
        made = item.stash.get(LIME, None)
        if made is not None:
            item.config.stash[RESULTS].cut_off(item.nodeid, made.take_records(failed=False))
        raise


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    workers.tell_cache(node, node.config.stash[WORKPLACE].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    workplace = config.stash.get(WORKPLACE, None)
    if workplace is not None:
        workplace.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    __tracebackhide__ = True
    try:
        yield
    except pytest.FixtureLookupError as error:
        case = item.stash.get(CASE, None)
        if case is None:
            raise
        # pytest would read the YAML file as Python, to show the function.
        missing = error.argname
        told = error.msg or f"fixture {missing!r} is not there; define it in conftest.py"
        place = case.model if case.model and case.model.value == missing else case.place
        failure = place.error(told)
    else:
        return
    pytest.fail(f"{type(failure).__name__}: {failure}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    made = item.stash.get(LIME, None)
    if made is not None:
        # An explanation is evidence where an assertion of the user's own may have been about it: not where a claim
        # or an error of ours failed the test, nor before a skip (an expected failure is reported as skipped, too).
        skipped = report.skipped and not hasattr(report, "wasxfail")
        others = call.excinfo is not None and not is_for_the_user(call.excinfo)
        records = made.take_records(failed=others and not skipped)
        # Both travel with the report, also from a worker.
        if records:
            report.lime_records = records  # type: ignore[attr-defined]
        if made.baselines:
            report.lime_baselines = made.baselines  # type: ignore[attr-defined]
        if call.when == "teardown":
            # An item lives as long as the run, and what it has explained must not.
            del item.stash[LIME]
        problems = item.config.stash[RESULTS].take_problems()
        if problems:
            report.lime_problems = problems  # type: ignore[attr-defined]
    return report


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    # Whoever has no explanation in hand has not imported its module either.
    module = sys.modules.get("pytest_lime.explanation")
    figure = next((side for side in (left, right) if module and isinstance(side, module.Figure)), None)
    if figure is None:
        return None
    low, high = figure.interval
    return [
        f"{left!r} {op} {right!r}",
        figure.words,
        f"interval {low:.3g} … {high:.3g} at {figure.confidence:g} confidence, from {figure.samples:,} samples",
    ]
