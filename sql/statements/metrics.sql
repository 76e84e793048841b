-- name: queueMetrics
-- Of one queue by name, or of all where $1 is null; up to $2 messages of each are counted, all where it is null.
select * from :"schema".pgqrs_queue_metrics($1::text, $2::bigint)
