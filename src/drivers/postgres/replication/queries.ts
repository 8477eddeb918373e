/** Whether this role may see which timeline a follower receives, and which ones it has heard of. */
export const RIGHTS = `SELECT pg_has_role('pg_read_all_stats', 'usage')
  AND has_function_privilege('pg_ls_waldir()', 'execute') AS monitors`

/**
 * What a transaction sees of its server. A leader's timeline is that of the file it writes. One that follows has come at most to
 * the timeline that it receives. Functions and not views of them, as this may be planned for each transaction.
 */
const SEEN = `SELECT
  pg_is_in_recovery() AS follows,
  (pg_control_system()).system_identifier::text AS cluster,
  current_setting('transaction_read_only') AS reads,
  CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END AS file,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text AS position,
  CASE WHEN pg_is_in_recovery() THEN (pg_stat_get_wal_receiver()).received_tli END AS received_timeline`

/** Each statement sees what there is when it begins: not less than what was looked at. */
export const BEGIN_READ = 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY'
/** What a session is set to is looked at before it says that it writes: a fence must not be passed. */
export const BEGIN_WRITE = 'BEGIN ISOLATION LEVEL READ COMMITTED'

/**
 * What has been committed is surely before the end of what is on the disk, unless nobody waits for the disk. What others have
 * written behind that, and not committed, may be a while on its way to followers.
 */
const MODE = `SELECT current_setting('synchronous_commit') AS mode`
const END =
  'SELECT pg_current_wal_insert_lsn()::text AS inserted, pg_current_wal_flush_lsn()::text AS flushed'

/** What surrounds every transaction: how it is begun and looked at, and how it is committed. */
interface Frame {
  readonly seen: string
  readonly commit: string
}

/** To parse and plan them takes most of their time. */
const NAMED = { seen: 'banyan_seen_1', mode: 'banyan_mode_1', end: 'banyan_end_1' } as const
export const PREPARED: Frame = {
  seen: `EXECUTE ${NAMED.seen}`,
  commit: `EXECUTE ${NAMED.mode}; COMMIT; EXECUTE ${NAMED.end}`,
}
export const PREPARE = `PREPARE ${NAMED.seen} AS ${SEEN}; PREPARE ${NAMED.mode} AS ${MODE}; PREPARE ${NAMED.end} AS ${END}`
/** For sessions that do not keep what is prepared in them. */
export const PLAIN: Frame = { seen: SEEN, commit: `${MODE}; COMMIT; ${END}` }

export const LOOK = `SELECT
  pg_is_in_recovery() AS follows,
  (SELECT system_identifier::text FROM pg_control_system()) AS cluster,
  current_setting('default_transaction_read_only') AS reads,
  CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END AS file,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
    WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
    ELSE pg_current_wal_flush_lsn() END::text AS position,
  pg_last_wal_replay_lsn()::text AS replayed,
  pg_last_wal_receive_lsn()::text AS received,
  (SELECT count(*) > 0 FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) AS streams,
  (SELECT received_tli FROM pg_stat_wal_receiver) AS received_timeline,
  greatest((SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT min_recovery_end_timeline FROM pg_control_recovery())) AS reached_timeline,
  CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS paused,
  concat(pg_postmaster_start_time(), ' ', (SELECT stats_reset FROM pg_stat_bgwriter)) AS incarnation`

/**
 * Of a server that receives nothing: the timeline that it has come to at least, and the newest one that it has heard of. It cannot
 * follow one whose history it does not have.
 */
export const UNCONNECTED = `SELECT
  greatest((SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT min_recovery_end_timeline FROM pg_control_recovery())) AS reached_timeline,
  (SELECT max(name) FROM pg_ls_waldir() WHERE name LIKE '%.history') AS newest`

/** How to read the history of a timeline: whoever may not read files can be lent a function that does. */
export const HOW_TO_READ = `SELECT CASE
  WHEN has_function_privilege(to_regprocedure('banyan_timeline_history(int)'), 'execute') THEN 'SELECT banyan_timeline_history($1::int) AS history'
  WHEN has_function_privilege('pg_read_file(text)', 'execute')
    THEN 'SELECT pg_read_file(format(''pg_wal/%s.history'', lpad(upper(to_hex($1::int)), 8, ''0''))) AS history'
  END AS how`

/** What ends the sessions that are left from before a moment; they may be in the middle of a write. */
export const END_SESSIONS = `SELECT count(pg_terminate_backend(pid))::int AS ended FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND backend_start < $1::timestamptz`
