"""The review of suspects by people: a local web page, and the file of decisions."""
