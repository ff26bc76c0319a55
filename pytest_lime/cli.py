"""The command ``pytest-lime``."""

from __future__ import annotations

import argparse
import glob
import os
import sys
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_lime import __version__
from pytest_lime.errors import LimeError, OptionError, RecordError, nearest
from pytest_lime.options import OPTION_NAMES, check_names, from_text, resolve

if TYPE_CHECKING:
    from pytest_lime.explanation import Explanation
    from pytest_lime.regions import Region
    from pytest_lime.states import State
    from pytest_lime.streams import SampleStream

__all__ = ["main"]

# What is published, within the package.
SCHEMAS = {"suites": "suites.schema.json", "results": "report/results.schema.json"}
ENDINGS = (".png", ".html", ".json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments`, by default those of the process, and return its exit status."""
    parser = argparse.ArgumentParser(prog="pytest-lime", description="Tests for where an image classifier looks.")
    parser.add_argument("--version", action="version", version=f"pytest-lime {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_init(commands)
    _add_explain(commands)
    _add_merge(commands)
    _add_show(commands)
    _add_schema(commands)
    given = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A terminal without a sign such as × shows a question mark, and no traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status: int = given.run(given)
        # A process may be started without one.
        if sys.stdout is not None:
            sys.stdout.flush()
    except LimeError as error:
        print(f"pytest-lime: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pytest-lime: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read has seen enough; what is left must not be flushed into the void at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"pytest-lime: the output cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 2
    return status


def _add_init(commands: Any) -> None:
    init = commands.add_parser(
        "init",
        help="write a starter suite that runs at once",
        description="Write a starter suite that runs at once: conftest.py, tests in Python and YAML, a photograph.",
    )
    init.add_argument(
        "folder", nargs="?", default=".", type=Path, metavar="DIR", help="folder, which may be new (default: this one)"
    )
    init.add_argument(
        "--model",
        default="torch",
        metavar="KIND",
        help="what you work with: torch, onnx, sklearn, huggingface or timm (default: torch)",
    )
    init.add_argument("--force", action="store_true", help="replace files that are there")
    init.set_defaults(run=_init)


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain",
        help="explain one image: a first look, and a place to draw regions",
        description="Explain one image: a first look, and a place to draw regions for claims.",
    )
    explain.add_argument("image", metavar="IMAGE", help="path of the image")
    explain.add_argument(
        "--model",
        required=True,
        metavar="MODULE:ATTRIBUTE",
        help="a model, or a function without arguments that makes one; modules are looked for in this folder first",
    )
    explain.add_argument(
        "--target",
        action="append",
        metavar="NAME",
        help="label or index of the class (default: the one that the model predicts); may be given several times",
    )
    explain.add_argument(
        "--top-labels", type=int, default=1, metavar="N", help="without --target: the N classes of highest score"
    )
    explain.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="write a picture (.png), a page on which boxes can be drawn (.html) or all figures (.json); "
        "may be given several times",
    )
    explain.add_argument(
        "--opinion",
        action="append",
        default=[],
        metavar="NAME",
        help="ask another method too, and say how far it agrees: occlusion, gradcam or gradcam:LAYER",
    )
    explain.add_argument(
        "--regions", type=Path, metavar="FILE", help="show the regions of a COCO, VOC, LabelMe or mask file"
    )
    explain.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"any option of an explanation, such as samples=2000 or preset=lime: {', '.join(OPTION_NAMES)}",
    )
    explain.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    explain.set_defaults(run=_explain)


def _add_merge(commands: Any) -> None:
    merge = commands.add_parser(
        "merge",
        help="join the reports of several runs, shards or machines into one",
        description="Join the reports of several runs, shards or machines into one. What does not fit is told in "
        "words. Nothing is written where a report cannot be read.",
    )
    merge.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="folder of a report; a pattern is fine")
    merge.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="OUT",
        help="folder of the new report; that of an earlier report is replaced",
    )
    merge.add_argument(
        "--keep-going", action="store_true", help="leave out reports that cannot be read, and name them in the new one"
    )
    merge.add_argument(
        "--fail",
        action="store_true",
        help="exit with 1 where a check failed, a run did not end with all tests passed, or something that cannot be "
        "read was left out (default: 0 once merged)",
    )
    merge.set_defaults(run=_merge)


