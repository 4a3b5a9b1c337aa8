"""The queue of jobs, the supervisor that starts them, and the processes that do them."""
