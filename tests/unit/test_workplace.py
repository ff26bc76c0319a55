"""What the tests of a process share: where the cache is, and which tests come next."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_lime.suites import CASE
from pytest_lime.workplace import HORIZON, Workplace


def config_of(
    folder: Path,
    *,
    given: str | None = None,
    no_cache: bool = False,
    ini: dict[str, str] | None = None,
    worker: dict[str, Any] | None = None,
    cache: Any = None,
) -> Any:
    """Return what a workplace asks of pytest's configuration."""
    options = {
        "lime_cache": given,
        "lime_no_cache": no_cache,
        "lime_baselines": None,
        "lime_update": False,
        "lime_update_new_only": False,
    }
    return SimpleNamespace(
        getoption=options.__getitem__,
        getini=lambda name: (ini or {}).get(name, ""),
        inipath=folder / "inner" / "tox.ini" if ini else None,
        invocation_params=SimpleNamespace(dir=folder),
        cache=cache,
        **({} if worker is None else {"workerinput": worker}),
    )


class TestFolder:
    def test_none_is_named(self, tmp_path: Path) -> None:
        assert Workplace(config_of(tmp_path)).folder is None

    def test_on_the_command_line_it_starts_where_the_user_stands(self, tmp_path: Path) -> None:
        assert Workplace(config_of(tmp_path, given="kept")).folder == tmp_path / "kept"
        assert Workplace(config_of(tmp_path, given="a/../kept")).folder == tmp_path / "kept"
        assert Workplace(config_of(tmp_path, given=str(tmp_path / "b"))).folder == tmp_path / "b"

    def test_in_the_ini_file_it_starts_there(self, tmp_path: Path) -> None:
        ini = {"lime_cache": "kept"}
        assert Workplace(config_of(tmp_path, ini=ini)).folder == tmp_path / "inner" / "kept"
        assert Workplace(config_of(tmp_path, ini=ini, given="given")).folder == tmp_path / "given"

    def test_a_home_is_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
        for options in ({"given": "~/kept"}, {"ini": {"lime_cache": "~/kept"}}):
            assert Workplace(config_of(tmp_path, **options)).folder == tmp_path / "home" / "kept"

    def test_an_ini_file_that_names_what_cannot_be_is_named_itself(self, tmp_path: Path) -> None:
        with pytest.raises(pytest.UsageError, match=r"^lime_cache=.* in .*tox\.ini"):
            Workplace(config_of(tmp_path, ini={"lime_cache": "x" * 5000}))

    def test_a_worker_is_told(self, tmp_path: Path) -> None:
        worker = {"pytest_lime_cache": str(tmp_path / "kept")}
        config = config_of(tmp_path / "elsewhere", given="kept", worker=worker)
        assert Workplace(config).folder == tmp_path / "kept"

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"given": "kept", "no_cache": True}, "--lime-cache and --lime-no-cache say the opposite"),
            ({"given": ""}, "--lime-cache: no folder is named; say --lime-cache=DIR"),
            ({"given": "file"}, "--lime-cache=file: '"),
            ({"given": "file"}, "file' is a file; name a folder"),
            ({"ini": {"lime_cache": "../file"}}, "lime_cache=../file in "),
            ({"ini": {"lime_cache": "../file"}}, "tox.ini: '"),
            ({"given": "x" * 5000}, "cannot be used: "),
        ],
        ids=["both", "empty", "option", "file", "ini", "ini file", "long"],
    )
    def test_errors(self, options: dict[str, Any], words: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(pytest.UsageError) as caught:
            Workplace(config_of(tmp_path, **options))
        assert words in str(caught.value)


class TestCache:
    @pytest.mark.parametrize(
        ("text", "limit"), [("", 1024 * 10**6), ("5", 5 * 10**6), ("1.5", 1_500_000), ("1e3", 10**9)]
    )
    def test_its_size_is_in_megabytes(self, text: str, limit: int, tmp_path: Path) -> None:
        cache = Workplace(config_of(tmp_path, given="kept", ini={"lime_cache_size": text})).cache
        assert cache is not None
        assert (cache.folder, cache.limit) == (tmp_path / "kept", limit)

    @pytest.mark.parametrize("text", ["0", "0.99", "-3", "much", "inf", "nan", "1 GB"])
    def test_a_wrong_size(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(
            pytest.UsageError, match=r"lime_cache_size='.*' in .*tox.ini must be a number of megabytes, at least 1"
        ):
            Workplace(config_of(tmp_path, ini={"lime_cache_size": text}))

    def test_it_is_made_when_it_is_needed(self, tmp_path: Path) -> None:
        workplace = Workplace(config_of(tmp_path, given="kept"))
        assert workplace.cache is workplace.cache is not None
        assert not (tmp_path / "kept").exists()

    def test_by_default_it_is_in_the_cache_of_pytest(self, tmp_path: Path) -> None:
        kept = SimpleNamespace(mkdir=lambda name: tmp_path / "d" / name)
        cache = Workplace(config_of(tmp_path, cache=kept)).cache
        assert cache is not None
        assert cache.folder == tmp_path / "d" / "lime"
        named = Workplace(config_of(tmp_path, given="kept", cache=kept)).cache
        assert named is not None
        assert named.folder == tmp_path / "kept"

    def test_there_may_be_none(self, tmp_path: Path) -> None:
        def refuse(name: str) -> Path:
            raise PermissionError

        assert Workplace(config_of(tmp_path)).cache is None
        assert Workplace(config_of(tmp_path, cache=SimpleNamespace(mkdir=refuse))).cache is None
        ini = {"lime_cache": "kept"}
        assert Workplace(config_of(tmp_path, no_cache=True, ini=ini)).cache is None


class TestComing:
    @staticmethod
    def items(*functions: Any, parents: dict[int, Any] | None = None) -> list[Any]:
        """Return the tests of a session, one of each function."""
        session = SimpleNamespace()
        session.items = [
            SimpleNamespace(
                function=function, parent=(parents or {}).get(place, "module"), session=session, stash=pytest.Stash()
            )
            for place, function in enumerate(functions)
        ]
        return list(session.items)

    @staticmethod
    def places(items: list[Any], at: int, config: Any) -> list[int]:
        workplace = Workplace(config)
        workplace.next = items[at + 1] if at + 1 < len(items) else None
        found = list(workplace.coming(items[at]))
        return [next(place for place, item in enumerate(items) if item is one) for one in found]

    def test_those_of_the_same_function_without_a_gap(self, tmp_path: Path) -> None:
        config = config_of(tmp_path)
        items = self.items(str, str, str, int, str, str)
        assert [self.places(items, at, config) for at in range(6)] == [[1, 2], [2], [], [], [5], []]

    def test_of_the_same_module_or_class(self, tmp_path: Path) -> None:
        items = self.items(str, str, str, parents={2: "another"})
        assert self.places(items, 0, config_of(tmp_path)) == [1]

    def test_cases_of_a_suite_are_of_one_kind(self, tmp_path: Path) -> None:
        items = self.items(str, int, float, str)
        for item in items[1:]:
            item.stash[CASE] = object()
        assert [self.places(items, at, config_of(tmp_path)) for at in range(4)] == [[], [2, 3], [3], []]

    def test_what_is_no_function_has_none(self, tmp_path: Path) -> None:
        items = self.items(None, None)
        assert self.places(items, 0, config_of(tmp_path)) == []

    def test_not_too_many_are_looked_at(self, tmp_path: Path) -> None:
        items = self.items(*[str] * (HORIZON + 10))
        assert self.places(items, 0, config_of(tmp_path)) == list(range(1, HORIZON + 1))

    def test_a_worker_knows_of_one(self, tmp_path: Path) -> None:
        config = config_of(tmp_path, worker={"pytest_lime_cache": None})
        items = self.items(str, str, str, int)
        assert [self.places(items, at, config) for at in range(4)] == [[1], [2], [], []]

    def test_a_next_test_that_is_none_of_the_session(self, tmp_path: Path) -> None:
        # Whoever runs tests in an order of his own.
        items, others = self.items(str, str), self.items(str)
        workplace = Workplace(config_of(tmp_path))
        workplace.next = others[0]
        assert list(workplace.coming(items[0])) == []


def test_closing_what_was_never_opened(tmp_path: Path) -> None:
    workplace = Workplace(config_of(tmp_path))
    workplace.close()
    assert workplace.lookahead is workplace.lookahead
    workplace.close()
