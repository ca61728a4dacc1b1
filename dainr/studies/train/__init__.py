"""Training a network on a folder of scans: their index, the prepared scans, the loop, the card and the page."""
