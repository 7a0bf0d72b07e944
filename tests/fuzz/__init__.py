"""Mutations of known messages for every parser, and the bounds of the largest mails."""
