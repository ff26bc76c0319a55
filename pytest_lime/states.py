"""How far a check is: what the code that samples tells, and what a bar shows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["State"]


@dataclass(frozen=True, slots=True)
class State:
    """How far a check is, on one image or on a set of them.

    Attributes
    ----------
    label : str
        What is explained, such as ``'Egyptian cat' in 'chelsea.png'``.
    samples, most : int
        How many samples the image at hand has, and how many it may have.
    passes : int
        How many images the model has seen; the speed comes from its growth, and a fall means a new count.
    undecided, claims : int
        How many claims are still open, of how many. Without claims nothing can end the sampling before
        `most`, as with a fixed number of samples.
    images, images_done : int
        The size of the set, and how many of its images are through.
    """

    label: str
    samples: int
    most: int
    passes: int
    undecided: int = 0
    claims: int = 0
    images: int = 1
    images_done: int = 0
