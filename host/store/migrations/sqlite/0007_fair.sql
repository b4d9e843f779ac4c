-- Tenants and tools take turns: their runs are found tool by tool.
DROP INDEX runs_to_take;
CREATE INDEX runs_to_take ON runs (tenant, tool, wake, id) WHERE wake IS NOT NULL;
