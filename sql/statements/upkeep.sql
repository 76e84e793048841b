-- name: limitStatements
-- Each of the transaction's statements takes no longer than so long.
select set_config('statement_timeout', $1::text, true)

-- name: upkeepStep
select what, partition, affected, trouble from :"schema".pgqrs_upkeep_step($1::text[])

-- name: upkeepState
-- When there was last nothing left to do, and for how long that has not been said since, or since the installation.
select u.done_at, round(extract(epoch from clock_timestamp() - coalesce(u.done_at, m.installed_at)) * 1000)::bigint as since_ms
from :"schema".pgqrs_upkeep u
cross join (select min(applied_at) as installed_at from :"schema".pgqrs_migrations) m
