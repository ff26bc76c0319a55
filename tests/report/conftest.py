"""A browser for the report, and a small server that sends it under a strict content policy."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from pytest_lime import LimeOptions
from pytest_lime.groups import compare
from pytest_lime.report.evidence import describe_comparison
from pytest_lime.report.pictures import write_pictures
from pytest_lime.report.render import render

POLICY = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'"
# How much less than the first each group has of the figure that is compared.
SKINS = {"light": 0.0, "medium": 0.02, "dark": 0.3, "very dark": 0.35}
# Whatever is folded or not laid out yet is judged, too.
UNFOLD = """() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const card of document.querySelectorAll(".card")) card.style.contentVisibility = "visible";
}"""
LONG = "a_name_without_a_space" * 24


def _missing(reason: str) -> NoReturn:
    if os.environ.get("PYTEST_LIME_REQUIRE_BROWSER") == "1":
        pytest.fail(f"PYTEST_LIME_REQUIRE_BROWSER=1, but {reason}", pytrace=False)
    pytest.skip(f"browser tests need a browser: {reason}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium: env CHROMIUM, Debian's own, or the first one on the path."""
    named = os.environ.get("CHROMIUM")
    if named and not Path(named).is_file():
        _missing(f"CHROMIUM={named} is no file")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = [named, *filter(os.path.isfile, ["/usr/bin/chromium"]), *map(shutil.which, names)]
    path = next((path for path in found if path), None)
    if path is None:
        _missing("no Chromium was found; install one, or name it in the environment variable CHROMIUM")
    return path


@pytest.fixture(scope="session")
def unfold() -> Callable[[Any], None]:
    """Open all that is folded on a page, as whoever clicks on each of it does."""
    return lambda page: page.evaluate(UNFOLD)


@pytest.fixture(scope="session")
def violations() -> Callable[[Any], list[str]]:
    """What axe-core finds fault with on a page, a text for each rule with the first place and how many there are."""
    try:
        axe = import_module("axe_playwright_python.sync_playwright").Axe()
    except ImportError:
        _missing("axe-playwright-python is not installed; pip install 'pytest-lime[browser]'")

    def judge(page: Any) -> list[str]:
        page.evaluate(UNFOLD)
        # The page loads nothing for a script, not even its own style once more; what passes need not be listed.
        found = axe.run(page, options={"preload": False, "resultTypes": ["violations"]}).response["violations"]
        return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:150]} ({len(one['nodes'])})" for one in found]

    return judge


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    try:
        playwright_api: Any = import_module("playwright.sync_api")
    except ImportError:
        _missing("playwright is not installed; pip install 'pytest-lime[browser]'")
    with playwright_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield started
        started.close()


def _claim(status: str, estimate: float, interval: list[float]) -> dict[str, Any]:
    return {
        "claim": "mass",
        "text": "mass(Box(20, 20, 70, 70), at_least=0.5)",
        "meaning": "at least 0.5 of the positive weight lies in Box(20, 20, 70, 70)",
        "status": status,
        "estimate": estimate,
        "interval": interval,
        "relation": ">=",
        "bound": 0.5,
        "figure": f"{estimate:.2f}",
        "scale": [0.0, 1.0],
        "samples": 1000,
        "needs": 4000,
        "outlook": "about 4,000 samples in all should decide it" if status == "inconclusive" else "",
        "note": "",
    }


def _probe(region: str, *fills: str) -> dict[str, Any]:
    scores = [0.1234, 0.0567]
    return {"region": region, "fills": list(fills), "whole": 0.4, "without": scores, "alone": scores[::-1]}


