"""Estimators for tables with columns of any kind, and their evaluation."""
