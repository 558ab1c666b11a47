"""The application's executors: what they have, how many there are, and which run has them."""
