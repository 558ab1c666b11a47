"""Shows a run to a person: progress, tables, notes, at a terminal or in a notebook."""
