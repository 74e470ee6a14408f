"""The review of suspects by people: a local web page."""
