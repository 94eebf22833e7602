"""MedSync: patients' consents, provable access logs and rewards on Starknet.

Importing the package is cheap: each module is imported where it is needed.
"""

__version__ = "0.1.0"
