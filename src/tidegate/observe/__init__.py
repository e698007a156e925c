"""What happened: access log, error log, metrics."""
