"""Keys of institutions and accessors: derived, kept in files, and certified."""
