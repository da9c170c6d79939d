"""A cache hands out the Set-Cookie of the first client (NginxProxyManager/nginx-proxy-manager#4423)."""
