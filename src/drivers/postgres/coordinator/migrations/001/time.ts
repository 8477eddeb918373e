/** Leases, and the clock that they end by. */
export const TIME = /* sql */ `
-- The clock moves when a client beats that has seen its mark: by how long that was ago on the client's own monotonic
-- clock, but no further than one step. So whatever the clocks of servers and clients are set to, it is never ahead of the
-- time that has really passed. Who stamps a lease may see the clock just before it moves, that is why the step is added;
-- unless it knows that the mark is no older than that, as it has made the mark itself.

CREATE FUNCTION grant_lease(lease text, ms integer) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  PERFORM begin_change();
  INSERT INTO leases (id, ttl, due) SELECT lease, ms, elapsed + step + ms FROM clock
  ON CONFLICT (id) DO UPDATE SET due = greatest(leases.due, excluded.due);
END
$$;

-- own: the mark that the client has made last, age: how many ms it is at most since then.
CREATE FUNCTION renew_leases(renewed text[], own uuid, age bigint) RETURNS text[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
SET lock_timeout = '5s'
AS $$
DECLARE
  kept text[];
BEGIN
  PERFORM begin_change();
  WITH held AS MATERIALIZED (
    SELECT id FROM leases WHERE id = ANY (renewed) ORDER BY id FOR NO KEY UPDATE
  ), stamped AS (
    -- One that has waited long sees an old clock, and a later one may have been answered since.
    UPDATE leases SET due = greatest(due, elapsed + CASE WHEN mark = own THEN least(age, step) ELSE step END + ttl)
    FROM clock, held WHERE leases.id = held.id RETURNING leases.id
  )
  SELECT array_agg(id) INTO kept FROM stamped;
  RETURN kept;
END
$$;

-- seen: a mark, passed: how many ms it is surely since then, known: the last revision that the client has heard of.
-- alone: whether the time since the last mark counts as the clock of the server has it, if nobody was here for 5 s.
-- Answers as JSON: mark, last revision, ms to the next beat, whether to beat again at once, whether to compact, whether
-- nobody was here for 5 s before, and whether the mark was made now.
CREATE FUNCTION beat(seen uuid, passed bigint, known bigint, alone boolean) RETURNS text
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
DECLARE
  at_once CONSTANT integer := 1000;
  soonest CONSTANT integer := 10;
  spare CONSTANT integer := 100;
  kept_ms CONSTANT bigint := 300000;
  kept_changes CONSTANT integer := 10000;
  now clock%ROWTYPE;
  store coordination%ROWTYPE;
  before bigint;
  last bigint;
  period integer;
  absent boolean;
  ended text;
  number_ended integer := 0;
  durable boolean := false;
  made boolean := false;
BEGIN
  PERFORM begin_change();
  SELECT * INTO now FROM clock;
  SELECT * INTO store FROM coordination;
  last := (SELECT revision FROM reached);
  period := least(1000, greatest(100, (SELECT coalesce(min(ttl), 10000) / 10 FROM leases)));
  absent := now.at < clock_timestamp() - interval '5 s';

  IF seen = now.mark OR store.place <> here() OR last < known THEN
    LOCK TABLE coordination IN SHARE UPDATE EXCLUSIVE MODE;
    before := (SELECT revision FROM reached);
    durable := before < known OR (SELECT place FROM coordination) <> here();
    last := last_revision(known);
    SELECT * INTO now FROM clock;
    IF seen = now.mark THEN
      now.elapsed := now.elapsed + CASE
        WHEN alone AND absent THEN (extract(epoch FROM clock_timestamp() - now.at) * 1000)::bigint
        ELSE greatest(0, least(passed, now.step)) END;
      FOR ended IN SELECT id FROM leases WHERE due <= now.elapsed ORDER BY due LIMIT at_once FOR UPDATE SKIP LOCKED LOOP
        IF end_lease(ended, last + 1, NULL, NULL) THEN
          last := last + 1;
        END IF;
        number_ended := number_ended + 1;
        durable := true;
      END LOOP;
      now.mark := gen_random_uuid();
      made := true;
      UPDATE clock SET elapsed = now.elapsed, mark = now.mark, step = period + spare, at = clock_timestamp();
      IF now.elapsed - store.aging_since >= kept_ms THEN
        UPDATE coordination SET aging = last, aging_since = now.elapsed, compactable = greatest(compactable,
          least(aging, coalesce((SELECT revision - 1 FROM changes ORDER BY revision DESC OFFSET kept_changes - 1 LIMIT 1), 0)));
        DELETE FROM fenced_changes WHERE since < now.elapsed - 10 * kept_ms;
      END IF;
    END IF;
    IF last > before THEN
      PERFORM tell(last);
    END IF;
    -- A moment of the clock that is lost in a crash is lived through again.
    IF NOT durable THEN
      PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
  END IF;
  -- A lease that is not renewed ends when it is due, not at the next multiple of the period.
  RETURN json_build_array(now.mark, last,
    least(period, greatest(soonest, (SELECT min(due) FROM leases) - now.elapsed + 1)), number_ended = at_once,
    (SELECT EXISTS (SELECT FROM changes WHERE revision <= compactable) FROM coordination), absent, made)::text;
END
$$;

-- A slice, so that nobody waits for long; how many rows it has removed.
CREATE FUNCTION compact(most integer) RETURNS integer
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
SET lock_timeout = '1s'
AS $$
#variable_conflict use_column
DECLARE
  target bigint;
  removed integer;
BEGIN
  PERFORM begin_change();
  SELECT compactable INTO target FROM coordination FOR UPDATE;
  SELECT coalesce(max(revision), target) INTO target
  FROM (SELECT revision FROM changes WHERE revision <= target ORDER BY revision LIMIT most) AS slice;
  DELETE FROM changes WHERE revision <= target;
  GET DIAGNOSTICS removed = ROW_COUNT;
  UPDATE coordination SET floor = greatest(floor, target), compacted = greatest(compacted, target);
  RETURN removed;
END
$$;
`
