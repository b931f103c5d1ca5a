"""A detector and a notifier for driftwatch, as another package ships them."""
