"""Tests of Mirror on real engines."""
