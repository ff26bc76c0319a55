"""Where `lime` was called."""

import inspect
from pathlib import Path

from pytest_lime.callers import called_from
from pytest_lime.errors import user_error

ROOT = Path(__file__).parents[2]


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_the_users_own_frame_relative_to_the_root() -> None:
    assert (called_from(ROOT), line()) == ({"file": "tests/unit/test_callers.py", "line": line()}, line())


def test_a_file_elsewhere_keeps_its_path(tmp_path: Path) -> None:
    found = called_from(tmp_path)
    assert found is not None
    assert found["file"] == Path(__file__).as_posix()


def test_frames_of_this_package_are_passed_over() -> None:
    found = user_error(called_from)(ROOT)
    assert found is not None
    assert found["file"] == "tests/unit/test_callers.py"


def test_a_helper_of_the_users_is_where_it_is_called() -> None:
    def helper() -> tuple[object, int]:
        return called_from(ROOT), line()

    found, here = helper()
    assert found == {"file": "tests/unit/test_callers.py", "line": here}
