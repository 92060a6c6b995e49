"""Back ends: the HTTP services that plans look things up in and notify. Knows nothing of calls or plans."""
