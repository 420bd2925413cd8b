"""The measurements behind `danhao bench`, one module a path; `measured.py` is what they share."""
