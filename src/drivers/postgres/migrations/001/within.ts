/** Appending inside a transaction of an application. */
export const WITHIN = /* sql */ `
-- Streams that are appended to or checked inside transactions must have their rows before: only what is there can be
-- locked, and found locked without waiting for it.
CREATE FUNCTION prepare_streams(stream_names text[]) RETURNS void
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
  INSERT INTO streams (stream, category) SELECT name, split_part(name, '-', 1) FROM unnest(stream_names) AS name
  ORDER BY name
  ON CONFLICT DO NOTHING
$$;

-- Takes no lock that appends to other streams need, and gives out no position: the transaction may go on for long.
CREATE FUNCTION append_within(commit_json text) RETURNS text
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  commit_data CONSTANT json := commit_json::json;
  commit_id CONSTANT text := commit_data ->> 'id';
  commit_digest CONSTANT bigint := commit_data ->> 'digest';
  conditions CONSTANT json := commit_data -> 'conditions';
  appends CONSTANT text[] := ARRAY(SELECT value ->> 'stream' FROM json_array_elements(conditions) WHERE (value -> 'written')::text = 'true');
  checks CONSTANT text[] := ARRAY(SELECT value ->> 'stream' FROM json_array_elements(conditions) WHERE (value -> 'written')::text = 'false');
  event_ids CONSTANT text[] := ARRAY(
    SELECT value ->> 'id' FROM json_array_elements(commit_data -> 'events') WHERE value ->> 'id' <> commit_id
  );
  locked integer;
  locked_checks integer;
  known ids%ROWTYPE;
  taken text;
  actuals bigint[];
  refused boolean;
  results bigint[];
  place bigint;
BEGIN
  -- Both waits end with the transactions that hold the streams.
  PERFORM FROM streams WHERE stream = ANY (appends) ORDER BY stream FOR NO KEY UPDATE;
  GET DIAGNOSTICS locked = ROW_COUNT;
  PERFORM FROM streams WHERE stream = ANY (checks) ORDER BY stream FOR SHARE;
  GET DIAGNOSTICS locked_checks = ROW_COUNT;
  IF locked + locked_checks < json_array_length(conditions) THEN
    IF current_setting('transaction_isolation') <> 'read committed' AND (commit_data ->> 'prepared')::boolean THEN
      RAISE EXCEPTION 'a stream of commit % was made after this transaction had begun', commit_id
        USING ERRCODE = 'serialization_failure', HINT = 'Run the transaction again.';
    END IF;
    RETURN json_build_object('kind', 'unprepared');
  END IF;

  IF json_array_length(commit_data -> 'events') > 0 THEN
    SELECT id INTO taken FROM ids WHERE id = ANY (event_ids) LIMIT 1;
    IF NOT FOUND OR EXISTS (SELECT FROM ids WHERE id = commit_id) THEN
      -- If another transaction is about to take the id, this waits for what comes of it.
      INSERT INTO ids (id, digest) VALUES (commit_id, commit_digest) ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        SELECT * INTO known FROM ids WHERE id = commit_id;
        IF known.digest = commit_digest THEN
          RETURN json_build_object('kind', 'duplicate', 'revisions', known.revisions);
        END IF;
        taken := commit_id;
      END IF;
    END IF;
    IF taken IS NOT NULL THEN
      RETURN json_build_object('kind', 'overlap', 'id', taken);
    END IF;
  END IF;

  actuals := ARRAY(
    SELECT coalesce(
      (SELECT revision FROM pending WHERE stream = named.name ORDER BY revision DESC LIMIT 1),
      (SELECT revision FROM events WHERE stream = named.name ORDER BY revision DESC LIMIT 1),
      (SELECT revision FROM truncated WHERE kind = 'stream' AND truncated.name = named.name),
      -1)
    FROM (SELECT value ->> 'stream', ordinality FROM json_array_elements(conditions) WITH ORDINALITY) AS named (name, number)
    ORDER BY number
  );
  SELECT bool_or(wanted <> actual AND wanted <> -3 AND (wanted <> -2 OR actual < 0)) INTO refused
  FROM json_array_elements(conditions) WITH ORDINALITY AS condition (value, number),
    LATERAL (SELECT (value ->> 'expected')::bigint, actuals[number]) AS compared (wanted, actual);
  IF refused THEN
    DELETE FROM ids WHERE id = commit_id;
    RETURN json_build_object('kind', 'conflict', 'actuals', actuals);
  END IF;
  IF json_array_length(commit_data -> 'events') = 0 THEN
    RETURN json_build_object('kind', 'appended', 'revisions', '[]'::json);
  END IF;

  results := ARRAY(
    SELECT actuals[number] + (value ->> 'events')::bigint
    FROM json_array_elements(conditions) WITH ORDINALITY AS condition (value, number)
    WHERE (value -> 'written')::text = 'true' ORDER BY number
  );
  UPDATE ids SET revisions = results WHERE id = commit_id;
  BEGIN
    INSERT INTO ids (id) SELECT unnest(event_ids);
  EXCEPTION WHEN unique_violation THEN
    DELETE FROM ids WHERE id = commit_id;
    SELECT id INTO taken FROM ids WHERE id = ANY (event_ids) LIMIT 1;
    RETURN json_build_object('kind', 'overlap', 'id', taken);
  END;

  place := nextval('pending_sequence');
  INSERT INTO pending (sequence, ordinal, revision, time, recorded, checksum, schema_version, size,
    stream, category, commit, id, type, data, bytes, metadata, tags)
  SELECT place, ordinal, actuals[condition] + 1 + index, time, (commit_data ->> 'recorded')::bigint, checksum, "schemaVersion",
    size, conditions -> (condition - 1) ->> 'stream', conditions -> (condition - 1) ->> 'category', commit_id, id, type,
    data::json, decode(bytes, 'base64'), metadata::json,
    CASE WHEN tags IS NULL THEN NULL ELSE ARRAY(SELECT json_array_elements_text(tags)) END
  FROM json_to_recordset(commit_data -> 'events') AS event (condition integer, index integer, ordinal integer, id text,
    type text, data text, bytes text, metadata text, tags json, "schemaVersion" integer, time bigint, size integer,
    checksum bigint);
  PERFORM pg_notify('banyan:' || current_schema(), '');
  RETURN json_build_object('kind', 'appended', 'revisions', results);
END
$$;
COMMENT ON FUNCTION append_within IS 'Appends a commit, given as JSON, when the calling transaction commits.';
`
