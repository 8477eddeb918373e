/** Finding places in the log without an index for each order: positions rise with revisions, and with time. */
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
