"""The tree of errors, and how a message and a traceback meet a user."""

import pickle
import traceback
from types import SimpleNamespace

import pytest

from pytest_lime import errors
from pytest_lime.errors import ClaimFailed, LimeError, OptionError, nearest, one_line, user_error

BASES = {
    "BaselineError": OSError,
    "ClaimFailed": AssertionError,
    "ImageError": ValueError,
    "ModelError": ValueError,
    "OptionError": ValueError,
    "RecordError": OSError,
    "RegionError": ValueError,
    "SegmentationError": ValueError,
    "SuiteError": ValueError,
    "TargetError": LookupError,
}


@pytest.mark.parametrize("name", BASES)
def test_every_error_is_a_lime_error_and_one_of_pythons_own(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, LimeError)
    assert issubclass(kind, BASES[name])


def test_the_tree_is_complete() -> None:
    assert set(errors.__all__) == {"CacheWarning", "ClaimWarning", "InconclusiveWarning", "LimeError", *BASES}
    assert issubclass(errors.InconclusiveWarning, UserWarning)
    assert issubclass(errors.CacheWarning, UserWarning)
    assert issubclass(errors.ClaimWarning, UserWarning)


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_goes_by_its_public_name_and_survives_pickling(name: str) -> None:
    kind = getattr(errors, name)
    assert kind.__module__ == "pytest_lime"
    copy = pickle.loads(pickle.dumps(kind("a sentence")))
    assert type(copy) is kind
    assert str(copy) == "a sentence"


@pytest.mark.parametrize(
    ("name", "names", "words"),
    [
        ("segmentz", ["segments", "samples"], "; the nearest is 'segments'"),
        ("SLIC", ["slic", "grid"], "; the nearest is 'slic'"),
        ("tabby", ["dog", "tabby, tabby cat", "tab"], "; the nearest is 'tabby, tabby cat'"),
        ("zzz", ["slic", "grid"], ""),
        ("", ["slic"], ""),
        (7, ["seven", "17"], "; the nearest is '17'"),
        ("x", [], ""),
    ],
)
def test_nearest(name: object, names: list[str], words: str) -> None:
    assert nearest(name, names) == words


def test_one_line_keeps_short_values_and_cuts_long_ones() -> None:
    assert one_line([1, 2]) == "[1, 2]"
    assert one_line("x" * 200) == "'" + "x" * 78 + "…"
    assert len(one_line("x" * 200, limit=20)) == 20


def test_one_line_says_what_cannot_be_written() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert one_line(Broken()) == "<Broken that cannot be written>"
    # Python writes no whole number of more than 4,300 digits.
    assert one_line(10**5000) == "<int that cannot be written>"


def test_one_line_joins_the_lines_of_a_repr() -> None:
    class Tall:
        def __repr__(self) -> str:
            return "one\n   two\nthree"

    assert one_line(Tall()) == "one two three"


def inner(message: str) -> None:
    raise LimeError(message)


@user_error
def public(value: int, /, *, flag: bool = False, **options: object) -> int:
    """Do something."""
    if flag:
        inner("flagged")
    if value == 0:
        raise TypeError("from the inside")
    return value


def test_user_error_passes_results_and_the_docstring_on() -> None:
    assert public(3) == 3
    assert (public.__name__, public.__doc__) == ("public", "Do something.")


def test_a_lime_error_leaves_without_our_insides() -> None:
    with pytest.raises(LimeError, match="flagged") as caught:
        public(1, flag=True)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "wrapper"
    assert "inner" not in names


def test_a_cause_is_kept() -> None:
    @user_error
    def reads() -> None:
        try:
            raise OSError("disk")
        except OSError as error:
            raise LimeError("cannot read") from error

    with pytest.raises(LimeError) as caught:
        reads()
    assert isinstance(caught.value.__cause__, OSError)


def test_a_call_that_does_not_bind_names_the_arguments() -> None:
    with pytest.raises(OptionError, match=r"missing 1 required positional argument.*the arguments are value, flag\."):
        public()  # type: ignore[call-arg]


def test_a_type_error_from_the_inside_stays_a_type_error() -> None:
    with pytest.raises(TypeError, match="from the inside"):
        public(0)


@pytest.mark.parametrize(
    ("error", "told"),
    [(ClaimFailed("no"), True), (errors.InconclusiveWarning("open"), True), (ValueError("bug"), False), (None, False)],
)
def test_whose_tracebacks_are_hidden(error: Exception | None, told: bool) -> None:
    # What pytest passes has the exception as `value`; before there is one it passes None.
    assert errors.is_for_the_user(error and SimpleNamespace(value=error)) == told


def test_a_failed_claim_is_a_failed_assertion() -> None:
    with pytest.raises(AssertionError):
        raise ClaimFailed("no")
