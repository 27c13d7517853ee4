"""The service from outside: asking a running one, and running one."""