def _add_show(commands: Any) -> None:
    show = commands.add_parser(
        "show", help="list the checks of a report and open it", description="List the checks of a report."
    )
    show.add_argument(
        "folder", nargs="?", default="lime-report", type=Path, help="folder of the report (default: lime-report)"
    )
    show.add_argument("--browser", action="store_true", help="open the report in the web browser too")
    show.set_defaults(run=_show)


def _init(given: argparse.Namespace) -> int:
    from pytest_lime.starters.writer import describe_starter, write_starter  # noqa: PLC0415  (not needed for --help)

    written = write_starter(given.folder, given.model, force=given.force)
    print("\n".join([*(f"written: {path}" for path in written), *describe_starter(given.folder, given.model)]))
    return 0


def _add_schema(commands: Any) -> None:
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of YAML suites, for editors, or of results, for auditors",
        description="Print the JSON Schema of YAML suites (test_*.lime.yaml), for editors, or of results.json.",
    )
    schema.add_argument(
        "what", nargs="?", default="suites", choices=sorted(SCHEMAS), help="whose schema (default: suites)"
    )
    schema.set_defaults(run=_schema)


def _schema(given: argparse.Namespace) -> int:
    from importlib import resources  # noqa: PLC0415

    print(resources.files("pytest_lime").joinpath(SCHEMAS[given.what]).read_text(encoding="utf-8"), end="")
    return 0


def _explain(given: argparse.Namespace) -> int:
    from pytest_lime.agreement import check_opinions  # noqa: PLC0415  (not needed for --help)

    # What can be wrong is told before the model is loaded, which may take long.
    values = _options(given.option)
    options = resolve(("--option", values))
    opinions = check_opinions(given.opinion)
    inputs = [Path(given.image), *([given.regions] if given.regions else [])]
    for place, path in enumerate(given.output):
        _check_output(path, inputs, given.output[:place])

    from pytest_lime.explainer import check_target, open_stream  # noqa: PLC0415  (not needed for --help)
    from pytest_lime.images import load_image  # noqa: PLC0415
    from pytest_lime.models.named import load_model  # noqa: PLC0415
    from pytest_lime.models.protocol import check_labels, check_model  # noqa: PLC0415
    from pytest_lime.report.look import describe_look  # noqa: PLC0415
    from pytest_lime.streams import Bench  # noqa: PLC0415

    image = load_image(given.image)
    regions = _regions(given.regions, image.name)
    check_target(given.target, given.top_labels)
    model = load_model(given.model)
    names = check_labels(model.labels) or ()
    classes = [_class(name, names) for name in given.target] if given.target else None
    target = check_target(classes, given.top_labels)
    bench = Bench(check_model(model), options)
    stream = open_stream(bench, image, target, regions=list(regions.values()), opinions=opinions)
    explanation = _draw(stream, quiet=given.quiet)
    look = describe_look(explanation, regions)
    # All are made before the first is written.
    made = [(path, _made(path, explanation, regions, look)) for path in given.output]
    for path, data in made:
        _write(path, data)
    print("\n".join(_summary(explanation, look)))
    for path in given.output:
        print(f"written: {path.absolute()}")
    return 0


def _options(given: Sequence[str]) -> dict[str, Any]:
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise OptionError(f"--option {text!r} must be of the form NAME=VALUE, such as samples=2000.")
        name = name.strip().replace("-", "_")
        check_names([name], "--option")
        values[name] = from_text(name, value)
    return values


def _check_output(path: Path, inputs: Sequence[Path], before: Sequence[Path]) -> None:
    if path.is_dir():
        raise OptionError(f"--output {str(path)!r} is a folder; give the name of a file in it.")
    if path.absolute() in [other.absolute() for other in before]:
        raise OptionError(f"--output {str(path)!r} is given twice.")
    if path.exists() and any(source.exists() and path.samefile(source) for source in inputs):
        raise OptionError(f"--output {str(path)!r} is what is read; it would be lost: choose another name.")
    if path.suffix.lower() not in ENDINGS:
        raise OptionError(
            f"--output {str(path)!r} must end in {', '.join(ENDINGS)}, which says what to write"
            f"{nearest(path.suffix, ENDINGS)}."
        )
    if not path.absolute().parent.is_dir():
        raise OptionError(f"--output {str(path)!r}: the folder {str(path.parent)!r} does not exist; make it first.")
    if path.suffix.lower() == ".png":
        from pytest_lime.extras import require  # noqa: PLC0415

        require("matplotlib", extra="plot", needed_for="--output with .png")


