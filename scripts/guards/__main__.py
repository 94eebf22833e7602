"""Write docs/guards.md from the table."""

from tests.guards.table import PAGE, page
from tests.guards.trees import ROOT

(ROOT / PAGE).write_text(page())
