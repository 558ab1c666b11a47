"""The types that the other rooms exchange: small, without side effects, importing nothing of this package."""
