/** Removing events for good, in slices. */
export const TRUNCATE = /* sql */ `
CREATE FUNCTION hold(of_name text, at_position bigint) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  PERFORM be_durable();
  INSERT INTO holds (name, position) VALUES (of_name, at_position)
  ON CONFLICT (name) DO UPDATE SET position = excluded.position;
END
$$;
COMMENT ON FUNCTION hold IS 'Sets or moves a hold; waits for the slice that is being cut.';

-- Holds are set and slices are cut one after the other: who has set a hold loses nothing behind it.
CREATE FUNCTION truncate_slice(of_stream text, before_revision bigint, of_category text, up_to bigint, forget boolean,
  slice integer)
RETURNS TABLE (removed bigint, held_by text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  hold record;
  held bigint := 9223372036854775807;
  chosen bigint[];
  amount bigint;
BEGIN
  LOCK TABLE holds IN SHARE ROW EXCLUSIVE MODE;
  SELECT name, position INTO hold FROM holds ORDER BY position, name LIMIT 1;
  IF FOUND AND NOT forget THEN
    held := hold.position;
  END IF;

  IF of_stream IS NOT NULL THEN
    chosen := ARRAY(SELECT position FROM events WHERE stream = of_stream AND revision < before_revision ORDER BY revision LIMIT slice);
  ELSIF of_category IS NOT NULL THEN
    chosen := ARRAY(SELECT position FROM events WHERE category = of_category AND position <= up_to ORDER BY category, position LIMIT slice);
  ELSE
    chosen := ARRAY(SELECT position FROM events WHERE position <= up_to ORDER BY position LIMIT slice);
  END IF;

  WITH gone AS (
    DELETE FROM events WHERE position = ANY (chosen) AND position <= held
    RETURNING position, recorded, stream, revision, category, tags, commit, id
  ), forgotten AS (
    SELECT id FROM gone WHERE id <> commit
    UNION
    -- Nothing is left of a commit if it was of this stream alone and its last revision is gone.
    SELECT id FROM ids JOIN (SELECT commit, max(max(revision)) OVER () AS last FROM gone GROUP BY commit) AS ended ON id = commit
    WHERE cardinality(revisions) = 1 AND revisions[1] <= last
  ), unknown AS (
    DELETE FROM ids WHERE forget AND id IN (SELECT id FROM forgotten)
  ), untagged AS (
    DELETE FROM tags USING gone, unnest(gone.tags) AS tag WHERE tags.tag = tag.tag AND tags.position = gone.position
  ), noted AS (
    INSERT INTO truncated (kind, name, position, revision, recorded, removed)
    SELECT 'log', '', max(position), NULL::bigint, max(recorded), count(*) FROM gone HAVING count(*) > 0
    UNION ALL
    SELECT 'missed', '', max(position), NULL, NULL, NULL FROM gone WHERE NOT forget HAVING count(*) > 0
    UNION ALL
    SELECT 'category', category, max(position), NULL, NULL::bigint, NULL::bigint FROM gone GROUP BY category
    UNION ALL
    SELECT 'stream', stream, max(position), max(revision), NULL, NULL FROM gone GROUP BY stream
    ON CONFLICT (kind, name) DO UPDATE SET
      position = greatest(truncated.position, excluded.position),
      revision = greatest(truncated.revision, excluded.revision),
      recorded = greatest(truncated.recorded, excluded.recorded),
      removed = truncated.removed + excluded.removed
  )
  SELECT count(*) INTO amount FROM gone;
  RETURN QUERY SELECT amount, CASE WHEN amount < cardinality(chosen) THEN hold.name END;
END
$$;
COMMENT ON FUNCTION truncate_slice IS 'Removes the first events of a stream, a category or the log, and forgets their ids if that is asked for. Says how many, and which hold kept others.';
`