def _record(folder: Path, name: str, **changes: Any) -> dict[str, Any]:
    rows, columns = np.mgrid[:96, :96]
    segments = rows // 24 * 4 + columns // 24
    weights = np.sin(np.arange(16.0) + 1)
    region = (rows >= 20) & (rows < 70) & (columns >= 20) & (columns < 70)
    order = np.argsort(-weights)
    photo = np.stack([rows / 95, columns / 95, (rows + columns) / 190], axis=2).astype(np.float32)
    paths = write_pictures(
        folder, name, photo=photo, segments=segments, weights=weights, regions=[region], top=order[:4].tolist()
    )
    paths["thumb"] = f"images/{name}-thumb.jpg"
    Image.fromarray((photo * 255).astype(np.uint8)).save(folder / paths["thumb"])
    runs = " ".join(f"{label}:24" for row in segments for label in row[::24])
    return {
        "version": 2,
        "id": name,
        "test": f"tests/test_{name}.py::test_{name}",
        "file": f"tests/test_{name}.py",
        "line": 3,
        "check": 0,
        "kind": "check",
        "outcome": "failed",
        "reason": "",
        "status": "fail",
        "image": {"name": f"{name}.png", "width": 96, "height": 96, "sha256": "0" * 64},
        "target": {"index": 1, "label": f"a {name}", "score": 0.4, "rank": 1},
        "predictions": [{"index": 1, "label": f"a {name}", "score": 0.4}],
        "claims": [_claim("fail", 0.3, [0.25, 0.35]), _claim("pass", 0.7, [0.6, 0.8])],
        "explanation": {"superpixels": 16, "samples": 1000, "passes": 1001, "confidence": 0.95, "r2": 0.7},
        "weights": [
            {
                "superpixel": int(label),
                "rank": rank,
                "weight": float(weights[label]),
                "interval": [float(weights[label]) + sign * (0.15 if label == 2 else 0.05) for sign in (-1, 1)],
                "shares": [float(region[segments == label].mean())],
            }
            for rank, label in enumerate(order, start=1)
        ],
        "top": 4,
        "regions": [{"text": "Box(20, 20, 70, 70)", "area": float(region.mean())}],
        "interventions": [_probe("Box(20, 20, 70, 70)", "segment_mean", "blur")],
        "validity": {
            "r2_heldout": 0.1,
            "gap": 0.2,
            "alive": 0.6,
            "occlusion": 0.5,
            "occlusion_interval": [0.3, 0.7],
            "poor": ["r2_heldout"],
        },
        "view": {"box": [0, 0, 96, 96], "shape": [96, 96]},
        "limit": float(np.abs(weights).max()),
        "pictures": paths,
        "options": {"segmenter": "grid"},
        "rerun": f"pytest tests/test_{name}.py",
        "message": "one line\nanother line",
        "segments": {"shape": [96, 96], "runs": runs},
        "model": {"name": "Net (small)", "sha256": "c0ffee" * 10 + "abcd", "input": [96, 96], "classes": 10},
        "marks": [],
        **changes,
    }


