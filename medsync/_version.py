"""The package's version, where every room can import it without the public interface."""

__version__ = "0.1.0"
