"""How large batches are and how they lie in memory, found by measuring what has to be run anyway."""

from collections.abc import Callable
from typing import Any

import pytest

from pytest_lime.batches import BatchSize, Pace

LAYOUTS = ("last", "first")


class TestBatchSize:
    @staticmethod
    def settle(search: BatchSize, rate: Callable[[int], float], growing: float = 1.0) -> list[int]:
        """Run batches, so many images a second, until the search is over; return the sizes tried.

        A size that is larger than any before takes `growing` times as long.
        """
        tried: list[int] = []
        while not search.settled:
            size = search.size
            if size not in tried:
                # The first batch of a size also pays for choosing its kernels.
                search.measured(size, 100 + size / rate(size))
                assert (search.size, search.settled) == (size, False)
                search.measured(size, growing * size / rate(size))
            else:
                search.measured(size, size / rate(size))
            tried.append(size)
        return tried

    @pytest.mark.parametrize(("least", "sizes"), [(4, [4, 8, 16, 32, 64, 128, 256, 512]), (100, [100, 200, 400])])
    def test_it_doubles_while_images_a_second_rise(self, least: int, sizes: list[int]) -> None:
        search = BatchSize(least, 512)
        # Two steps down are enough to see that it is slower there.
        assert self.settle(search, float) == [*sizes, *reversed(sizes[-3:])]
        assert search.size == sizes[-1]

    def test_it_stays_at_the_best_after_two_that_are_slower(self) -> None:
        search = BatchSize()
        rates = {4: 40.0, 8: 80.0, 16: 100.0, 32: 80.0, 64: 85.0}
        assert self.settle(search, rates.__getitem__) == [4, 8, 16, 32, 64, 16, 8, 4]
        assert search.size == 16

    def test_of_sizes_that_are_about_as_fast_the_largest_is_taken(self) -> None:
        search = BatchSize(most=128)
        rates = {4: 97.0, 8: 100.0, 16: 92.0, 32: 96.0, 64: 91.0, 128: 94.0}
        assert self.settle(search, rates.__getitem__) == [4, 8, 16, 32, 64, 128, 8, 4]
        assert search.size == 32

    def test_what_growing_cost_is_no_fault_of_small_sizes(self) -> None:
        search = BatchSize(most=64)
        # While it grows, each size pays for memory that nobody has used yet.
        for size in (4, 8, 16, 32, 64):
            for _ in range(2):
                assert (search.size, search.settled) == (size, False)
                search.measured(size, size / (85 if size == 64 else 80))
        rates = {4: 90.0, 8: 100.0, 16: 100.0, 32: 99.0, 64: 86.0}
        for size in reversed(rates):
            assert (search.size, search.settled) == (size, False)
            search.measured(size, size / rates[size])
        assert (search.size, search.settled) == (32, True)

    def test_where_nothing_is_below_the_fastest_a_larger_one_as_fast_is_taken(self) -> None:
        search = BatchSize(most=16)
        rates = {4: 100.0, 8: 94.0, 16: 98.0}
        assert self.settle(search, rates.__getitem__) == [4, 8, 16]
        assert search.size == 16

    def test_going_down_ends_after_two_that_are_clearly_slower(self) -> None:
        search = BatchSize(most=128)
        rates = {4: 80.0, 8: 85.0, 16: 95.0, 32: 85.0, 64: 99.0, 128: 101.0}
        assert self.settle(search, rates.__getitem__, growing=1.25) == [4, 8, 16, 32, 64, 128, 128, 64, 32, 16, 8]
        assert search.size == 128

    def test_a_slow_batch_on_the_way_down_does_not_end_it(self) -> None:
        search = BatchSize(most=32)
        for size in (4, 4, 8, 8, 16, 16, 32, 32):
            search.measured(size, size / (50 + size))
        # The largest, again: what it showed before stands.
        search.measured(32, 100.0)
        assert (search.size, search.settled) == (16, False)
        search.measured(16, 100.0)
        assert (search.size, search.settled) == (8, False)
        search.measured(8, 8 / 120)
        assert (search.size, search.settled) == (4, False)
        search.measured(4, 100.0)
        assert (search.size, search.settled) == (8, True)

    def test_out_of_memory_on_the_way_down(self) -> None:
        search = BatchSize(most=16)
        for size in (4, 4, 8, 8, 16, 16):
            search.measured(size, 1.0)
        assert (search.size, search.settled) == (16, False)
        assert search.too_large(16)
        assert (search.size, search.settled) == (8, True)

    def test_one_slow_size_on_a_busy_machine_does_not_end_it(self) -> None:
        search = BatchSize(most=64)
        rates = {4: 40.0, 8: 10.0, 16: 100.0, 32: 200.0, 64: 300.0}
        assert self.settle(search, rates.__getitem__) == [4, 8, 16, 32, 64, 64, 32, 16]
        assert search.size == 64

    @pytest.mark.parametrize("most", [1, 2, 3, 4, 7])
    def test_little_room(self, most: int) -> None:
        search = BatchSize(most=most)
        assert self.settle(search, float) == [min(4, most)]
        assert search.size == min(4, most)

    def test_a_batch_of_another_size_says_nothing(self) -> None:
        search = BatchSize()
        for _ in range(5):
            search.measured(3, 1e-9)
        assert (search.size, search.settled) == (4, False)

    def test_no_time_at_all_is_no_error(self) -> None:
        search = BatchSize(most=8)
        for _ in range(6):
            search.measured(search.size, 0.0)
        assert (search.size, search.settled) == (8, True)

    @pytest.mark.parametrize(("rates", "kept"), [((50, 60, 70), 16), ((50, 70, 60), 8), ((90, 80, 95), 16)])
    def test_out_of_memory_goes_back_to_the_best_that_fits(self, rates: tuple[float, ...], kept: int) -> None:
        search = BatchSize()
        for size, rate in zip((4, 8, 16), rates, strict=True):
            search.measured(size, size / rate)
            search.measured(size, size / rate)
        assert search.size == 32
        assert search.too_large(32)
        assert (search.size, search.settled) == (kept, True)
        search.measured(kept, 1e9)
        assert search.size == kept

    def test_out_of_memory_at_once_halves(self) -> None:
        search = BatchSize()
        assert search.too_large(4)
        assert (search.size, search.settled) == (2, True)
        assert search.too_large(2)
        assert search.size == 1

    def test_one_image_cannot_be_halved(self) -> None:
        assert not BatchSize().too_large(1)


