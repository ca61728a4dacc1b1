"""What a result is worth: scores against a reference, the verdict without one, a scan in words."""
