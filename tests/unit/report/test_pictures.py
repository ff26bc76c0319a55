"""The pictures of a check, against label maps small enough to know the answer."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.filters import gaussian
from skimage.measure import approximate_polygon, find_contours

from pytest_lime.report import pictures
from pytest_lime.report.pictures import legend_colours, opacity, region_letter, write_pictures
from pytest_lime.verdicts import Layer

QUARTERS = np.array([[0, 1], [2, 3]])
SVG = "{http://www.w3.org/2000/svg}"


def write(folder: Path, **changes: object) -> dict[str, str]:
    given: dict[str, object] = {
        "photo": np.zeros((40, 40, 3), np.float32),
        "segments": QUARTERS,
        "weights": np.array([1.0, -1.0, 0.0, 0.5]),
        "regions": [],
        "top": [],
        **changes,
    }
    return write_pictures(folder, "stem", **given)  # type: ignore[arg-type]


def pixels(path: Path) -> NDArray[np.int64]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGBA") if picture.mode == "P" else picture).astype(np.int64)


def outline_points(path: Path) -> list[NDArray[np.float64]]:
    paths = [element.attrib["d"] for element in ElementTree.parse(path).iter(f"{SVG}path")]
    loops = [loop for d in paths for loop in d.rstrip("Z").split("Z")]
    return [np.array([[float(n) for n in pair.split()] for pair in loop[1:].split("L")]) for loop in loops]


def strokes(path: Path, identifier: str) -> str:
    (found,) = [e for e in ElementTree.parse(path).iter(f"{SVG}path") if e.attrib["id"] == identifier]
    return found.attrib["d"]


def test_paths_are_relative_and_name_only_what_was_written(tmp_path: Path) -> None:
    assert write(tmp_path) == {
        "image": "images/stem-image.png",
        "heatmap": "images/stem-heatmap.png",
        "borders": "images/stem-borders.svg",
    }
    more = write(tmp_path, regions=[np.ones((2, 2), bool)], top=[3])
    assert more["regions"] == "images/stem-regions.svg"
    assert more["top"] == "images/stem-top.svg"
    assert {f"images/{path.name}" for path in (tmp_path / "images").iterdir()} == set(more.values())


@pytest.mark.parametrize("stem", ["", "../up", "a/b", ".hidden", "-x", "a b", "x\n"])
def test_a_stem_that_leaves_the_folder_is_refused(tmp_path: Path, stem: str) -> None:
    with pytest.raises(ValueError, match="stem="):
        write_pictures(
            tmp_path, stem, photo=np.zeros((2, 2, 3)), segments=QUARTERS, weights=np.zeros(4), regions=[], top=[]
        )
    assert not list(tmp_path.iterdir())


def test_a_photograph_of_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"photo.shape=\(4, 4\)"):
        write(tmp_path, photo=np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("shape", "ending", "size"),
    [
        ((8, 8), "png", (512, 512)),
        ((64, 32), "png", (256, 512)),
        ((300, 451), "jpg", (451, 300)),
        ((500, 2000), "jpg", (768, 192)),
    ],
)
def test_the_photograph_keeps_its_aspect_at_a_sensible_size(
    tmp_path: Path, shape: tuple[int, int], ending: str, size: tuple[int, int]
) -> None:
    path = write(tmp_path, photo=np.full((*shape, 3), 0.5, np.float32))["image"]
    assert path.endswith(ending)
    with Image.open(tmp_path / path) as picture:
        assert picture.size == size


def test_a_tiny_picture_is_enlarged_in_whole_pixels(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (8, 8, 3)) / 255
    shown = pixels(tmp_path / write(tmp_path, photo=photo.astype(np.float32))["image"])
    assert np.array_equal(shown[::64, ::64], np.rint(photo * 255))
    assert np.array_equal(shown, shown[::64, ::64].repeat(64, 0).repeat(64, 1))


def test_the_heatmap_is_centred_at_zero(tmp_path: Path) -> None:
    shown = pixels(tmp_path / write(tmp_path, weights=np.array([0.2, -0.2, 0.0, 0.1]))["heatmap"])
    step = shown.shape[0] // 2
    towards, against, nothing, half = (shown[y, x] for y in (0, step) for x in (0, step))
    ends = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in legend_colours(3)]
    assert against[:3].tolist() == ends[0]
    assert nothing[:3].tolist() == ends[1]
    assert towards[:3].tolist() == ends[2]
    assert nothing[3] == 0
    assert towards[3] == against[3] == round(255 * opacity(1.0))
    assert 0 < half[3] < towards[3]
    assert half[0] > half[2]  # orange speaks for
    assert against[2] > against[1]  # purple speaks against


def test_one_sided_weights_still_take_only_their_side_of_the_scale(tmp_path: Path) -> None:
    shown = pixels(tmp_path / write(tmp_path, weights=np.array([1.0, 0.9, 0.8, 0.0]))["heatmap"])
    assert (shown[..., 0] >= shown[..., 2] - 1).all()


@pytest.mark.parametrize("weights", [np.zeros(4), np.array([np.nan, np.inf, -np.inf, 0.0])])
def test_weights_without_strength_leave_the_photograph_untouched(tmp_path: Path, weights: NDArray[np.float64]) -> None:
    assert not pixels(tmp_path / write(tmp_path, weights=weights)["heatmap"])[..., 3].any()


def test_borders_are_the_runs_between_different_labels(tmp_path: Path) -> None:
    assert strokes(tmp_path / write(tmp_path)["borders"], "b") == "M1 0v2M0 1h2"


def test_one_superpixel_has_no_border(tmp_path: Path) -> None:
    path = tmp_path / write(tmp_path, segments=np.zeros((5, 7), int), weights=np.ones(1))["borders"]
    assert strokes(path, "b") == ""


def test_border_runs_cover_exactly_the_places_where_neighbours_differ(tmp_path: Path) -> None:
    labels = np.random.default_rng(3).integers(0, 4, (13, 9))
    path = strokes(tmp_path / write(tmp_path, segments=labels)["borders"], "b")
    across, down = np.zeros((13, 8), int), np.zeros((12, 9), int)
    x = y = 0
    for start_x, start_y, way, length in re.findall(r"M(\d+) (\d+)|([vh])(-?\d+)", path):
        if not way:
            x, y = int(start_x), int(start_y)
        elif way == "v":
            across[min(y, y + int(length)) : max(y, y + int(length)), x - 1] += 1
            y += int(length)
        else:
            down[y - 1, min(x, x + int(length)) : max(x, x + int(length))] += 1
            x += int(length)
    assert np.array_equal(across, labels[:, 1:] != labels[:, :-1])
    assert np.array_equal(down, labels[1:] != labels[:-1])


def test_layers_have_the_grid_as_their_space_and_the_aspect_of_the_photograph(tmp_path: Path) -> None:
    path = write(tmp_path, photo=np.zeros((100, 200, 3), np.float32))["borders"]
    root = ElementTree.parse(tmp_path / path).getroot()
    assert root.attrib["viewBox"] == "0 0 2 2"
    assert root.attrib["preserveAspectRatio"] == "none"
    assert float(root.attrib["width"]) == 2 * float(root.attrib["height"])


@pytest.mark.parametrize("resolution", [8, 64, 300, 2400])
def test_a_region_keeps_its_place_at_any_resolution(tmp_path: Path, resolution: int) -> None:
    mask = np.zeros((resolution, resolution), bool)
    low, high = resolution // 4, resolution * 3 // 4
    mask[low:high, low : resolution // 2] = True
    path = write(tmp_path, regions=[mask], segments=np.zeros((100, 100), int))["regions"]
    (points,) = outline_points(tmp_path / path)
    # Within one pixel of the finest of the two grids, plus the half pixel that a contour cuts off a corner.
    tolerance = 100 / min(resolution, 256) * 0.8 if resolution >= 256 else 0.3
    assert points.min(axis=0) == pytest.approx([25, 25], abs=tolerance)
    assert points.max(axis=0) == pytest.approx([50, 75], abs=tolerance)


def test_a_region_with_a_hole_and_two_parts_has_three_outlines(tmp_path: Path) -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:10, 2:10] = True
    mask[4:7, 4:7] = False
    mask[14:18, 14:18] = True
    assert len(outline_points(tmp_path / write(tmp_path, regions=[mask])["regions"])) == 3


def test_the_outline_of_the_whole_picture_lies_inside_it(tmp_path: Path) -> None:
    path = write(tmp_path, regions=[np.ones((10, 10), bool)], segments=np.zeros((10, 10), int))["regions"]
    (points,) = outline_points(tmp_path / path)
    assert 0 < points.min() < 0.1
    assert 9.9 < points.max() < 10


def test_several_regions_are_told_apart_by_letter_and_by_line(tmp_path: Path) -> None:
    left = np.zeros((10, 10), bool)
    left[:, :4] = True
    path = tmp_path / write(tmp_path, regions=[left, ~left])["regions"]
    tree = ElementTree.parse(path)
    assert [element.text for element in tree.iter(f"{SVG}text")] == ["A", "B"]
    dashes = [e.attrib["stroke-dasharray"] for e in tree.iter(f"{SVG}use") if "stroke-dasharray" in e.attrib]
    assert len(set(dashes)) == 2
    one = ElementTree.parse(tmp_path / write(tmp_path, regions=[left])["regions"])
    assert not list(one.iter(f"{SVG}text"))
    assert [region_letter(n) for n in (0, 25, 26)] == ["A", "Z", "27"]


def badges(path: Path) -> dict[str, tuple[float, float]]:
    found = {}
    for group in ElementTree.parse(path).iter(f"{SVG}g"):
        text = group.find(f"{SVG}text")
        if text is not None and text.text:
            x, y = re.findall(r"translate\((\S+) (\S+)\)", group.attrib["transform"])[0]
            found[text.text] = (float(x), float(y))
    return found


def test_badges_carry_the_rank_and_lie_in_their_superpixel(tmp_path: Path) -> None:
    segments = np.arange(4).repeat(25).reshape(2, 2, 5, 5).transpose(0, 2, 1, 3).reshape(10, 10)
    path = write(tmp_path, segments=segments, top=[2, 1])["top"]
    assert badges(tmp_path / path) == {"1": (2.5, 7.5), "2": (7.5, 2.5)}


def test_a_badge_lies_inside_a_superpixel_that_bends_round_its_own_centre(tmp_path: Path) -> None:
    segments = np.zeros((40, 40), int)
    segments[4:36, 4:36] = 1
    segments[4:30, 10:30] = 0  # a U: its mean is outside
    path = write(tmp_path, segments=segments, top=[1])["top"]
    x, y = badges(tmp_path / path)["1"]
    assert segments[int(y), int(x)] == 1


def test_a_top_superpixel_without_a_pixel_is_passed_over(tmp_path: Path) -> None:
    assert set(badges(tmp_path / write(tmp_path, top=[9, 3])["top"])) == {"2"}


def test_a_failed_write_leaves_the_old_pictures_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: (tmp_path / path).read_bytes() for path in write(tmp_path).values()}

    def refuse(self: Path, target: Path) -> Path:
        raise OSError("no space")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        write(tmp_path, weights=np.array([0.0, 1.0, 1.0, 0.0]))
    assert {f"images/{p.name}": p.read_bytes() for p in (tmp_path / "images").iterdir()} == before


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first = {p: (tmp_path / p).read_bytes() for p in write(tmp_path, top=[0]).values()}
    assert first == {p: (tmp_path / p).read_bytes() for p in write(tmp_path, top=[0]).values()}


def test_the_legend_is_symmetric_in_length_and_neutral_in_the_middle() -> None:
    colours = legend_colours()
    assert len(colours) == 21
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
    middle = [int(colours[10][i : i + 2], 16) for i in (1, 3, 5)]
    assert max(middle) - min(middle) <= 3
    assert min(middle) > 240
    assert legend_colours(1) == [colours[10]]
    with pytest.raises(ValueError, match="n must be at least 1"):
        legend_colours(0)


def test_opacity_grows_with_strength_on_both_sides() -> None:
    values = [opacity(strength) for strength in (0.0, 0.1, 0.5, 1.0)]
    assert values[0] == 0
    assert values == sorted(values)
    assert opacity(-0.5) == opacity(0.5)
    assert opacity(7.0) == pictures.MOST_OPAQUE


def test_a_noisy_photograph_is_made_smaller_until_it_is_small_enough(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((600, 900, 3), dtype=np.float32)
    path = write(tmp_path, photo=noise)["image"]
    with Image.open(tmp_path / path) as picture:
        assert picture.size == (384, 256)
    soft = write(tmp_path, photo=np.full((600, 900, 3), 0.5, np.float32))["image"]
    with Image.open(tmp_path / soft) as picture:
        assert picture.size == (768, 512)


def test_another_explanation_is_drawn_on_the_same_scale(tmp_path: Path) -> None:
    weights = np.array([1.0, -1.0, 0.0, 0.5])
    same = write(tmp_path, weights=weights, beside=Layer(QUARTERS, weights))
    assert "baseline_borders" not in same
    assert (tmp_path / same["baseline"]).read_bytes() == (tmp_path / same["heatmap"]).read_bytes()
    weaker = write(tmp_path, weights=weights, beside=Layer(QUARTERS.T, weights / 2))
    shown = pixels(tmp_path / weaker["baseline"])
    assert shown[0, 0, 3] == round(255 * opacity(0.5))
    assert strokes(tmp_path / weaker["baseline_borders"], "b") == "M1 0v2M0 1h2"
    # Nothing now: then on the scale of what there was.
    nothing = write(tmp_path, weights=np.zeros(4), beside=Layer(QUARTERS, weights))
    assert pixels(tmp_path / nothing["baseline"])[0, 0, 3] == round(255 * opacity(1.0))


@pytest.mark.parametrize("channels", [1, 3])
def test_what_the_model_saw_with_a_part_hidden(tmp_path: Path, channels: int) -> None:
    seen = np.zeros((channels, 224, 224), np.float32)
    seen[:, :112] = 2.0  # beyond white, as a fill may be
    paths = write(tmp_path, photo=np.zeros((40, 80, 3), np.float32), hidden={"without.0.1": seen})
    assert paths["without.0.1"] == "images/stem-without.0.1.jpg"
    shown = pixels(tmp_path / paths["without.0.1"])
    assert shown.shape == (112, 224, 3)
    assert shown[20].min() > 250
    assert shown[90].max() < 5


def test_a_border_that_meets_itself_is_drawn_whole(tmp_path: Path) -> None:
    labels = np.zeros((6, 6), int)
    labels[2:4, 2:4] = 1
    # Once round, and nothing twice.
    path = strokes(tmp_path / write(tmp_path, segments=labels, weights=np.ones(2))["borders"], "b")
    assert sorted(re.findall(r"[vh]-?\d+", path)) == ["h-2", "h2", "v-2", "v2"]
    assert path.count("M") == 1


def test_a_heatmap_of_more_shades_than_a_palette_holds_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    given = {"segments": rng.integers(0, 40, (12, 9)), "weights": rng.normal(size=40)}
    few = pixels(tmp_path / write(tmp_path, **given)["heatmap"])
    monkeypatch.setattr(pictures, "PALETTE", 8)
    assert np.array_equal(pixels(tmp_path / write(tmp_path, **given)["heatmap"]), few)


def test_all_pictures_of_a_check_of_two_regions_stay_within_their_share(tmp_path: Path) -> None:
    # Grain over soft forms, which JPEG holds worst; fifty superpixels with ragged borders, as SLIC makes them.
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:224, :224]
    centres = rng.random((50, 2)) * 224
    ragged = (rows[..., None] - centres[:, 0]) ** 2 + (columns[..., None] - centres[:, 1]) ** 2
    segments = (ragged + rng.normal(0, 60, (224, 224, 50))).argmin(axis=-1)
    grain = rng.normal(0, 0.08, (3, 224, 224))
    seen = np.clip(0.5 + 0.3 * np.sin(rows / 30) * np.cos(columns / 17) + grain, 0, 1).astype(np.float32)
    photo = np.moveaxis(seen, 0, -1).repeat(4, axis=0).repeat(4, axis=1)
    mask = rows + columns < 200
    paths = write(
        tmp_path,
        photo=photo,
        segments=segments,
        weights=rng.normal(size=50),
        regions=[mask, ~mask],
        top=[0, 1, 2, 3],
        hidden={f"{kind}.{r}.{f}": seen for kind in ("without", "alone") for r in (0, 1) for f in (0, 1)},
    )
    without_borders = sum((tmp_path / path).stat().st_size for key, path in paths.items() if key != "borders")
    assert without_borders < 95_000


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tolerance", [0.5, 0.75, 3.0])
def test_outlines_are_simplified_as_well_as_scikit_image_does_it(seed: int, tolerance: float) -> None:
    blobs = gaussian(np.random.default_rng(seed).random((40, 50)), 3) > 0.5
    ours = theirs = 0
    for contour in find_contours(np.pad(blobs, 1).astype(np.float64), 0.5):
        found = pictures._simplified(contour, tolerance)
        np.testing.assert_array_equal(found[[0, -1]], contour[[0, -1]])
        # Every point that was left out is that near to a line between two that were not.
        starts, chords = found[:-1, None], np.diff(found, axis=0)[:, None]
        along = ((contour - starts) * chords).sum(-1) / np.maximum((chords**2).sum(-1), 1e-12)
        nearest = starts + np.clip(along, 0, 1)[..., None] * chords
        assert np.hypot(*(contour - nearest).T).T.min(axis=0).max() <= tolerance + 1e-9
        ours, theirs = ours + len(found), theirs + len(approximate_polygon(contour, tolerance))
    assert 0 < ours <= 1.1 * theirs


def test_a_point_and_a_line_are_left_as_they_are() -> None:
    for points in (np.zeros((1, 2)), np.array([[0.0, 0.0], [3.0, 4.0]]), np.zeros((5, 2))):
        found = pictures._simplified(points, 0.5)
        np.testing.assert_array_equal(found, points if len(points) < 3 else points[:2])
