"""What cases a suite has, and what they will call."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pytest_lime
from pytest_lime import Box, Claim, ClaimFailed, ClaimWarning, SuiteError, Trial, Verdict, mass, predicted, whole
from pytest_lime.suites.cases import Case, Severity
from pytest_lime.suites.claims import CLAIMS
from pytest_lime.suites.images import filled, find_images
from pytest_lime.suites.reading import Part

Cases = Callable[[str], list[Case]]
HEIGHT, WIDTH = 24, 32


def test_one_image_is_a_check(cases: Cases, folder: Path) -> None:
    (case,) = cases("""
        version: 1
        regions: {head: {box: [0, 0, 8, 8]}}
        tests:
          - name: one
            target: cat
            images: cat1.png
            expect:
              - mass: {region: head, at_least: 0.5}
              - predicted: {rank: 5}
        """)
    image, target, *claims = case.call.arguments()
    assert (case.call.method, case.call.named) == ("check", {})
    assert (image, target) == (folder / "cat1.png", "cat")
    assert list(map(repr, claims)) == [repr(mass(Box(0, 0, 8, 8), at_least=0.5)), repr(predicted(rank=5))]
    assert (case.place.line, case.called.line) == (5, 10)
    assert case.facts == {"severity": "error", "meta": {}}


def test_several_images_are_a_set_in_order_each_once(cases: Cases, folder: Path) -> None:
    (case,) = cases("""
        version: 1
        tests:
          - name: many
            target: 3
            images: [light/b.png, "**/*.png", cat1.png, "odd[1].png"]
            expect: [predicted]
            mostly: 0.5
        """)
    images, target, claim = case.call.arguments()
    assert (case.call.method, case.call.named, target, repr(claim)) == (
        "check_all",
        {"mostly": 0.5},
        3,
        "predicted(rank=1)",
    )
    names = [path.relative_to(folder).as_posix() for path in images]
    assert names[:6] == ["light/b.png", "cat1.png", "cat2.png", "dark/a.png", "dark/b.png", "light/a.png"]
    assert names[6:] == ["masks/cat1.png", "masks/cat2.png", "odd[1].png"]


def test_a_pattern_may_be_absolute(folder: Path) -> None:
    part = Part(f"{folder}/cat*.png", "f", 1, 1)
    assert find_images(part, folder / "light") == [folder / "cat1.png", folder / "cat2.png"]


def test_cases_of_images_targets_and_models(cases: Cases) -> None:
    found = cases("""
        version: 1
        model: [net_a, "networks:make_b"]
        tests:
          - name: all
            per: image
            images: cat*.png
            target: [Egyptian cat, 7, null]
            expect: [predicted]
          - name: some
            model: net_c
            images: cat1.png
            target: [tabby]
            expect: [predicted]
        """)
    assert [case.name for case in found] == [
        f"all[{image}.png-{target}-{model}]"
        for image in ("cat1", "cat2")
        for target in ("Egyptian cat", "7", "predicted")
        for model in ("net_a", "networks:make_b")
    ] + ["some[tabby]"]
    assert [case.call.arguments()[1] for case in found[::2][:3]] == ["Egyptian cat", 7, None]
    assert [case.model.value for case in (found[0], found[1], found[-1]) if case.model] == [
        "net_a",
        "networks:make_b",
        "net_c",
    ]


def test_defaults_are_weaker_than_a_test(cases: Cases) -> None:
    first, second = cases("""
        version: 1
        defaults:
          target: cat
          severity: warn
          mostly: 0.5
          marks: [slow]
          options: {samples: 500, segments: 60}
          meta: {owner: vision, risk: none}
        tests:
          - {name: a, images: cat*.png, expect: [predicted]}
          - name: b
            images: cat*.png
            target: null
            severity: error
            mostly: 1
            marks: [{skip: not here}]
            options: {samples: auto, seed: 3}
            meta: {risk: R-12, since: 2024-01-31}
            expect: [predicted]
        """)
    assert (first.facts, first.call.arguments()[1]) == (
        {"severity": "warn", "meta": {"owner": "vision", "risk": "none"}},
        "cat",
    )
    assert (first.call.named, second.call.named) == ({"mostly": 0.5}, {"mostly": 1.0})
    assert [mark.plain() for mark in second.marks] == ["slow", {"skip": "not here"}]
    assert second.options == {"samples": "auto", "segments": 60, "seed": 3}
    assert second.facts == {
        "severity": "error",
        "meta": {"owner": "vision", "risk": "R-12", "since": "2024-01-31"},
    }
    assert second.call.arguments()[1] is None


def test_groups_are_a_comparison(cases: Cases, folder: Path) -> None:
    (case,) = cases("""
        version: 1
        tests:
          - name: parity
            groups: {light: light/*.png, dark: [dark/a.png, dark/b.png]}
            target: 1
            compare: {mass: {region: whole, at_least: 0.5}}
            margin: 0.1
            rate: false
            paired: no
            source: "{parent}/{stem}"
            spread: 0.2
        """)
    groups, target, claim = case.call.arguments()
    assert (case.call.method, target, repr(claim)) == ("compare_groups", 1, repr(mass(whole(), at_least=0.5)))
    assert groups == {
        "light": [folder / "light/a.png", folder / "light/b.png"],
        "dark": [folder / "dark/a.png", folder / "dark/b.png"],
    }
    named = dict(case.call.named)
    source = named.pop("source")
    assert named == {"margin": 0.1, "rate": False, "paired": False, "spread": 0.2}
    assert [source(path) for path in groups["dark"]] == ["dark/a", "dark/b"]


def test_placeholders(folder: Path) -> None:
    image = folder / "light" / "a.b.png"
    assert filled("{parent}|{stem}|{name}|{suffix}|{{x}}", image, folder) == "light|a.b|a.b.png|.png|{x}"
    assert filled("{parent}", folder / "cat1.png", folder) == "."
    assert filled("{parent}", folder / "cat1.png", folder / "light") == ".."


REGIONS = """
    version: 1
    regions:
      box: {box: [0, 0, 8, 16]}
      ellipse: {ellipse: [16, 12, 6, 4]}
      polygon: {polygon: [[0, 0], [8, 0], [8, 8], [0, 8]]}
      mask: {mask: "masks/{stem}.png"}
      first: {mask: masks/cat1.png}
      file: {file: "{parent}/masks/{stem}.json", label: head}
      outside: {not: box}
      both: {any: [box, later]}
      common: {all: [box, polygon, {not: {box: [0, 0, 4, 4]}}]}
      drawn: {any: [mask, ellipse]}
      all_: whole
      later: {box: [16, 0, 24, 8]}
    tests:
      - name: one
        target: cat
        images: cat2.png
        expect: [%s]
    """


def test_regions(cases: Cases) -> None:
    names = [line.split(":")[0].strip() for line in REGIONS.splitlines()[3:15]]
    assert (names[0], names[-1]) == ("box", "later")
    claims = ", ".join(f"{{density_gap: {{region: {name}}}}}" for name in names)
    (case,) = cases(REGIONS % claims)
    made = dict(zip(names, (claim.regions[0] for claim in case.call.arguments()[2:]), strict=True))
    shown = {name: repr(region) for name, region in made.items() if name not in ("mask", "first", "drawn")}
    assert shown == {
        "box": "Box(0, 0, 8, 16)",
        "ellipse": "Ellipse(16, 12, 6, 4)",
        "polygon": "Polygon([(0, 0), (8, 0), (8, 8), (0, 8)])",
        "file": "cat2.json['head']",
        "outside": "~Box(0, 0, 8, 16)",
        "both": "Box(0, 0, 8, 16) | Box(16, 0, 24, 8)",
        "common": "Box(0, 0, 8, 16) & Polygon([(0, 0), (8, 0), (8, 8), (0, 8)]) & ~Box(0, 0, 4, 4)",
        "all_": "whole()",
        "later": "Box(16, 0, 24, 8)",
    }
    size = (HEIGHT, WIDTH)
    rows, columns = np.indices(size)
    assert_array_equal(made["mask"].mask(size), (rows < 8) & (columns < 16))
    assert_array_equal(made["first"].mask(size), (rows < 8) & (columns < 8))
    assert_array_equal(made["file"].mask(size), (rows < 16) & (columns < 8))
    assert_array_equal(made["drawn"].mask(size), made["mask"].mask(size) | made["ellipse"].mask(size))


def test_a_region_of_each_image_is_a_function_of_it(cases: Cases, folder: Path) -> None:
    text = REGIONS % "{density_gap: {region: mask}}, {density_gap: {region: box}}"
    (case,) = cases(text.replace("images: cat2", "images: cat*"))
    images, _, of_each, of_all = case.call.arguments()
    assert repr(of_all) == "density_gap(Box(0, 0, 8, 16))"
    areas = [of_each(image).regions[0].mask((HEIGHT, WIDTH)).sum() for image in images]
    assert areas == [64, 128]
    (folder / "masks" / "cat2.png").unlink()
    assert of_each(images[0]) is not None


def test_a_file_that_is_missing_for_an_image_is_told_with_its_place(cases: Cases, folder: Path) -> None:
    (case,) = cases(REGIONS % "{density_gap: {region: mask}}")
    (folder / "masks" / "cat2.png").unlink()
    with pytest.raises(SuiteError, match=r"^test_it\.lime\.yaml:7:16: Mask\('.*masks/cat2\.png'\): the file does not"):
        case.call.arguments()
    (case,) = cases((REGIONS % "{density_gap: {region: file}}").replace("label: head", "label: haed"))
    with pytest.raises(SuiteError, match=r"^test_it\.lime\.yaml:9:53: .*no label 'haed'; the nearest is 'head'"):
        case.call.arguments()


def test_every_public_claim_can_be_asked_by_its_name(cases: Cases) -> None:
    functions = {
        name
        for name in pytest_lime.__all__
        if pytest_lime._HOME_OF[name] in ("claims", "trials", "regression") and name not in ("Claim", "Trial")
    }
    assert set(CLAIMS) == functions
    asked = {
        "agrees_with": "{opinion: occlusion, at_least: 0.4}",
        "contrast": "{region: whole, other: tiger cat, sign: negative}",
        "density_gap": "{region: whole}",
        "faithful": "",
        "fidelity": "{r2: 0.6, gap: 0.2}",
        "invariant": "{transform: hflip, at_least: 0.7}",
        "mass": "{region: {box: [0, 0, 4, 4]}, at_most: area}",
        "necessity": "{region: whole, at_most: 0.5}",
        "no_reliance": "{region: whole, at_most: 0.05}",
        "pointing": "{region: whole, tolerance: 10}",
        "predicted": "{at_least: 0.5, rank: null}",
        "sane": "{at_most: 0.4}",
        "stable": "{seeds: 3, at_least: 0.6, k: 5}",
        "sufficiency": "{region: whole, at_least: 0.5}",
        "top_iou": "{region: whole, k: 6, at_least: 0.3}",
        "top_overlap": "{region: whole, k: 4, at_least: 0.75}",
        "unchanged": "{baseline: night, score: null, k: 3}",
    }
    assert set(asked) == functions
    lines = "".join(f"\n              - {name}: {arguments}" for name, arguments in asked.items())
    (case,) = cases(f"""
        version: 1
        tests:
          - name: all
            target: cat
            images: cat1.png
            expect:{lines}
        """)
    claims = case.call.arguments()[2:]
    assert [claim.name for claim in claims] == list(asked)
    assert "at_least=0.75" in repr(claims[-2])
    assert repr(claims[-1]) == "unchanged('night', score=None, k=3)"


class TestOwnClaims:
    """A user's own claims go by their names."""

    @pytest.fixture(autouse=True)
    def _forgotten(self) -> Iterator[None]:
        """Forget the classes of each test, which are found for as long as they live."""
        yield
        gc.collect()

    @staticmethod
    def suite(claim: str) -> str:
        return f"""
            version: 1
            tests: [{{name: a, images: cat*.png, target: 1, expect: [{claim}]}}]
            """

    def test_a_class_is_made_with_its_arguments(self, cases: Cases) -> None:
        class Few(Claim):
            name = "few_superpixels"

            def __init__(self, regions: Any, least: float = 0.5, words: str = "") -> None:
                self.regions = tuple(regions)
                self.least, self.words = least, words

            def judge(self, explanation: Any) -> Verdict:
                raise NotImplementedError

        (case,) = cases(self.suite("{few_superpixels: {regions: [whole, {mask: 'masks/{stem}.png'}], least: 1}}"))
        images, _, of_each = case.call.arguments()
        claim = of_each(images[1])
        assert isinstance(claim, Few)
        assert (claim.least, claim.words, claim.regions[0]) == (1, "", whole())
        assert claim.regions[1].mask((HEIGHT, WIDTH)).sum() == 128
        for claim_text, sentence in {
            "few_superpixels": r":3:57: claim few_superpixels needs regions\.$",
            "few_superpixel": r":3:57: there is no claim 'few_superpixel'; the nearest is 'few_superpixels'; ",
            "{few_superpixels: {regions: [], leest: 1}}": r"has no key 'leest'; the nearest is 'least'; its keys are ",
            "{few_superpixels: {regions: [], words: off}}": r"few_superpixels: words: off is no text; YAML reads off",
        }.items():
            with pytest.raises(SuiteError, match=sentence):
                cases(self.suite(claim_text))

    def test_a_class_without_a_name_goes_by_its_own(self, cases: Cases) -> None:
        class Asking(Trial):
            def conduct(self, lab: Any) -> Verdict:
                raise NotImplementedError

        (case,) = cases(self.suite("Asking"))
        assert isinstance(case.call.arguments()[2], Asking)

    def test_what_its_constructor_raises_is_told(self, cases: Cases) -> None:
        class Broken(Claim):
            name = "broken_claim"

            def __init__(self) -> None:
                raise RuntimeError("no")

            def judge(self, explanation: Any) -> Verdict:
                raise NotImplementedError

        with pytest.raises(SuiteError, match=r":3:57: broken_claim cannot be made: RuntimeError: no\.$"):
            cases(self.suite("broken_claim"))

    def test_two_of_one_name_are_an_error(self, cases: Cases) -> None:
        class One(Claim):
            name = "twice_named"

            def judge(self, explanation: Any) -> Verdict:
                raise NotImplementedError

        class Other(One):
            pass

        class Mine(Claim):
            name = "pointing"

            def judge(self, explanation: Any) -> Verdict:
                raise NotImplementedError

        with pytest.raises(SuiteError, match=r"claim 'twice_named' is the name of .*\.One and .*\.Other; give one"):
            cases(self.suite("twice_named"))
        with pytest.raises(SuiteError, match=r"claim 'pointing' is the name of .*\.Mine and pytest_lime\.claims\.po"):
            cases(self.suite("{pointing: {region: whole}}"))


def test_severity() -> None:
    told = "^1 of 2 failed; severity: warn lets the test pass$"
    with pytest.warns(ClaimWarning, match=told) as caught, Severity("warn"):
        raise ClaimFailed("1 of 2 failed.\nand so on")
    assert caught[0].filename == __file__
    with pytest.raises(ClaimFailed), Severity("error"):
        raise ClaimFailed("no")
    with pytest.raises(SuiteError), Severity("warn"):
        raise SuiteError("another error")
