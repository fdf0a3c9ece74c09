"""Classifiers, one file a family; ``base`` says what a classifier is, ``registry`` finds them."""
