"""The page that shows the state is behind a redirect, as with language prefixes or trailing slashes."""
