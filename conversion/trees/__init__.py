"""Is a tree ensemble written exactly, and does the written graph decide as it for every input? `proof` answers."""
