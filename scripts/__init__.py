"""What a maintainer runs: `python -m scripts` lists it. Nothing here is part of the installed package."""
