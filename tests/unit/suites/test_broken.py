"""Broken suites: each is one sentence with its place, the key and the nearest right one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_lime import SuiteError
from pytest_lime.suites.cases import Case, read_cases

Cases = Callable[[str], list[Case]]

# A suite of one test, to which a line is added.
ONE = """\
version: 1
tests:
  - name: one
    images: cat1.png
    target: cat
    expect: [predicted]
"""
REGIONS = """\
version: 1
regions:
  head: {box: [0, 0, 8, 8]}
  body: %s
tests:
  - {name: one, images: cat1.png, target: cat, expect: [{mass: {region: head, at_least: 0.5}}]}
"""
GROUPS = """\
version: 1
tests:
  - name: parity
    groups: {light: light/*.png, dark: dark/*.png}
    target: cat
    compare: {mass: {region: whole, at_least: 0.5}}
    margin: 0.1
"""
IMAGES_KEYS = "name, images, expect, model, target, severity, marks, options, meta, mostly, per"
REGION_KEYS = "box, ellipse, polygon, mask, file, label, image, not, any, all"
SUITE_KEYS = "version, model, defaults, regions, tests"


def one(line: str) -> str:
    """Return the suite of one test with another line, its seventh."""
    return f"{ONE}    {line}\n"


def expecting(claim: str) -> str:
    return ONE.replace("predicted", claim)


BROKEN: dict[str, tuple[str | bytes, str]] = {
    # Not YAML, or not what YAML is to a suite
    "empty": ("", "1:1: the file is empty; a suite begins with version: 1."),
    "comment alone": ("# nothing\n", "1:1: the file is empty; a suite begins with version: 1."),
    "tab": ("version: 1\ntests:\n\t- name: x\n", "3:1: a tab cannot stand here; YAML is indented by spaces."),
    "two documents": (
        f"{ONE}---\n{ONE}",
        "7:1: a second document begins here; a suite is one document: delete this line, or make two files.",
    ),
    "not UTF-8": (b"version: 1\n# caf\xe9\n", "2:6: byte 0xe9 is not UTF-8; save the file as UTF-8."),
    "UTF-16": (ONE.encode("utf-16"), "1:1: byte 0xff is not UTF-8; save the file as UTF-8."),
    "control character": ("version: 1\nname: a\x07b\n", "2:8: YAML holds no character '\\x07'; delete it."),
    "unknown alias": (one("meta: *facts"), "7:11: alias *facts has no anchor &facts before it."),
    "alias of itself": (
        one("meta: &facts {a: *facts}"),
        "7:11: an alias within this value stands for the value itself; write it out.",
    ),
    "merge of no mapping": (one("<<: [1]"), "7:10: <<: 1 must be a mapping, or a list of mappings."),
    "tag": (
        one("meta: !!python/object:os.system {}"),
        "7:11: tag !!python/object:os.system does not go with this value; a suite has plain values: delete it.",
    ),
    "exponent": (
        expecting("{mass: {region: whole, at_least: 1e-3}}"),
        "6:47: 1e-3 is text in YAML 1.1, and no number: write 1.0e-3, or put it in quotes.",
    ),
    "exponent without sign": (
        one("mostly: 9.5e1"),
        "7:13: 9.5e1 is text in YAML 1.1, and no number: write 9.5e+1, or put it in quotes.",
    ),
    "octal": (
        one("options: {seed: 010}"),
        "7:21: 010 is no plain decimal number (YAML 1.1 has octal and sexagesimal ones): write it anew, or put it in "
        "quotes where it is text.",
    ),
    "sexagesimal": (
        one("meta: {at: 12:30}"),
        "7:16: 12:30 is no plain decimal number (YAML 1.1 has octal and sexagesimal ones): write it anew, or put it in "
        "quotes where it is text.",
    ),
    "infinity": (one("mostly: .inf"), "7:13: .inf is no number that a suite can use; write a finite one."),
    "key twice": (one("target: dog"), "7:5: key 'target' is given twice, first in line 5; delete one."),
    "key that is no text": (one("meta: {1: x}"), "7:12: key 1 must be text; put it in quotes."),
    "key that YAML reads as false": (
        one("meta: {no: x}"),
        "7:12: key no must be text; YAML reads no as false: put it in quotes.",
    ),
    "placeholder within braces": (
        REGIONS % "{mask: masks/{stem}.png}",
        "4:22: this is no YAML: while parsing a flow mapping, did not find expected ',' or '}'; a text with a "
        "placeholder needs quotes here.",
    ),
    # The file
    "list": ("- name: x\n", "1:1: a suite is a mapping with the keys version and tests, not a list."),
    "text": ("hello\n", "1:1: a suite is a mapping with the keys version and tests, not 'hello'."),
    "no version": (ONE.partition("\n")[2], "1:1: a suite needs the key 'version'."),
    "later version": (
        ONE.replace("version: 1", "version: 2\nnews: 3"),
        "1:10: version: 2 is unknown; this pytest-lime reads version 1.",
    ),
    "version as text": (ONE.replace(": 1", ": '1'", 1), "1:10: version: '1' must be 1."),
    "no tests": ("version: 1\n", "1:1: a suite needs the key 'tests'."),
    "tests are nothing": ("version: 1\ntests:\n", "2:7: tests: nothing must be a list of tests."),
    "tests are a mapping": ("version: 1\ntests: {a: 1}\n", "2:8: tests: {'a': 1} must be a list of tests."),
    "empty tests": ("version: 1\ntests: []\n", "2:8: tests: [] must be a list of tests."),
    "misspelt key": (
        f"{ONE}default: {{}}\n",
        f"7:1: a suite has no key 'default'; the nearest is 'defaults'; its keys are {SUITE_KEYS}.",
    ),
    # The test
    "test is text": ("version: 1\ntests: [one]\n", "2:9: tests: 'one' must be a test."),
    "misspelt key of a test": (
        ONE.replace("images", "image"),
        "4:5: a test has no key 'image'; the nearest is 'images'; its keys are images, name, expect, model, target, "
        "severity, marks, options, meta, mostly, per, groups, compare, margin, rate, paired, source, spread.",
    ),
    "no name": (ONE.replace("name: one", "per: set"), "3:5: a test of images needs the key 'name'."),
    "name is a number": (ONE.replace("one", "1"), "3:11: name: 1 must be text."),
    "name is nothing": (ONE.replace("one", ""), "3:10: name: nothing must be text."),
    "name is yes": (
        ONE.replace("one", "yes"),
        "3:11: name: yes must be text; YAML reads yes as true: put it in quotes.",
    ),
    "name with colons": (
        ONE.replace("one", "a::b"),
        "3:11: name: 'a::b' cannot be the name of a test: write words on one line, without ::, without __ at the "
        "beginning, and with single spaces between.",
    ),
    "name of several lines": (
        ONE.replace("one", '"a\\nb"'),
        "3:11: name: 'a\\nb' cannot be the name of a test: write words on one line, without ::, without __ at the "
        "beginning, and with single spaces between.",
    ),
    "name twice": (
        ONE + ONE.partition("tests:\n")[2],
        "7:11: name 'one' is given twice, first in line 3.",
    ),
    "case twice": (
        one("per: image").replace("cat1", "cat*") + ONE.partition("tests:\n")[2].replace("one", "'one[cat1.png]'"),
        "8:11: case 'one[cat1.png]' is there already, of the test in line 3.",
    ),
    "no images": (ONE.replace("    images: cat1.png\n", ""), "3:5: a test needs one of the keys images, groups."),
    "images are nothing": (
        ONE.replace("cat1.png", ""),
        "4:12: images: nothing must be a path or pattern or a list of them.",
    ),
    "image that is not there": (
        ONE.replace("cat1", "cta1"),
        "4:13: image 'cta1.png' does not exist; the nearest is 'cat1.png'.",
    ),
    "image is a folder": (
        ONE.replace("cat1.png", "light/"),
        "4:13: image 'light/' is a folder; for its files write light/*.",
    ),
    "no target": (
        ONE.replace("    target: cat\n", ""),
        "3:5: a test needs the key 'target', here or in defaults; null is the predicted class.",
    ),
    "target is no": (
        ONE.replace("target: cat", "target: no"),
        "5:13: target: no must be a label, a whole number of at least 0, null (the predicted class) or a list of them; "
        "YAML reads no as false: put it in quotes.",
    ),
    "target is a share": (
        ONE.replace("target: cat", "target: 0.5"),
        "5:13: target: 0.5 must be a label, a whole number of at least 0, null (the predicted class) or a list of "
        "them.",
    ),
    "target twice": (ONE.replace("target: cat", "target: [a, b, a]"), "5:20: 'a' is in the list twice; delete one."),
    "mostly is a count": (
        one("mostly: 3"),
        "7:13: mostly: 3 must be a number greater than 0 and at most 1.",
    ),
    "mostly of one image": (
        f"{one('per: image')}    mostly: 0.5\n",
        "8:13: mostly: is of all images together, and per: image makes a case of each.",
    ),
    "severity": (one("severity: errors"), "7:15: severity: 'errors' must be error or warn; the nearest is 'error'."),
    "per": (one("per: images"), "7:10: per: 'images' must be set or image; the nearest is 'image'."),
    "model": (
        one("model: net.pt"),
        "7:12: model: 'net.pt' is no name of a fixture, and not of the form module:attribute.",
    ),
    "margin of a test of images": (
        one("margin: 0.1"),
        f"7:5: a test of images has no key 'margin'; the nearest is 'marks'; its keys are {IMAGES_KEYS}.",
    ),
    # Options, meta and marks
    "option": (
        one("options: {segmentz: 50}"),
        "7:15: options has no key 'segmentz'; the nearest is 'segments'; its keys are",
    ),
    "option's value": (
        one("options: {samples: -1}"),
        "7:24: samples=-1 must be 'auto' or a whole number of at least 2 and at most 1,000,000,000.",
    ),
    "option of the defaults": (
        ONE.replace("tests:", "defaults: {options: {seed: x}}\ntests:"),
        "2:28: seed='x' must be a whole number of at least 0 and at most 4,294,967,295.",
    ),
    "meta": (one("meta: [1]"), "7:11: meta: [1] must be a mapping."),
    "marks": (one("marks: slow"), "7:12: marks: 'slow' must be a list of marks."),
    "mark": (
        one("marks: [{skip: a, xfail: b}]"),
        "7:13: marks: {'skip': 'a', 'xfail': 'b'} has 2 keys; it must be one mark with its arguments, such as {skip: "
        "reason}.",
    ),
    # Claims
    "expect is one claim": (
        ONE.replace("[predicted]", "predicted"),
        "6:13: expect: 'predicted' must be a list of claims.",
    ),
    "claim": (
        expecting("{mas: {region: whole}}"),
        "6:15: there is no claim 'mas'; the nearest is 'mass'; claims are",
    ),
    "claim that is a number": (
        expecting("3"),
        "6:14: expect: 3 must be the name of a claim that needs no arguments or one claim with its arguments.",
    ),
    "claim's arguments": (
        expecting("{predicted: 5}"),
        "6:26: predicted: 5 must be a mapping of its arguments, such as {region: head}.",
    ),
    "argument": (
        expecting("{predicted: {ranks: 5}}"),
        "6:27: claim predicted has no key 'ranks'; the nearest is 'rank'; its keys are at_least, rank.",
    ),
    "argument that is lacking": (
        expecting("{top_overlap: {region: whole}}"),
        "6:15: claim top_overlap needs at_least.",
    ),
    "argument's value": (
        expecting("{mass: {region: whole, at_least: 1.5}}"),
        "6:47: mass: at_least=1.5 must be a number in [0, 1].",
    ),
    "arguments together": (
        expecting("{mass: {region: whole}}"),
        "6:15: mass: give exactly one of at_least and at_most; for both bounds make two claims.",
    ),
    "argument that YAML reads as false": (
        expecting("{contrast: {region: whole, other: no}}"),
        "6:48: contrast: other: no is no text; YAML reads no as false: put it in quotes.",
    ),
    # Regions
    "region": (
        REGIONS % "{bocks: [0, 0, 8, 8]}",
        f"4:10: a region has no key 'bocks'; the nearest is 'box'; its keys are {REGION_KEYS}.",
    ),
    "two regions in one": (
        REGIONS % "{box: [0, 0, 8, 8], mask: masks/cat1.png}",
        "4:29: a region has box or mask, not both.",
    ),
    "empty region": (
        REGIONS % "{}",
        "4:9: a region needs one of the keys box, ellipse, polygon, mask, file, not, any, all.",
    ),
    "three corners": (REGIONS % "{box: [0, 0, 8]}", "4:15: box: [0, 0, 8] must be four numbers, x0, y0, x1 and y1."),
    "corner that is text": (REGIONS % "{box: [0, 0, 8, x]}", "4:25: box: 'x' must be a number."),
    "box without area": (
        REGIONS % "{box: [8, 0, 8, 8]}",
        "4:15: Box(8, 0, 8, 8) is empty: it needs x0 < x1 and y0 < y1; the four numbers are two corners (x0, y0, x1, "
        "y1), not a corner with width and height.",
    ),
    "region's name": (
        expecting("{mass: {region: haed, at_least: 0.5}}").replace("tests:", "regions: {head: whole}\ntests:"),
        "7:30: there is no region 'haed'; the nearest is 'head'; regions are head, whole.",
    ),
    "region made of itself": (
        REGIONS % "{any: [head, {not: body}]}",
        "4:28: region 'body' is made of itself, by way of 'body'.",
    ),
    "region called whole": (
        ONE.replace("tests:", "regions: {whole: {box: [0, 0, 8, 8]}}\ntests:"),
        "2:11: region 'whole' is the whole image; give this one another name.",
    ),
    "mask that is not there": (
        REGIONS % "{mask: masks/cat3.png}",
        "4:16: file 'masks/cat3.png' does not exist; the nearest is 'cat2.png'.",
    ),
    "file without label": (REGIONS % "{file: masks/cat1.json}", "4:9: a file needs the key 'label'."),
    "placeholder": (
        REGIONS % "{mask: 'masks/{stam}.png'}",
        "4:16: {stam} of 'masks/{stam}.png' is no placeholder; the nearest is 'stem'; placeholders are {stem}, {name}, "
        "{suffix}, {parent}.",
    ),
    "braces": (
        REGIONS % "{mask: 'masks/{stem.png'}",
        "4:16: the braces of 'masks/{stem.png' do not match; placeholders are {stem}, {name}, {suffix}, {parent}, and "
        "{{ is a brace.",
    ),
    # Groups
    "one group": (
        GROUPS.replace(", dark: dark/*.png", ""),
        "4:13: groups: {'light': 'light/*.png'} must be a mapping of two groups or more.",
    ),
    "no margin": (GROUPS.replace("    margin: 0.1\n", ""), "3:5: a test of groups needs the key 'margin'."),
    "negative margin": (GROUPS.replace("0.1", "-0.1"), "7:13: margin: -0.1 must be a number greater than 0."),
    "images and groups": (f"{GROUPS}    images: a.png\n", "4:5: a test has images or groups, not both."),
    "paired as text": (f"{GROUPS}    paired: 'yes'\n", "8:13: paired: 'yes' must be true or false."),
    "source without placeholder": (
        f"{GROUPS}    source: parent\n",
        "8:13: source: 'parent' is the same for all images; write {parent} or {stem}.",
    ),
    "a group without images": (GROUPS.replace("dark/*", "dusk/*"), "4:40: pattern 'dusk/*.png' matches no file in"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_suite_is_one_sentence(name: str, folder: Path) -> None:
    text, sentence = BROKEN[name]
    path = folder / "test_it.lime.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(SuiteError) as caught:
        read_cases(path, path.name)
    told = str(caught.value)
    assert "\n" not in told
    assert told.endswith(".")
    if sentence.endswith("."):
        assert told == f"test_it.lime.yaml:{sentence}"
    else:
        # A list of all names follows, or the path of a folder.
        assert told.startswith(f"test_it.lime.yaml:{sentence} ")


@pytest.mark.parametrize(
    "text", ["a: [1", "a: 'x", "a: b: c", "@x", "%YAML 9\n---\n{", "&a &b x", "!<", "? [", "- a\nb: c"]
)
def test_what_is_no_yaml_is_one_sentence(text: str, folder: Path) -> None:
    path = folder / "test_it.lime.yaml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=r"^test_it\.lime\.yaml:\d+:\d+: this is no YAML: [^\n]+\.$"):
        read_cases(path, path.name)


def test_the_suites_that_are_broken_are_else_right(cases: Cases) -> None:
    assert [case.name for case in cases(ONE)] == ["one"]
    assert [case.name for case in cases(REGIONS % "whole")] == ["one"]
    assert [case.name for case in cases(GROUPS)] == ["parity"]
