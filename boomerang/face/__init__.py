"""What a program asks of the library, and the command line with it: one function for each wish."""
