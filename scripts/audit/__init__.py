"""The auditor's view: one page, and the same as JSON, of what was run, what it showed, and what is missing.

`recorder` is a pytest plugin that writes down a run, `run` makes one, `gather` puts it together with the rest
of the evidence, `page` renders it. Nothing is left out silently: what cannot be found is listed as missing.
"""
