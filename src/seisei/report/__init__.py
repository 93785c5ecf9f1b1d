"""Pages: a run's report and a comparison, from JSON and images."""
