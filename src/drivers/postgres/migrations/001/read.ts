/**
 * Reading a stream, and finding places in the log without an index for each order: positions rise with revisions, and with
 * time.
 */
export const READ = /* sql */ `
CREATE FUNCTION revision_after(of_stream text, of_position bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
  low bigint;
  high bigint;
  place bigint;
  middle bigint;
  step bigint := 1;
BEGIN
  SELECT revision, position INTO high, place FROM events WHERE stream = of_stream ORDER BY revision DESC LIMIT 1;
  IF high IS NULL THEN
    RETURN 0;
  END IF;
  IF place <= of_position THEN
    RETURN high + 1;
  END IF;
  SELECT revision, position INTO low, place FROM events WHERE stream = of_stream ORDER BY revision LIMIT 1;
  IF place > of_position THEN
    RETURN low;
  END IF;
  -- Of the events low and high, the first is not behind the position, and the second is. Followers are near the end.
  WHILE high - low > 1 LOOP
    middle := greatest(high - step, (low + high) / 2);
    SELECT position INTO place FROM events WHERE stream = of_stream AND revision <= middle ORDER BY revision DESC LIMIT 1;
    IF place > of_position THEN
      high := middle;
      step := step * 2;
    ELSE
      low := middle;
      step := 1;
    END IF;
  END LOOP;
  RETURN high;
END
$$;
COMMENT ON FUNCTION revision_after IS 'The first revision of a stream behind a position, or the one that comes next.';

-- Here for its plan: the connection to the server keeps it, whatever pooler stands before, and planning takes longer
-- than reading a stream of some events. STABLE: all of it sees the log at the moment of the statement that calls it.
CREATE FUNCTION read_stream(
  of_stream text, after bigint, up_to bigint, from_revision bigint, to_revision bigint, most integer, most_bytes bigint
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
  IF after > 0 THEN
    from_revision := greatest(from_revision, revision_after(of_stream, after));
  END IF;
  IF up_to IS NOT NULL THEN
    to_revision := least(to_revision, revision_after(of_stream, up_to) - 1);
  END IF;
  RETURN QUERY
    SELECT head.pending, head.position,
      (SELECT position FROM truncated WHERE kind = 'stream' AND name = of_stream),
      event.found, NULL::bigint, event.found,
      event.position, event.revision, event.time, event.recorded, event.ordinal, event.schema_version, event.checksum,
      event.stream, event.commit, event.id, event.type, event.data, event.bytes, event.metadata, array_to_json(event.tags)
    FROM head
    LEFT JOIN (
      SELECT *, sum(size) OVER in_order AS total, row_number() OVER in_order AS number, count(*) OVER () AS found
      FROM (
        -- One more tells whether there is more.
        SELECT * FROM events WHERE stream = of_stream AND revision >= from_revision AND revision <= to_revision
        ORDER BY revision LIMIT most + 1
      ) AS walked
      WINDOW in_order AS (ORDER BY revision ROWS UNBOUNDED PRECEDING)
    ) AS event ON number = 1 OR (number <= most AND total <= most_bytes)
    ORDER BY number;
END
$$;
COMMENT ON FUNCTION read_stream IS 'A page of a stream, forwards: at most so many events and bytes, but one at least.';

CREATE FUNCTION position_at(of_time bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
  low bigint := 0;
  high bigint;
  middle bigint;
  since bigint;
BEGIN
  SELECT position INTO high FROM head;
  SELECT position INTO low FROM truncated WHERE kind = 'log' AND recorded < of_time;
  low := coalesce(low, 0);
  -- Nothing up to low was recorded at that time or later, everything behind high was.
  WHILE low < high LOOP
    middle := (low + high) / 2;
    SELECT recorded INTO since FROM events WHERE position > middle ORDER BY position LIMIT 1;
    IF since < of_time THEN
      low := middle + 1;
    ELSE
      high := middle;
    END IF;
  END LOOP;
  RETURN low;
END
$$;
COMMENT ON FUNCTION position_at IS 'The position of the last event recorded before a time, or 0.';
`
