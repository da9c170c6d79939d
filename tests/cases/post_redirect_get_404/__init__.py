"""A POST answers 303 and is done; the page after it is not there yet (terraform-provider-hsdp#222)."""
