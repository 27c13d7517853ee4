"""The teachers, students and members that the catalog knows, as files."""