def _class(name: str, labels: Sequence[str]) -> str | int:
    """Return a class as `explain` takes it: a number is an index, unless a label is spelt like that."""
    return int(name) if name.isdecimal() and name not in labels else name


def _regions(path: Path | None, image: str) -> dict[str, Region]:
    if path is None:
        return {}
    from pytest_lime.region_files import load_regions  # noqa: PLC0415

    return dict(load_regions(path, image=image))


def _draw(stream: SampleStream, *, quiet: bool) -> Explanation:
    """Draw the samples that the options ask for, show how far it is, and return what they tell."""
    from tqdm import tqdm  # noqa: PLC0415

    from pytest_lime.sampling import sample  # noqa: PLC0415

    with tqdm(total=stream.most, unit="sample", disable=True if quiet else None, leave=False) as bar:

        def move(state: State) -> None:
            bar.update(state.samples - bar.n)

        ((_, explanation),) = sample(stream.bench.engine, [stream], notify=move)
    return explanation


def _made(path: Path, explanation: Explanation, regions: dict[str, Region], look: dict[str, Any]) -> bytes:
    """Return what goes into `path`, by its ending."""
    import json  # noqa: PLC0415

    from pytest_lime.report.look import render_look  # noqa: PLC0415

    if path.suffix.lower() == ".png":
        return _picture(explanation, list(regions.values()))
    if path.suffix.lower() == ".html":
        return render_look(explanation, regions, look).encode("utf-8", "replace")
    text = json.dumps(look, ensure_ascii=False, indent=1, allow_nan=False)
    return f"{text}\n".encode(errors="backslashreplace")


def _picture(explanation: Explanation, regions: list[Region]) -> bytes:
    """Return a PNG with a row for each class."""
    import io  # noqa: PLC0415

    from PIL import Image  # noqa: PLC0415

    from pytest_lime.plots import png  # noqa: PLC0415

    rows = [png(explanation.plot(target, regions=regions), dpi=150) for target in explanation.targets]
    if len(rows) == 1:
        return rows[0]
    pictures = [Image.open(io.BytesIO(row)).convert("RGB") for row in rows]
    size = (max(picture.width for picture in pictures), sum(picture.height for picture in pictures))
    page, top = Image.new("RGB", size, "white"), 0
    for picture in pictures:
        page.paste(picture, (0, top))
        top += picture.height
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    from pytest_lime.records import write_atomically  # noqa: PLC0415

    try:
        write_atomically(path, data)
    except OSError as error:
        raise RecordError(f"{str(path)!r} cannot be written: {error.strerror or error}.") from None


def _summary(explanation: Explanation, look: dict[str, Any]) -> list[str]:
    """Return what there is to see, in lines."""
    from pytest_lime.drawing import figure_words  # noqa: PLC0415
    from pytest_lime.report.look import box_words, strongest  # noqa: PLC0415
    from pytest_lime.verdicts import describe_model  # noqa: PLC0415

    height, width = explanation.image.size
    lines = [f"{explanation.image.name}: {width}×{height} pixels, {explanation.superpixels} superpixels"]
    for row, one in enumerate(look["classes"]):
        lines += ["", describe_model(explanation, row)]
        lines.append("  superpixel     weight  interval                lies in")
        for entry in strongest(one["weights"]):
            ends = entry["interval"]
            interval = " … ".join(figure_words(end, sign=True) for end in ends) if ends else "unknown"
            weight = figure_words(entry["weight"], sign=explanation.signed)
            lines.append(f"  {entry['superpixel']:>10}  {weight:>9}  {interval:<22}  {box_words(entry)}")
        for name, facts in one["regions"].items():
            if "mass" in facts:
                low, high = facts["interval"]
                lines.append(
                    f"  {name}: {facts['mass']:.3g} of the weight that speaks for the class "
                    f"({low:.3g} … {high:.3g}), {facts['area']:.3g} of the image"
                )
        for name in explanation.opinions:
            if explanation.signed:
                agreement = explanation.agreement(name, explanation.targets[row])
                low, high = agreement.interval
                lines.append(f"  {agreement.words} ({low:.3g} … {high:.3g})")
        facts = one["explanation"]
        heldout = f" ({facts['r2_heldout']:.2f} held out)" if facts["r2_heldout"] is not None else ""
        lines.append(f"  {facts['samples']:,} samples ({facts['sampler']}); surrogate R² {facts['r2']:.2f}{heldout}")
        lines += [f"  caution: {warning}" for warning in facts["warnings"]]
    return lines


