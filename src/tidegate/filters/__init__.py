"""The filters that ship, each one file, each written against the public interface only."""
