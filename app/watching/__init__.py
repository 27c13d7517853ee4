"""What a front end says of the requests it answers: logs, traces, figures."""
