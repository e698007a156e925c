"""What people who write filters test them with."""
