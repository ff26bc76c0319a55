"""Reliability: from where on a figure of an explanation is worth a warning."""

__all__ = ["APART", "FEW_ALIVE", "POOR", "UNLIKE"]

POOR = 0.2
"""Below this held-out R² the surrogate misses most of what the masks do."""

APART = 0.25
"""So far R² may fall on samples that the surrogate has not seen; and by this share of all that masks change its score
of the whole image may be off."""

UNLIKE = 0.2
"""A rank correlation with occlusion that is surely below."""

FEW_ALIVE = 0.05
"""With a smaller share of samples in which the class is alive, most weights stand for nothing."""
