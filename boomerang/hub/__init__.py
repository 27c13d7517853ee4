"""The Hub: names become commits, files are read by range or fetched, models are published."""