def _comparison(name: str, *groups: tuple[str, list[float]], **changes: Any) -> dict[str, Any]:
    found = compare({group: dict(enumerate(figures)) for group, figures in groups}, margin=0.1, statistic=name)
    record = describe_comparison(
        found,
        sizes={group: len(figures) for group, figures in groups},
        names={group: [f"{group} {number}.png" for number in range(len(figures))] for group, figures in groups},
        unit="image",
        text=f"{name}(Box(20, 20, 70, 70))",
        target={"index": 1, "label": f"a {name}"},
        cost={"images": 9, "samples": 9000, "passes": 9018, "seconds": 61.0, "device": "cpu"},
        options=LimeOptions(),
        extra={
            "id": name[:20],
            "check": 0,
            "test": f"tests/test_{name}.py::test_{name}",
            "file": f"tests/test_{name}.py",
            "line": 3,
            "rerun": f"pytest tests/test_{name}.py",
        },
    )
    return {**record, "outcome": "failed", "message": found.message(), **changes}


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a card of every kind, one of them with very long and hostile texts."""
    folder = tmp_path_factory.mktemp("report")
    nasty = f"<script>alert(1)</script>\u202e{LONG}"
    records = [
        _record(folder, "cat"),
        _record(
            folder,
            "long",
            test=f"tests/{nasty}",
            file=nasty,
            target={"index": 1, "label": nasty, "score": 0.4, "rank": 1},
            image={"name": nasty, "width": 96, "height": 96, "sha256": "0" * 64},
            predictions=[{"index": 1, "label": nasty, "score": 0.4}],
            claims=[{**_claim("fail", 0.3, [0.2, 0.4]), "meaning": nasty, "text": LONG, "figure": LONG}],
            regions=[{"text": nasty, "area": 0.2}],
            interventions=[_probe(nasty, nasty, LONG)],
            options={LONG: nasty},
            message=nasty,
            rerun=nasty,
            marks=[nasty],
            model={"name": nasty, "sha256": nasty},
        ),
        _record(folder, "dog", status="inconclusive", claims=[_claim("inconclusive", 0.52, [0.4, 0.6])]),
        _record(folder, "cow", outcome="xfailed", reason="known, see issue 42", marks=["slow"]),
        _record(folder, "owl", status="pass", outcome="passed", claims=[_claim("pass", 0.8, [0.7, 0.9])]),
        _record(folder, "elk", kind="explanation", claims=[]),
        *(
            _record(
                folder,
                name,
                test="tests/test_set.py::test_set",
                status=status,
                set={"id": "set", "number": number, "of": 2, "mostly": 0.5, "status": "pass", "name": "sheep"},
            )
            for number, (name, status) in enumerate([("ewe", "fail"), ("ram", "pass")], start=1)
        ),
        _comparison("skin", *((name, [0.6 - step, 0.62 - step, 0.58 - step]) for name, step in SKINS.items())),
        _comparison("x" + LONG, (nasty, [0.5, 0.6, 0.7]), (LONG, [0.5, 0.6, 0.8])),
    ]
    return render(_results(records), folder)


def _results(records: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {
        "format": "pytest-lime",
        "version": 2,
        "created": "2026-11-21T22:10:03+00:00",
        "command": f"pytest {LONG}",
        "duration": 41.2,
        "environment": {"pytest-lime": "0.1.0", "device": "cpu"},
        "run": {
            "exit": "stopped",
            "reason": "--maxfail=3",
            "git": {"commit": "5" * 40, "branch": "main", "dirty": True},
        },
        "counts": {"skipped": 2},
        "problems": ["images/x.png could not be written: the disk is full"],
        "records": records,
        **changes,
    }


@pytest.fixture(scope="session")
def in_one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that holds its pictures, with nothing beside it."""
    drawn, folder = tmp_path_factory.mktemp("drawn"), tmp_path_factory.mktemp("one")
    brief = _record(drawn, "owl", status="pass", outcome="passed", claims=[_claim("pass", 0.8, [0.7, 0.9])])
    brief["pictures"] = {"thumb": brief["pictures"]["thumb"]}
    records = [_record(drawn, "cat"), _record(drawn, "dog"), brief]
    path = render(_results(records), drawn, self_contained=True)
    return path.rename(folder / "report.html")


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of many checks, each with pictures of its own."""
    folder = tmp_path_factory.mktemp("crowd")
    first = _record(folder, "first")
    records = []
    for number in range(60):
        name = f"check-{number:02}"
        pictures = {kind: path.replace("first", name) for kind, path in first["pictures"].items()}
        for kind, path in pictures.items():
            shutil.copy(folder / first["pictures"][kind], folder / path)
        records.append({**first, "id": name, "test": f"tests/test_it.py::test[{number}]", "pictures": pictures})
    return render(_results(records), folder)


class _Handler(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """Keep quiet: pytest's output is for the tests."""


@pytest.fixture(scope="session")
def served(report: Path) -> Iterator[str]:
    """The address of the report on a local server that allows nothing but its own files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(report.parent))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


@pytest.fixture
def address(report: Path, served: str) -> Callable[[str], str]:
    return lambda place: report.as_uri() if place == "file" else served


@pytest.fixture
def requested() -> list[str]:
    """The addresses that pages have asked for so far."""
    return []


@pytest.fixture
def visit(browser: Any, address: Callable[[str], str], requested: list[str]) -> Iterator[Callable[..., Any]]:
    """Open a page in a fresh context; on leaving, nothing was logged and nothing came from elsewhere."""
    contexts = []
    complaints: list[str] = []

    def failed(request: Any) -> None:
        # A picture that is still on its way when the page is left is given up by the browser itself.
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"failed: {request.url} {request.failure}")

    def visit(place: str = "server", query: str = "", *, of: Path | None = None, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        at = address(place) if of is None else of.as_uri()
        own = (at.rsplit("/", 1)[0], "data:")
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on("requestfailed", failed)
        page.on(
            "request",
            lambda request: None if request.url.startswith(own) else complaints.append(f"outside: {request.url}"),
        )
        page.on("request", lambda request: requested.append(request.url))
        page.goto(at + query)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
