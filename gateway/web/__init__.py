"""The pages: plain files that a browser reads, and that speak to the gateway by the same HTTP as anybody."""
