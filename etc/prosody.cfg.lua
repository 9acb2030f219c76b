-- passd as a component of Prosody 0.12: add these lines to the end of
-- /etc/prosody/prosody.cfg.lua, or put them in a file of their own in
-- /etc/prosody/conf.d/, and reload Prosody.
--
-- The stream between the two is not encrypted.  Prosody listens for components
-- on loopback unless told otherwise; leave it so, and run passd on the same
-- host or through a tunnel (stunnel, spiped, WireGuard).
--
--	component_ports = { 5347 }			-- the default
--	component_interfaces = { "127.0.0.1", "::1" }	-- the default

Component "pass.example.org"
	-- The same line as in /etc/passd.secret.  Make one with
	--	openssl rand -hex 32
	component_secret = "change me"

	-- A passd that lost its power or its network leaves a connection
	-- behind, and Prosody then refuses the new one with "conflict" until
	-- that dies.  With this line the new one wins.
	component_conflict_resolve = "kick_old"

-- Clients find the service in the server's list of items if its name is a
-- subdomain of theirs.  For any other name say in the VirtualHost:
--	disco_items = { { "pass.example.net", "Ports for people behind NAT" } }
--
-- Users of other servers reach it if those can: publish an SRV or address
-- record for pass.example.org, and a certificate that covers the name.
