"""--junitxml: what the file says of the checks of each test."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

Run = Callable[..., pytest.RunResult]
CHECKS = """
    from pytest_lime.testing import planted_and

    MODEL = planted_and([0, 1, 2], d=25)
    REGION = Box(0, 0, 8, 4)

    @pytest.fixture(scope="session")
    def lime_model():
        return MODEL

    def check(lime, *claims):
        lime.check(MODEL.image, "planted", *claims, **{**MODEL.options, "samples": 200})

    def test_passes(lime):
        check(lime, predicted())

    def test_fails(lime):
        check(lime, predicted())
        check(lime, predicted(at_least=2.0))

    def test_is_open(lime):
        options = {**MODEL.options, "samples": 200}
        found = lime.explain(MODEL.image, "planted", regions=[REGION], **options).mass(REGION)
        check(lime, mass(REGION, at_least=float(found)))

    @pytest.mark.xfail(reason="known")
    def test_expected(lime):
        check(lime, predicted(at_least=2.0))

    def test_only_explains(lime):
        lime.explain(MODEL.image, "planted", **{**MODEL.options, "samples": 200})

    def test_something_else():
        pass
    """

Properties = dict[str, dict[str, str]]


@pytest.fixture
def junit(run: Run, pytester: pytest.Pytester) -> Callable[..., tuple[Properties, ElementTree.Element]]:
    """Run the tests, and return the properties of each and the whole of the file."""

    def read(*arguments: str) -> tuple[Properties, ElementTree.Element]:
        run("--junitxml=junit.xml", *arguments)
        root = ElementTree.parse(pytester.path / "junit.xml").getroot()
        found = {}
        for case in root.iter("testcase"):
            rows = [(one.attrib["name"], one.attrib["value"]) for one in case.iter("property")]
            assert len(dict(rows)) == len(rows)
            found[case.attrib["name"]] = dict(rows)
        return found, root

    return read


def test_every_check_has_its_property(suite: Callable[..., None], junit: Callable[..., tuple[Properties, ...]]) -> None:
    suite(CHECKS)
    found, _ = junit()
    assert found["test_only_explains"] == found["test_something_else"] == {}
    assert {name: one.get("lime") for name, one in found.items() if one} == {
        "test_passes": "pass",
        "test_fails": "fail",
        "test_is_open": "inconclusive",
        "test_expected": "expected",
    }
    fails = found["test_fails"]
    assert fails == {
        "lime": "fail",
        "lime.checks": "2",
        "lime.fail": "1",
        "lime.inconclusive": "0",
        "lime.expected": "0",
        "lime.pass": "1",
        "lime.samples": "400",
        "lime.check.0": fails["lime.check.0"],
        "lime.check.1": fails["lime.check.1"],
    }
    assert fails["lime.check.0"].startswith("pass: planted in array: predicted ")
    assert fails["lime.check.1"].startswith("fail: planted in array: predicted ")
    assert found["test_is_open"]["lime.check.0"].startswith("inconclusive: planted in array: mass ")


@pytest.mark.parametrize("policy", ["fail", "warn", "pass"])
def test_what_is_inconclusive_is_a_property_always_and_a_failure_on_demand(
    policy: str, suite: Callable[..., None], junit: Callable[..., tuple[Properties, ElementTree.Element]]
) -> None:
    suite(CHECKS)
    found, root = junit(f"--lime-inconclusive={policy}", "-k", "open")
    assert (found["test_is_open"]["lime"], found["test_is_open"]["lime.inconclusive"]) == ("inconclusive", "1")
    failures = [one.attrib["message"] for one in root.iter("failure")]
    assert len(failures) == (policy == "fail")
    assert all("1 of 1 claim about 'planted' in 'array' inconclusive" in failure for failure in failures)


def test_a_set_of_images_has_its_own_verdict(
    suite: Callable[..., None], junit: Callable[..., tuple[Properties, ...]]
) -> None:
    suite("""
        IMAGES = [IMAGE, IMAGE // 2, IMAGE // 3]

        def test_allowed(lime):
            lime.check_all(IMAGES, "bird", predicted(at_least=0.4), mostly=0.1, samples=50)

        def test_not_allowed(lime):
            lime.check_all(IMAGES, "cat", predicted(), samples=50)
        """)
    found, _ = junit()
    assert found["test_allowed"]["lime"] == "pass"
    assert found["test_not_allowed"]["lime"] == "fail"


def test_a_rerun_counts_once(
    suite: Callable[..., None], junit: Callable[..., tuple[Properties, ...]], pytester: pytest.Pytester
) -> None:
    pytest.importorskip("pytest_rerunfailures")
    suite("""
        from pathlib import Path

        def test_it(lime):
            lime.check(IMAGE, "bird", predicted(), samples=50)
            count = Path(__file__).with_name("count.txt")
            seen = int(count.read_text()) if count.exists() else 0
            count.write_text(str(seen + 1))
            assert seen == 2
        """)
    found, _ = junit("--reruns=2")
    assert found["test_it"]["lime.checks"] == "1"


def test_hostile_names_stay_text(suite: Callable[..., None], junit: Callable[..., tuple[Properties, ...]]) -> None:
    suite("""
        from pytest_lime import Claim, Verdict

        class Named(Claim):
            name = "<a>&\\x00\\u202e"

            def judge(self, explanation):
                return Verdict(meaning="", estimate=0.0, interval=(0.0, 0.0), relation=">=", bound=1.0)

        def test_it(lime):
            lime.check(IMAGE, "cat", Named(), samples=50)
        """)
    found, _ = junit()
    assert found["test_it"]["lime.check.0"].startswith("fail: cat in array: <a>&\\x00\u202e 0, needs")


@pytest.mark.parametrize("family", ["xunit1", "xunit2", "legacy"])
def test_every_family_has_the_properties(
    family: str, suite: Callable[..., None], junit: Callable[..., tuple[Properties, ElementTree.Element]]
) -> None:
    suite(CHECKS)
    found, _ = junit("-o", f"junit_family={family}", "-k", "fails or other")
    assert found["test_fails"]["lime"] == "fail"
    assert all(len(value) < 500 for value in found["test_fails"].values())


class TestAttachments:
    """What GitLab reads of ``<system-out>``: the first ``[[ATTACHMENT|path]]`` of a test that failed."""

    LINE = re.compile(r"\[\[ATTACHMENT\|(.+?)\]\]")

    @pytest.fixture(autouse=True)
    def _no_pipeline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CI_PROJECT_DIR", raising=False)

    def attached(self, root: ElementTree.Element) -> dict[str, list[str]]:
        return {
            case.attrib["name"]: self.LINE.findall("".join(one.text or "" for one in case.iter("system-out")))
            for case in root.iter("testcase")
        }

    @pytest.mark.parametrize("logging", ["system-out", "out-err", "all"])
    def test_a_failure_names_its_picture(
        self,
        logging: str,
        suite: Callable[..., None],
        junit: Callable[..., tuple[Properties, ElementTree.Element]],
        pytester: pytest.Pytester,
    ) -> None:
        suite(CHECKS)
        _, root = junit("-o", f"junit_logging={logging}")
        found = self.attached(root)
        (path,) = found.pop("test_fails")
        assert (pytester.path / path).read_bytes().startswith(b"\xff\xd8")
        assert path.startswith("lime-report/images/test-fails-")
        assert path.endswith("-thumb.jpg")
        assert set(map(len, found.values())) == {0}

    def test_what_is_open_and_fails_names_it_too(
        self, suite: Callable[..., None], junit: Callable[..., tuple[Properties, ElementTree.Element]]
    ) -> None:
        suite(CHECKS)
        _, root = junit("-o", "junit_logging=all", "--lime-inconclusive=fail", "-k", "open")
        assert len(self.attached(root)["test_is_open"]) == 1

    def test_the_path_is_from_the_project(
        self,
        suite: Callable[..., None],
        junit: Callable[..., tuple[Properties, ElementTree.Element]],
        pytester: pytest.Pytester,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        suite(CHECKS)
        monkeypatch.setenv("CI_PROJECT_DIR", str(pytester.path.parent))
        _, root = junit("-o", "junit_logging=all", "-k", "fails")
        (path,) = self.attached(root)["test_fails"]
        assert path.startswith(f"{pytester.path.name}/lime-report/images/")

    @pytest.mark.parametrize("how", [(), ("-o", "junit_logging=all", "--lime-self-contained")])
    def test_none_where_none_would_be_read(
        self,
        how: tuple[str, ...],
        suite: Callable[..., None],
        junit: Callable[..., tuple[Properties, ElementTree.Element]],
    ) -> None:
        suite(CHECKS)
        _, root = junit(*how, "-k", "fails")
        assert self.attached(root)["test_fails"] == []

    def test_none_of_a_report_outside_the_project(
        self,
        suite: Callable[..., None],
        junit: Callable[..., tuple[Properties, ElementTree.Element]],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        suite(CHECKS)
        folder = tmp_path_factory.mktemp("elsewhere")
        _, root = junit("-o", "junit_logging=all", "-k", "fails", f"--lime-report={folder}")
        assert self.attached(root)["test_fails"] == []

    def test_the_terminal_does_not_show_the_line(self, suite: Callable[..., None], run: Run) -> None:
        suite(CHECKS)
        result = run("--junitxml=junit.xml", "-o", "junit_logging=all", "-k", "fails")
        result.stdout.no_fnmatch_line("*ATTACHMENT*")