class TestPace:
    @staticmethod
    def settle(pace: Pace, rate: Callable[[int, str], float]) -> list[tuple[int, str]]:
        """Run batches, so many images a second, until nothing is left to find; return what was tried."""
        tried = []
        while not pace.settled:
            size, layout = pace.size, pace.layout
            assert pace.found is None
            tried.append((size, layout))
            pace.measured(size, size / rate(size, layout))
        return tried

    def test_the_layout_is_found_at_the_smallest_size_and_then_the_size(self) -> None:
        pace = Pace(4, 16, LAYOUTS)
        tried = self.settle(pace, lambda size, layout: size * (2 if layout == "first" else 1))
        # Each layout twice, in turn; the size at which they were tried is known then.
        assert tried[:4] == [(4, "last"), (4, "first")] * 2
        assert tried[4:] == [
            (8, "first"),
            (8, "first"),
            (16, "first"),
            (16, "first"),
            (16, "first"),
            (8, "first"),
            (4, "first"),
        ]
        assert pace.found == (16, "first")

    @pytest.mark.parametrize("faster", LAYOUTS)
    def test_the_faster_layout_stays(self, faster: str) -> None:
        pace = Pace(4, 8, LAYOUTS)
        self.settle(pace, lambda size, layout: 2.0 if layout == faster else 1.0)
        assert pace.layout == faster

    def test_the_first_layout_where_both_are_as_fast(self) -> None:
        pace = Pace(4, 8, LAYOUTS)
        self.settle(pace, lambda size, layout: 1.0)
        assert pace.layout == "last"

    @pytest.mark.parametrize("slow", range(4))
    def test_one_slow_batch_does_not_decide_on_the_layout(self, slow: int) -> None:
        # The first batch of a layout also pays for arranging the weights.
        pace = Pace(4, 4, LAYOUTS)
        for batch in range(4):
            rate = 2.0 if pace.layout == "first" else 1.0
            pace.measured(4, 100.0 if batch == slow else 4 / rate)
        assert (pace.layout, pace.settled) == ("first", True)

    def test_what_a_layout_showed_counts_for_its_size(self) -> None:
        pace = Pace(4, 512, LAYOUTS)
        # The layout that is kept is fastest at the smallest size of all.
        self.settle(pace, lambda size, layout: 100.0 if (size, layout) == (4, "first") else 1.0)
        assert pace.found == (4, "first")

    def test_one_layout_needs_no_trial(self) -> None:
        pace = Pace(4, 16, ("last",))
        tried = self.settle(pace, lambda size, layout: float(size))
        assert tried == [(size, "last") for size in (4, 4, 8, 8, 16, 16, 16, 8, 4)]
        assert pace.found == (16, "last")

    @pytest.mark.parametrize("fixed", [1, 7, 1000])
    def test_a_size_that_is_given_needs_no_measuring(self, fixed: int) -> None:
        pace = Pace(4, 16, LAYOUTS, fixed=fixed)
        # Nobody needs to be told of it.
        assert (pace.settled, pace.found) == (True, None)
        pace.measured(fixed, 1e-9)
        assert (pace.size, pace.layout) == (fixed, "last")

    def test_memory_lowers_a_size_that_is_given(self) -> None:
        pace = Pace(4, 512, LAYOUTS, fixed=100)
        assert pace.too_large(100)
        assert (pace.size, pace.layout) == (50, "last")
        assert pace.too_large(50)
        assert (pace.size, pace.layout, pace.found) == (25, "last", None)

    @pytest.mark.parametrize("before", range(4))
    def test_out_of_memory_during_the_trial_of_layouts(self, before: int) -> None:
        pace = Pace(4, 512, LAYOUTS)
        for _ in range(before):
            pace.measured(4, 1.0)
        assert pace.too_large(4)
        assert (pace.size, pace.settled) == (2, False)
        self.settle(pace, lambda size, layout: 2.0 if layout == "first" else 1.0)
        assert pace.size == 2
        assert pace.layout in LAYOUTS

    def test_out_of_memory_at_once_leaves_the_layout_to_be_found(self) -> None:
        pace = Pace(4, 512, LAYOUTS)
        assert pace.too_large(4)
        tried = self.settle(pace, lambda size, layout: 2.0 if layout == "first" else 1.0)
        assert tried == [(2, "last"), (2, "first")] * 2
        # The memory may be another program's: it is not to be remembered.
        assert (pace.size, pace.layout, pace.found) == (2, "first", None)

    def test_out_of_memory_later_goes_back_to_the_best_that_fits(self) -> None:
        pace = Pace(4, 512, LAYOUTS)
        while pace.size < 32:
            pace.measured(pace.size, pace.size / (pace.size * (2 if pace.layout == "first" else 1)))
        assert pace.too_large(32)
        assert (pace.size, pace.layout, pace.settled, pace.found) == (16, "first", True, None)

    def test_out_of_memory_after_the_end_of_the_search(self) -> None:
        pace = Pace(4, 16, ("last",))
        self.settle(pace, lambda size, layout: float(size))
        assert pace.too_large(16)
        assert (pace.size, pace.found) == (8, None)

    def test_one_image_cannot_be_halved(self) -> None:
        assert not Pace(1, 1, LAYOUTS).too_large(1)
        assert not Pace(4, 512, LAYOUTS, fixed=1).too_large(1)

    def test_what_was_found_before_is_taken_over(self) -> None:
        pace = Pace(4, 512, LAYOUTS)
        pace.recall(64, "first")
        assert (pace.size, pace.layout, pace.settled) == (64, "first", True)
        # Whoever told it need not be told.
        assert pace.found is None
        pace.measured(64, 1e9)
        assert (pace.size, pace.layout) == (64, "first")

    def test_what_was_found_before_stays_within_what_fits(self) -> None:
        pace = Pace(4, 32, LAYOUTS)
        pace.recall(64, "last")
        assert (pace.size, pace.layout, pace.settled) == (32, "last", True)

    def test_memory_that_ran_out_is_stronger_than_what_was_found_before(self) -> None:
        pace = Pace(4, 512, LAYOUTS)
        assert pace.too_large(4)
        pace.recall(64, "first")
        assert pace.size == 2

    def test_a_layout_that_is_not_known_is_not_taken_over(self) -> None:
        pace = Pace(4, 512, LAYOUTS)
        pace.recall(64, "middle")
        assert (pace.size, pace.found) == (4, None)

    def test_what_is_settled_is_not_changed_by_what_was_found_before(self) -> None:
        pace = Pace(4, 512, LAYOUTS, fixed=10)
        pace.recall(64, "first")
        assert (pace.size, pace.layout) == (10, "last")

    def test_what_was_found_is_told_once(self) -> None:
        pace = Pace(4, 16, ("last",))
        self.settle(pace, lambda size, layout: float(size))
        assert [pace.found, pace.found] == [(16, "last"), None]
        assert (pace.size, pace.layout, pace.settled) == (16, "last", True)


class TestPadding:
    def pace(self, **options: Any) -> Pace:
        return Pace(32, 512, ["contiguous"], **options)

    @pytest.mark.parametrize(("wanted", "given"), [(1, 32), (32, 32), (33, 64), (65, 100), (99, 100), (100, 100)])
    def test_few_sizes(self, wanted: int, given: int) -> None:
        assert self.pace(fixed=100, pads=True).padded(wanted) == given

    def test_never_more_than_a_batch(self) -> None:
        assert [self.pace(fixed=8, pads=True).padded(size) for size in (1, 5, 8)] == [8, 8, 8]

    def test_no_padding_unless_asked_for(self) -> None:
        assert [self.pace(fixed=100).padded(size) for size in (1, 33, 99)] == [1, 33, 99]

    def test_follows_a_size_that_memory_has_lowered(self) -> None:
        pace = self.pace(fixed=256, pads=True)
        assert pace.padded(130) == 256
        assert pace.too_large(256)
        assert [pace.padded(size) for size in (130, 65)] == [130, 128]
