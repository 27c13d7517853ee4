"""What is shown of many families at once: a page of them, and how many there are."""
