"""Where records come from: folders, archives of arrays, Parquet files, the Hub."""
