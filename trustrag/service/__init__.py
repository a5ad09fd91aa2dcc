"""Ways for other programs to ask: MCP over stdio. Servers over HTTP have their room here."""
