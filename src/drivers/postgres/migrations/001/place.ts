/** Giving positions to what transactions of applications have appended, and sealing events where they stand. */
export const PLACE = /* sql */ `
CREATE FUNCTION seal(checksum bigint, place bigint, revision bigint, recorded bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (checksum
    # ((place & 4294967295) * 1640531527) # (place >> 32)
    # ((revision & 4294967295) * 1540483477) # (revision >> 32)
    # ((recorded & 4294967295) * 1103515245) # (recorded >> 32))::bit(32)::integer
$$;
COMMENT ON FUNCTION seal IS 'A checksum that says where the event stands too. Odd factors: a change of one of them never goes unseen.';

-- Only under the lock of the log. Streams are locked from the call that takes a sequence to the commit: of two
-- commits to one stream, the later one has the higher sequence, and is not seen without the other.
CREATE FUNCTION place_pending() RETURNS void
LANGUAGE sql AS $$
  WITH taken AS (
    DELETE FROM pending RETURNING *
  ), placed AS (
    SELECT
      taken.*,
      head.position + row_number() OVER in_order AS place,
      greatest(head.recorded, max(taken.recorded) OVER in_order) AS since
    FROM taken, head
    WINDOW in_order AS (ORDER BY taken.sequence, taken.ordinal)
  ), stored AS (
    INSERT INTO events (position, revision, time, recorded, ordinal, schema_version, size, checksum,
      stream, category, commit, id, type, data, bytes, metadata, tags)
    SELECT place, revision, time, since, ordinal, schema_version, size, seal(checksum, place, revision, since),
      stream, category, commit, id, type, data, bytes, metadata, tags
    FROM placed ORDER BY place
  ), tagged AS (
    INSERT INTO tags (tag, position)
    SELECT tag, place FROM placed, unnest(tags) AS tag
  )
  UPDATE ids SET position = ends.position
  FROM (SELECT commit, max(place) AS position FROM placed GROUP BY commit) AS ends
  WHERE ids.id = ends.commit
$$;

CREATE FUNCTION be_durable() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END
$$;
COMMENT ON FUNCTION be_durable IS 'Makes the commit wait for the disk, also where the role or the database has given that up for its other work.';

CREATE FUNCTION settle() RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '5s'
AS $$
BEGIN
  -- Who has seen a position must find the same event there after a crash.
  PERFORM be_durable();
  LOCK TABLE log IN SHARE UPDATE EXCLUSIVE MODE;
  PERFORM place_pending();
  PERFORM pg_notify('banyan:' || current_schema(), position::text) FROM head;
END
$$;
COMMENT ON FUNCTION settle IS 'Gives positions to everything pending that has been committed.';
`
