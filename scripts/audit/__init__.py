"""The audit report: which tests ran, what they showed, and what is missing, as an HTML page and as JSON.

`recorder` is a pytest plugin that records a run, `run` makes one, `gather` combines it with the other
evidence, and `page` renders the report. Nothing is omitted silently: evidence that cannot be found is listed
as missing.
"""
