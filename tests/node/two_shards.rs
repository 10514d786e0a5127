//! A node with two shards.
