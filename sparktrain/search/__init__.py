"""Many runs over the same rows."""
