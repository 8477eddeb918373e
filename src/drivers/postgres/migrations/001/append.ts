/** Appending a group of commits: one call, one transaction, one wait for the disk. */
export const APPEND = /* sql */ `
-- What belongs together has the same index: commits, their conditions (the streams that a commit writes, then those that
-- it only checks), and events. Streams stand in a list of their own, each once, those that are written first.
CREATE FUNCTION append(
  attempt uuid, fence uuid[], patience integer,
  stream_names text[], written integer,
  commit_ids text[], commit_digests bigint[], commit_recorded bigint[], commit_written integer[], commit_conditions integer[],
  condition_stream integer[], condition_expected bigint[], condition_events integer[],
  event_condition integer[], event_offset integer[], event_ordinal integer[], event_streams text[],
  event_categories text[], event_commits text[], event_ids text[], event_types text[], event_data json[],
  event_bytes bytea[], event_metadata json[], event_tags text[], event_schema_version integer[], event_time bigint[],
  event_size integer[], event_checksum bigint[]
) RETURNS text
LANGUAGE plpgsql
SET search_path FROM CURRENT
-- Plans are kept as long as the connection, from when the tables may still have been empty.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
DECLARE
  appended CONSTANT integer := 0;
  duplicate CONSTANT integer := 1;
  conflict CONSTANT integer := 2;
  overlap CONSTANT integer := 3;
  locked CONSTANT integer := 4;
  commits CONSTANT integer := cardinality(commit_ids);
  conditions CONSTANT integer := cardinality(condition_stream);
  given_ids CONSTANT text[] := array_remove(event_ids, NULL);
  created text[];
  held text[];
  is_locked boolean[];
  any_locked boolean := false;
  any_known boolean;
  any_refused boolean := false;
  known record;
  taken text;
  revisions bigint[];
  head_position bigint;
  last_recorded bigint;
  kind integer;
  kinds integer[] := array_fill(0, ARRAY[commits]);
  positions bigint[] := array_fill(0::bigint, ARRAY[commits]);
  results bigint[] := array_fill(0::bigint, ARRAY[conditions]);
  taken_ids text[] := '{}';
  first_position bigint[] := array_fill(0::bigint, ARRAY[conditions]);
  first_revision bigint[] := array_fill(0::bigint, ARRAY[conditions]);
  recorded_at bigint[] := array_fill(0::bigint, ARRAY[conditions]);
  starts integer[] := array_fill(0, ARRAY[commits]);
  first integer := 1;
  past integer;
  stream integer;
  wanted bigint;
  actual bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'the event log appends in READ COMMITTED transactions only' USING ERRCODE = 'feature_not_supported';
  END IF;
  PERFORM be_durable();

  IF patience IS NOT NULL THEN
    PERFORM set_config('lock_timeout', patience::text, true);
    PERFORM FROM streams WHERE stream = ANY (stream_names) ORDER BY stream FOR NO KEY UPDATE;
    PERFORM set_config('lock_timeout', '5s', true);
  END IF;

  -- From here to the commit nobody else gives out positions. Each statement below sees all that was committed before.
  LOCK TABLE log IN SHARE UPDATE EXCLUSIVE MODE;

  IF EXISTS (SELECT FROM fenced WHERE attempt = append.attempt) THEN
    RETURN NULL;
  END IF;
  IF fence <> '{}' THEN
    DELETE FROM fenced WHERE since < clock_timestamp() - interval '7 days';
    INSERT INTO fenced (attempt) SELECT unnest(fence) ON CONFLICT DO NOTHING;
  END IF;

  WITH made AS (
    INSERT INTO streams (stream) SELECT unnest(stream_names)
    ON CONFLICT DO NOTHING RETURNING stream
  )
  SELECT array_agg(stream) INTO created FROM made;

  -- Nobody waits here: a stream that an application's transaction holds must not stop all others.
  SELECT array_agg(stream) INTO held FROM (
    SELECT stream FROM streams WHERE stream = ANY (stream_names[:written]) FOR NO KEY UPDATE SKIP LOCKED
  ) AS free;
  IF written < cardinality(stream_names) THEN
    SELECT held || array_agg(stream) INTO held FROM (
      SELECT stream FROM streams WHERE stream = ANY (stream_names[written + 1:]) FOR SHARE SKIP LOCKED
    ) AS free;
  END IF;
  IF cardinality(stream_names) > coalesce(cardinality(held), 0) THEN
    any_locked := true;
    is_locked := ARRAY(
      SELECT name <> ALL (coalesce(held, '{}')) FROM unnest(stream_names) WITH ORDINALITY AS names (name, number)
      ORDER BY number
    );
  END IF;

  -- Now that the streams are ours, all that was appended to them in transactions is visible, and goes before.
  IF EXISTS (SELECT FROM pending) THEN
    PERFORM place_pending();
  END IF;

  SELECT position, recorded INTO head_position, last_recorded FROM head;
  revisions := ARRAY(
    SELECT coalesce(
      (SELECT revision FROM events WHERE stream = name ORDER BY revision DESC LIMIT 1),
      (SELECT revision FROM truncated WHERE kind = 'stream' AND truncated.name = names.name),
      -1)
    FROM unnest(stream_names) WITH ORDINALITY AS names (name, number)
    ORDER BY number
  );
  any_known := EXISTS (SELECT FROM ids WHERE id = ANY (commit_ids || given_ids));

  FOR number IN 1 .. commits LOOP
    past := first + commit_conditions[number];
    starts[number] := first;
    kind := appended;

    IF any_known THEN
      SELECT * INTO known FROM ids WHERE id = commit_ids[number];
      IF FOUND THEN
        IF known.digest = commit_digests[number] THEN
          kind := duplicate;
          positions[number] := known.position;
          FOR condition IN 1 .. commit_written[number] LOOP
            results[first + condition - 1] := known.revisions[condition];
          END LOOP;
        ELSE
          kind := overlap;
          taken_ids := taken_ids || known.id;
        END IF;
      ELSE
        SELECT ids.id INTO taken FROM unnest(event_ids, event_condition) AS event (id, condition)
        JOIN ids ON ids.id = event.id
        WHERE condition >= first AND condition < past AND event.id <> commit_ids[number] LIMIT 1;
        IF FOUND THEN
          kind := overlap;
          taken_ids := taken_ids || taken;
        END IF;
      END IF;
    END IF;

    IF kind = appended THEN
      FOR condition IN first .. past - 1 LOOP
        stream := condition_stream[condition];
        IF any_locked AND is_locked[stream] THEN
          kind := locked;
        END IF;
        actual := revisions[stream];
        wanted := condition_expected[condition];
        results[condition] := actual;
        -- -3 is any, -2 is exists, -1 is none
        IF kind = appended AND wanted <> actual AND wanted <> -3 AND (wanted <> -2 OR actual < 0) THEN
          kind := conflict;
        END IF;
      END LOOP;
    END IF;

    IF kind = appended THEN
      last_recorded := greatest(last_recorded, commit_recorded[number]);
      FOR condition IN first .. first + commit_written[number] - 1 LOOP
        stream := condition_stream[condition];
        first_position[condition] := head_position + 1;
        first_revision[condition] := revisions[stream] + 1;
        recorded_at[condition] := last_recorded;
        head_position := head_position + condition_events[condition];
        revisions[stream] := revisions[stream] + condition_events[condition];
        results[condition] := revisions[stream];
      END LOOP;
      positions[number] := head_position;
    ELSIF kind = locked THEN
      -- Later commits to any of its streams come after it.
      FOR condition IN first .. past - 1 LOOP
        is_locked[condition_stream[condition]] := true;
      END LOOP;
    END IF;
    any_refused := any_refused OR kind <> appended OR commit_written[number] < commit_conditions[number];
    kinds[number] := kind;
    first := past;
  END LOOP;

  INSERT INTO events (position, revision, time, recorded, ordinal, schema_version, size, checksum,
    stream, category, commit, id, type, data, bytes, metadata, tags)
  SELECT place, number, time, since, ordinal, schema_version, size, seal(checksum, place, number, since),
    stream, category, commit, id, type, data, bytes, metadata, tags::text[]
  FROM (
    SELECT *, first_position[condition] + index AS place, first_revision[condition] + index AS number,
      recorded_at[condition] AS since
    FROM unnest(event_condition, event_offset, event_ordinal, event_streams, event_categories, event_commits, event_ids,
      event_types, event_data, event_bytes, event_metadata, event_tags, event_schema_version, event_time, event_size,
      event_checksum)
    AS event (condition, index, ordinal, stream, category, commit, id, type, data, bytes, metadata, tags, schema_version,
      time, size, checksum)
  ) AS placed
  WHERE place > index;

  INSERT INTO ids (id, digest, position, revisions)
  SELECT id, digest, place, results[start : start + streams - 1]
  FROM unnest(commit_ids, commit_digests, positions, starts, commit_written, kinds)
  AS done (id, digest, place, start, streams, outcome)
  WHERE outcome = appended AND streams > 0;

  IF given_ids <> '{}' THEN
    INSERT INTO ids (id) SELECT id FROM unnest(event_ids, event_commits, event_condition) AS event (id, commit, condition)
    WHERE id <> commit AND first_position[condition] > 0;
  END IF;

  INSERT INTO tags (tag, position)
  SELECT tag, first_position[condition] + index
  FROM unnest(event_condition, event_offset, event_tags) AS event (condition, index, tags), unnest(tags::text[]) AS tag
  WHERE tags IS NOT NULL AND first_position[condition] > 0;

  IF any_refused THEN
    DELETE FROM streams WHERE stream = ANY (created)
    AND NOT EXISTS (SELECT FROM events WHERE events.stream = streams.stream);
  END IF;

  IF appended = ANY (kinds) THEN
    PERFORM pg_notify('banyan:' || current_schema(), head_position::text);
  END IF;
  RETURN json_build_array(kinds, positions, results, taken_ids);
END
$$;
COMMENT ON FUNCTION append IS 'Appends commits in their order, each on its own. Returns kinds, positions, revisions and overlapping ids as JSON.';
`
