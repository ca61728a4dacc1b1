"""Several fits: comparisons, budgets, searches, forecasts, folders of cases."""
