"""A cookie's Max-Age counts from the login, and is never sent again (expressjs/session#357, #624)."""
