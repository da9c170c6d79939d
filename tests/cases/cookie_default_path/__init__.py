"""A login's cookie without Path, or with the Domain of another host (netbirdio/netbird#5915)."""
