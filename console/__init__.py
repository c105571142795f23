"""HTTP API, live stream and the pages of centre staff. Holds no state of its own."""
