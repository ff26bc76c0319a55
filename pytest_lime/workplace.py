"""What the tests of a process share: the cache, the bar, named models, and what is known of the tests to come."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_lime import workers
from pytest_lime.errors import one_line
from pytest_lime.suites import CASE

if TYPE_CHECKING:
    from pytest_lime.cache import Cache
    from pytest_lime.lookahead import Lookahead
    from pytest_lime.models import Model
    from pytest_lime.progress import Progress

__all__ = ["CACHE_SIZE", "FOLDER", "Workplace"]

# Of baselines, beside their tests.
FOLDER = "lime-baselines"
# In megabytes.
CACHE_SIZE = 1024
# So many tests are looked at, at most, in search of those to come.
HORIZON = 32


class Workplace:
    """The cache, the bar and the lookahead of a run; each is made when a test first needs it.

    Attributes
    ----------
    next : pytest.Item or None
        The test that runs after the one at hand; a worker of pytest-xdist knows of no other.
    baselines : Path or None
        The folder that the user named for baselines; None where they are beside their tests.
    update : ``"compare"``, ``"new"`` or ``"update"``
        What is written of baselines.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.next: pytest.Item | None = None
        self._size = self._check_size()
        self._folder = self._check_folder()
        self.baselines = self._named_folder("baselines")
        self.update = self._check_update()
        self._models: dict[str, Model] = {}

    def _check_size(self) -> int:
        text = self._config.getini("lime_cache_size") or str(CACHE_SIZE)
        try:
            size = float(text)
        except (TypeError, ValueError):
            size = -1.0
        if not 1 <= size < float("inf"):
            raise pytest.UsageError(
                f"lime_cache_size={text!r} in {self._config.inipath} must be a number of megabytes, at least 1."
            )
        return int(size * 10**6)

    def _check_folder(self) -> Path | None:
        """Return the folder that the user named for the cache; None leaves it to the cache of pytest."""
        if self._config.getoption("lime_cache") is not None and self._config.getoption("lime_no_cache"):
            raise pytest.UsageError("--lime-cache and --lime-no-cache say the opposite; give one of them.")
        folder = self._named_folder("cache")
        return workers.cache_of_controller(self._config) if folder and workers.is_worker(self._config) else folder

    def _check_update(self) -> str:
        given = [name for name in ("lime_update", "lime_update_new_only") if self._config.getoption(name)]
        if len(given) > 1:
            raise pytest.UsageError(
                "--lime-update replaces baselines that have changed, and --lime-update-new-only compares with them; "
                "give one of them."
            )
        return {"lime_update": "update", "lime_update_new_only": "new"}[given[0]] if given else "compare"

    def _named_folder(self, what: str) -> Path | None:
        """Return the folder that command line or ini file name for ``"cache"`` or ``"baselines"``."""
        given, ini = self._config.getoption(f"lime_{what}"), self._config.getini(f"lime_{what}")
        if given == "":
            raise pytest.UsageError(f"--lime-{what}: no folder is named; say --lime-{what}=DIR.")
        if not (given or ini):
            return None
        invoked = Path(self._config.invocation_params.dir)
        base = invoked if given or not self._config.inipath else self._config.inipath.parent
        spelt = f"--lime-{what}={given}" if given else f"lime_{what}={ini} in {self._config.inipath}"
        folder = Path(os.path.abspath(base / Path(given or ini).expanduser()))  # noqa: PTH100  (resolve would follow links)
        try:
            is_file = folder.exists() and not folder.is_dir()
        except OSError as error:
            raise pytest.UsageError(f"{spelt}: {one_line(str(folder))} cannot be used: {error.strerror}.") from None
        if is_file:
            raise pytest.UsageError(f"{spelt}: {str(folder)!r} is a file; name a folder.")
        return folder

    @property
    def folder(self) -> Path | None:
        """The folder that the user named for the cache."""
        return self._folder

    @functools.cached_property
    def cache(self) -> Cache | None:
        """Where superpixels and samples are kept; None under ``--lime-no-cache``, or where pytest has no cache."""
        from pytest_lime.cache import Cache  # noqa: PLC0415  (imports numpy)

        if self._config.getoption("lime_no_cache"):
            return None
        folder = self._folder
        kept = getattr(self._config, "cache", None)
        if folder is None and kept is not None:
            try:
                folder = kept.mkdir("lime")
            except OSError:  # a folder that cannot be written to; pytest says so itself
                return None
        return None if folder is None else Cache(folder, limit=self._size)

    @functools.cached_property
    def progress(self) -> Progress:
        """The bar on the terminal."""
        from pytest_lime.progress import Progress  # noqa: PLC0415

        return Progress(self._config)

    @functools.cached_property
    def lookahead(self) -> Lookahead:
        """What is known of tests to come."""
        from pytest_lime.lookahead import Lookahead  # noqa: PLC0415  (imports torch)

        return Lookahead()

    def model(self, name: str) -> Model:
        """Return the model that ``module:attribute`` names, the same one throughout the run.

        Raises
        ------
        ModelError
            There is no such model.
        """
        from pytest_lime.models.named import load_model  # noqa: PLC0415  (imports torch)

        if name not in self._models:
            self._models[name] = load_model(name)
        return self._models[name]

    def coming(self, item: pytest.Item) -> Iterator[pytest.Item]:
        """Yield the tests that run after `item`, as far as they are the same one with other parameters.

        All cases of a suite are of one kind, too.
        """
        if self.next is None:
            return
        items: Iterator[pytest.Item] = iter([self.next])
        if not workers.is_worker(self._config):
            listed = item.session.items
            start = next((place for place, one in enumerate(listed) if one is self.next), len(listed))
            items = itertools.islice(listed, start, start + HORIZON)
        kind = _kind_of(item)
        for one in items:
            if kind is None or _kind_of(one) is not kind or one.parent is not item.parent:
                return
            yield one

    def close(self) -> None:
        """Let go of what works in the background."""
        if "lookahead" in vars(self):
            self.lookahead.close()
        self._models.clear()


def _kind_of(item: pytest.Item) -> object:
    """Return what tests have in common that may be made ready one for the other; None where nothing is known."""
    return CASE if CASE in item.stash else getattr(item, "function", None)
