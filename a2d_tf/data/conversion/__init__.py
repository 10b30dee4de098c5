"""From videos and annotations to records: shards built in parallel, published together."""
