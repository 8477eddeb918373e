/** Appending a group of commits: one call, one transaction, one wait for the disk. */
export const APPEND = /* sql */ `
-- What belongs together has the same index: commits, their conditions (the streams that a commit writes, then those that
-- it only checks), and events, which say of which commit and condition they are. Streams stand in a list of their own,
-- each once, those that are written first. Arrays of events that would hold nothing are NULL. None is unnested: PL/pgSQL
-- keeps arrays open, and what a subscript takes from one is not copied.
CREATE FUNCTION append(
  attempt uuid, fence uuid[], patience integer,
  stream_names text[], written integer,
  commit_ids text[], commit_digests bigint[], commit_recorded bigint[], commit_written integer[], commit_conditions integer[],
  condition_stream integer[], condition_expected bigint[], condition_events integer[],
  event_commit integer[], event_condition integer[], event_offset integer[], event_ordinal integer[], event_ids text[],
  event_types text[], event_data json[], event_bytes bytea[], event_metadata json[], event_tags text[],
  event_schema_version integer[], event_time bigint[], event_size integer[], event_checksum bigint[]
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
  events CONSTANT integer := cardinality(event_commit);
  given_ids CONSTANT text[] := coalesce(array_remove(event_ids, NULL), '{}');
  created text[];
  held text[];
  is_locked boolean[];
  any_locked boolean := false;
  any_known boolean;
  any_pending boolean;
  forbidden boolean;
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

  IF fence <> '{}' THEN
    DELETE FROM fenced WHERE since < clock_timestamp() - interval '7 days';
    INSERT INTO fenced (attempt) SELECT unnest(fence) ON CONFLICT DO NOTHING;
  END IF;

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
    WITH made AS (
      INSERT INTO streams (stream, category) SELECT name, split_part(name, '-', 1) FROM unnest(stream_names) AS name
      WHERE held IS NULL OR name <> ALL (held)
      ON CONFLICT DO NOTHING RETURNING stream
    )
    SELECT array_agg(stream) INTO created FROM made;
    held := held || created;
    any_locked := cardinality(stream_names) > coalesce(cardinality(held), 0);
    is_locked := ARRAY(
      SELECT name <> ALL (coalesce(held, '{}')) FROM unnest(stream_names) WITH ORDINALITY AS names (name, number)
      ORDER BY number
    );
  END IF;

  -- Now that the streams are ours, all that was appended to them in transactions is visible, and goes before.
  SELECT position, recorded, pending, EXISTS (SELECT FROM fenced WHERE attempt = append.attempt),
    EXISTS (SELECT FROM ids WHERE id = ANY (commit_ids || given_ids))
  INTO head_position, last_recorded, any_pending, forbidden, any_known FROM head;
  IF forbidden THEN
    RETURN NULL;
  END IF;
  IF any_pending THEN
    PERFORM place_pending();
    SELECT position, recorded INTO head_position, last_recorded FROM head;
  END IF;

  revisions := ARRAY(
    SELECT coalesce(
      (SELECT revision FROM events WHERE events.stream = stream_names[number] ORDER BY revision DESC LIMIT 1),
      (SELECT revision FROM truncated WHERE kind = 'stream' AND name = stream_names[number]),
      -1)
    FROM generate_series(1, cardinality(stream_names)) AS number
  );

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
        SELECT id INTO taken FROM generate_series(1, events) AS event JOIN ids ON id = event_ids[event]
        WHERE event_commit[event] = number AND id <> commit_ids[number] LIMIT 1;
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
  SELECT place, number, event_time[event], since, event_ordinal[event], event_schema_version[event], event_size[event],
    seal(event_checksum[event], place, number, since), name, split_part(name, '-', 1), commit_ids[event_commit[event]],
    event_ids[event], event_types[event], event_data[event], event_bytes[event], event_metadata[event],
    event_tags[event]::text[]
  FROM (
    SELECT event, stream_names[condition_stream[event_condition[event]]] AS name,
      first_position[event_condition[event]] + event_offset[event] AS place,
      first_revision[event_condition[event]] + event_offset[event] AS number,
      recorded_at[event_condition[event]] AS since
    FROM generate_series(1, events) AS event
    WHERE first_position[event_condition[event]] > 0
  ) AS placed;

  INSERT INTO ids (id, digest, position, revisions)
  SELECT commit_ids[number], commit_digests[number], positions[number],
    results[starts[number] : starts[number] + commit_written[number] - 1]
  FROM generate_series(1, commits) AS number
  WHERE kinds[number] = appended AND commit_written[number] > 0;

  IF given_ids <> '{}' THEN
    INSERT INTO ids (id) SELECT event_ids[event] FROM generate_series(1, events) AS event
    WHERE event_ids[event] <> commit_ids[event_commit[event]] AND first_position[event_condition[event]] > 0;
  END IF;

  IF event_tags IS NOT NULL THEN
    INSERT INTO tags (tag, position)
    SELECT tag, first_position[event_condition[event]] + event_offset[event]
    FROM generate_series(1, events) AS event, unnest(event_tags[event]::text[]) AS tag
    WHERE first_position[event_condition[event]] > 0;
  END IF;

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
