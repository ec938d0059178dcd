"""What is known about the time when a stream was not read, and how it is filled."""