def _merge(given: argparse.Namespace) -> int:
    from pytest_lime.merging import ended_badly, merge  # noqa: PLC0415  (not needed for --help)
    from pytest_lime.step_summary import append_summary  # noqa: PLC0415

    merged = merge(list(_expanded(given.folders)), given.output, keep_going=given.keep_going)
    unwritten = append_summary(merged.results, page=merged.page)
    for sentence in [*merged.told, *filter(None, [unwritten])]:
        print(f"pytest-lime: {sentence}", file=sys.stderr)
    durations = [source["duration"] or 0.0 for source in merged.results["sources"]]
    number = len(durations)
    print(
        f"{number} {'report' if number == 1 else 'reports'} merged, {sum(durations):.1f} s of tests, "
        f"{max(durations):.1f} s in the longest"
    )
    print("\n".join(_ending_lines(merged.results)))
    print(f"report: {merged.page}")
    return 1 if given.fail and (ended_badly(merged.results) or not merged.whole) else 0


def _expanded(folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the folders that patterns stand for, where no shell has done so."""
    for folder in folders:
        matches = [] if os.path.lexists(folder) else sorted(glob.glob(str(folder)))  # noqa: PTH207  (of any pattern)
        yield from map(Path, matches) if matches else [folder]


def _ending_lines(results: Mapping[str, Any]) -> list[str]:
    """Return what the verdicts are, all in all, and how the run ended, where it did not do so by itself."""
    from pytest_lime.report.reading import as_mapping, as_rows, as_text  # noqa: PLC0415
    from pytest_lime.summaries import describe_counts  # noqa: PLC0415

    records = as_rows(results.get("records"))
    try:
        lines = [describe_counts(records)]
    except (AttributeError, KeyError, TypeError, ValueError):
        # Records of another version may lack what this one sums up.
        lines = [f"{len(records)} records"]
    run = as_mapping(results.get("run"))
    ending, reason = " ".join(as_text(run.get("exit")).split()), " ".join(as_text(run.get("reason")).split())
    if ending not in ("", "finished"):
        lines.append(f"run {ending}{f': {reason}' if reason else ''}")
    return lines


def _show(given: argparse.Namespace) -> int:
    from pytest_lime.records import VERDICTS, verdict_of  # noqa: PLC0415  (not needed for --help)
    from pytest_lime.report.reading import as_rows, as_text, as_texts  # noqa: PLC0415
    from pytest_lime.summaries import WORDS, summary_line  # noqa: PLC0415
    from pytest_lime.untrusted import read_report  # noqa: PLC0415

    folder = given.folder
    results = read_report(folder)
    for record in sorted(as_rows(results.get("records")), key=lambda record: VERDICTS.index(verdict_of(record))):
        try:
            told = summary_line(record)
        except (AttributeError, KeyError, TypeError, ValueError):
            told = f"a record that cannot be read  [{as_text(record.get('test')) or 'unnamed test'}]"
        # A name may hold line breaks, and a record one line.
        print(f"{WORDS[verdict_of(record)]}  {' '.join(told.split(chr(10)))}")
    print("\n".join(_ending_lines(results)))
    for problem in as_texts(results.get("problems")):
        print(f"problem: {' '.join(problem.split())}")
    page = (folder / "index.html").absolute()
    if not page.is_file():
        print(f"pytest-lime: {str(folder)!r} has no page index.html; run the tests again to make it.", file=sys.stderr)
        return 1
    print(f"report: {page}")
    if given.browser and not webbrowser.open(page.as_uri()):
        print("pytest-lime: no web browser could be started.", file=sys.stderr)
        return 1
    return 0
