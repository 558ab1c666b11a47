"""What a person sees of a run, at a terminal or in a notebook."""
