/** Pages of a category by a function, which keeps its plan: followers ask for little, and often. */
export const MIGRATION_002 = `
CREATE FUNCTION read_category(
  of_category text, of_types text[], after bigint, up_to bigint, most integer, most_scanned integer, most_bytes bigint
) RETURNS TABLE (
  pending boolean, head bigint, truncated bigint, scanned bigint, last bigint, matched bigint,
  "position" bigint, revision bigint, "time" bigint, recorded bigint, ordinal integer, schema_version integer, checksum integer,
  stream text, commit text, id text, type text, data json, bytes bytea, metadata json, tags json
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
-- Plans are kept as long as the connection, from when the tables may still have been empty.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    WITH scanned AS MATERIALIZED (
      -- Row comparisons leave no other index to choose.
      SELECT * FROM events
      WHERE (category, position) > (of_category, after) AND (category, position) <= (of_category, up_to)
      ORDER BY category, position LIMIT most_scanned
    ), chosen AS (
      SELECT *, sum(size) OVER in_order AS total, row_number() OVER in_order AS number, count(*) OVER () AS found
      FROM scanned WHERE of_types IS NULL OR type = ANY (of_types)
      WINDOW in_order AS (ORDER BY position ROWS UNBOUNDED PRECEDING)
    )
    SELECT head.pending, head.position,
      (SELECT position FROM truncated WHERE kind = 'category' AND name = of_category),
      extent.count, extent.last, chosen.found,
      chosen.position, chosen.revision, chosen.time, chosen.recorded, chosen.ordinal, chosen.schema_version,
      chosen.checksum, chosen.stream, chosen.commit, chosen.id, chosen.type, chosen.data, chosen.bytes,
      chosen.metadata, array_to_json(chosen.tags)
    FROM head
    CROSS JOIN (SELECT count(*), max(position) AS last FROM scanned) AS extent
    LEFT JOIN chosen ON number = 1 OR (number <= most AND total <= most_bytes)
    ORDER BY number;
END
$$;
COMMENT ON FUNCTION read_category IS 'A page of a category, forwards, perhaps only of some types: at most so many events and bytes, but one at least if it is among those scanned.';
`
