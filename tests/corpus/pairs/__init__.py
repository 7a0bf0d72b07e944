"""Labelled pairs of invented messages: which are repeats, which are only alike, and which are neither."""
