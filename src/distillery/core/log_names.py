"""Names of what methods log beside their losses; reports read them without torch.

Angles are in degrees.
"""

# AECRD: its synthetic points.

PAIR_ANGLE = "pair_angle"
"""Mean angle between the two points of a pair."""
OUT_OF_PLANE = "out_of_plane_angle"
"""Mean angle of the curves' points, before diffusion, to the planes through their pairs and 0."""
TOP_K_SHARE = "synthetic_in_top_k"
"""Share of an anchor's hardest negatives that are synthetic."""
FALSE_NEGATIVES = "false_negative_rate"
"""Share of the synthetic negatives whose nearest real point has the anchor's class."""
ALIGNMENT = "alignment"
"""Mean squared distance of the two networks' projections of an image."""
STUDENT_UNIFORMITY = "student_uniformity"
"""Logarithm of the mean Gaussian kernel over pairs of the student's projections."""
TEACHER_UNIFORMITY = "teacher_uniformity"
"""The same for the teacher's."""
REAL_HARDNESS = "hardness_real"
"""Vector (BINS,): shares of the real negatives by their cosine to the anchor."""
SYNTHETIC_HARDNESS = "hardness_synthetic"
"""The same for the synthetic negatives."""
BINS = 20
"""Bins of equal width from cosine -1 to 1."""

# AFD and RTK: attention between the layers of two networks.

ATTENTION = "attention"
"""Matrix (T, S): weight of each student layer for each teacher layer, mean over the batch."""
ENTROPY = "attention_entropy"
"""Scalar, in nats: entropy of the distributions that the attention consists of, their mean."""
LAYER_ENTROPY = "attention_entropy_of_layers"
"""Vector (T,), in nats: entropy of each teacher layer's softmax over the student's layers."""
FREQUENCY = "selection_frequency"
"""Vector (T,): share of the samples for which each teacher layer is distilled."""
