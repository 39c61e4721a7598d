"""Tests of deploy/: `python3 -B -m unittest discover -s deploy/tests -t deploy` from the root."""
