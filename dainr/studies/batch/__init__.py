"""A folder of cases: found, fitted one by one or many at once, and summed up."""
