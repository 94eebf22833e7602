"""MedSync's tests, by kind of doubt. `README.md` beside this file is written from the folders' docstrings."""
