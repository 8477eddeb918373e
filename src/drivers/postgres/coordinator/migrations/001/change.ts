/** Changes of keys: a group of them in one call, one transaction, one wait for the disk. */
export const CHANGE = /* sql */ `
CREATE FUNCTION be_primary() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'this server is a standby, and what it shows may be over'
      USING ERRCODE = 'read_only_sql_transaction', HINT = 'Give the coordinator the address of the primary';
  END IF;
END
$$;

CREATE FUNCTION begin_change() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'the coordinator changes keys in READ COMMITTED transactions only' USING ERRCODE = 'feature_not_supported';
  END IF;
  PERFORM be_primary();
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END
$$;
COMMENT ON FUNCTION begin_change IS 'Sees to it that the commit waits for the disk, also where the role or the database has given that up.';

CREATE FUNCTION here() RETURNS text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  server text;
  timeline text;
BEGIN
  -- Some hosted servers do not tell.
  BEGIN
    SELECT system_identifier::text INTO server FROM pg_control_system();
    timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END;
  RETURN concat_ws('/', server, timeline, (SELECT oid FROM pg_database WHERE datname = current_database()),
    'coordination'::regclass::oid);
END
$$;
COMMENT ON FUNCTION here IS 'Server, timeline, database and table: different after a failover, a restore to a moment, and from a dump.';

-- Only under the lock of the table coordination.
CREATE FUNCTION last_revision(known bigint) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
  last bigint := (SELECT revision FROM reached);
  present CONSTANT text := here();
  former CONSTANT text := (SELECT place FROM coordination);
BEGIN
  IF former = present AND last >= known THEN
    RETURN last;
  END IF;
  -- What was here before may have given out more revisions than are known here; nobody lives to see 2^32 more.
  IF former <> '' OR last < known THEN
    last := greatest(last, known) + 4294967296;
    UPDATE coordination SET floor = last, compacted = last;
  END IF;
  UPDATE coordination SET place = present;
  RETURN last;
END
$$;
COMMENT ON FUNCTION last_revision IS 'The last one; far behind it if this is a copy, or a client knows a later one.';

CREATE FUNCTION end_lease(ended text, with_revision bigint, by_attempt uuid, by_number integer) RETURNS boolean
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
  had_keys boolean;
BEGIN
  WITH gone AS (
    DELETE FROM keys WHERE lease = ended RETURNING key
  )
  INSERT INTO changes (revision, key, attempt, number) SELECT with_revision, key, by_attempt, by_number FROM gone;
  had_keys := FOUND;
  DELETE FROM leases WHERE id = ended;
  RETURN had_keys;
END
$$;

CREATE FUNCTION tell(last bigint) RETURNS void
LANGUAGE sql
SET search_path FROM CURRENT
AS $$ SELECT pg_notify('banyan.keys:' || current_schema(), last::text) $$;

-- known: the last revision that the client has heard of. What belongs together has the same index. Kinds: 0 sets a key, 1 removes one, 2 ends a lease. Expected: -2 anything,
-- -1 nothing, otherwise a revision. Answers, as JSON: [0, revision, created] done, revision is null if there was nothing
-- to be done; [1, revision, created, lease, value] not as expected, [1] if nothing is there; [2] the lease is gone.
CREATE FUNCTION change(
  known bigint, attempt uuid, fence uuid[],
  kinds integer[], names text[], contents text[], expectations bigint[], lease_ids text[]
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
  sets CONSTANT integer := 0;
  removes CONSTANT integer := 1;
  ends CONSTANT integer := 2;
  size CONSTANT integer := cardinality(kinds);
  before bigint;
  last bigint;
  actual keys%ROWTYPE;
  found_one boolean;
  done bigint[];
  done_created bigint[];
  earlier record;
  answers json[] := '{}';
BEGIN
  PERFORM begin_change();

  -- From here to the commit nobody else gives out revisions. Each statement below sees all that was committed before.
  LOCK TABLE coordination IN SHARE UPDATE EXCLUSIVE MODE;

  IF EXISTS (SELECT FROM fenced_changes WHERE fenced_changes.attempt = change.attempt) THEN
    RETURN NULL;
  END IF;
  IF fence <> '{}' THEN
    INSERT INTO fenced_changes (attempt, since) SELECT unnest(fence), elapsed FROM clock ON CONFLICT DO NOTHING;
    done := array_fill(NULL::bigint, ARRAY[size]);
    done_created := done;
    FOR earlier IN
      SELECT number, max(revision) AS revision, max(created) AS created FROM changes
      WHERE changes.attempt = ANY (fence) GROUP BY number
    LOOP
      done[earlier.number] := earlier.revision;
      done_created[earlier.number] := earlier.created;
    END LOOP;
  END IF;

  -- In the order of renewals, which hold several, too.
  IF ends = ANY (kinds) THEN
    PERFORM FROM leases WHERE id IN (SELECT lease_ids[item] FROM generate_series(1, size) AS item WHERE kinds[item] = ends)
    ORDER BY id FOR UPDATE;
  END IF;

  last := last_revision(known);
  before := last;
  FOR item IN 1 .. size LOOP
    IF done[item] IS NOT NULL THEN
      answers := answers || json_build_array(0, done[item], done_created[item]);
      CONTINUE;
    END IF;

    IF kinds[item] = ends THEN
      IF end_lease(lease_ids[item], last + 1, attempt, item) THEN
        last := last + 1;
        answers := answers || json_build_array(0, last);
      ELSE
        answers := answers || json_build_array(0);
      END IF;
      CONTINUE;
    END IF;

    IF kinds[item] = sets AND lease_ids[item] IS NOT NULL AND NOT EXISTS (SELECT FROM leases WHERE id = lease_ids[item]) THEN
      answers := answers || json_build_array(2);
      CONTINUE;
    END IF;

    SELECT * INTO actual FROM keys WHERE key = names[item];
    found_one := FOUND;
    IF expectations[item] >= -1 AND coalesce(actual.revision, -1) <> expectations[item] THEN
      answers := answers || CASE WHEN found_one
        THEN json_build_array(1, actual.revision, actual.created, actual.lease, actual.value)
        ELSE json_build_array(1) END;
    ELSIF kinds[item] = sets THEN
      last := last + 1;
      INSERT INTO keys (key, value, revision, created, lease)
      VALUES (names[item], contents[item], last, last, lease_ids[item])
      ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision, lease = excluded.lease;
      INSERT INTO changes (revision, key, value, created, lease, attempt, number)
      VALUES (last, names[item], contents[item], coalesce(actual.created, last), lease_ids[item], attempt, item);
      answers := answers || json_build_array(0, last, coalesce(actual.created, last));
    ELSIF found_one THEN
      last := last + 1;
      DELETE FROM keys WHERE key = names[item];
      INSERT INTO changes (revision, key, attempt, number) VALUES (last, names[item], attempt, item);
      answers := answers || json_build_array(0, last);
    ELSE
      answers := answers || json_build_array(0);
    END IF;
  END LOOP;

  IF last > before THEN
    PERFORM tell(last);
  END IF;
  RETURN array_to_json(answers)::text;
END
$$;
`
