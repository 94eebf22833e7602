"""Attacks described as stories, each with the reason why it must fail."""
