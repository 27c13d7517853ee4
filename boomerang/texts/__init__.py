"""What a family is trained and measured on: files and datasets, record by record. No torch."""
