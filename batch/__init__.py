"""The room that answers whole tables: files in, Parquet out, every row exactly once, and no pickle anywhere."""
