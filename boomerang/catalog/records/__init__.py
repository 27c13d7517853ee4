"""What the catalog takes and gives: plain frozen records, detached from the database."""
