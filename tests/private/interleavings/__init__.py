"""Random histories of institutions whose processes die anywhere."""
