import type { RowChange } from './change.js'
import { supersede } from './discard.js'
import { hasRows } from './in-log.js'
import { deleteMissing } from './missing.js'
import { lsnText } from './source.js'
import type { CaptureState } from './state.js'
import { keyOrProblem, tablesOf, type Work } from './work.js'

/**
 * Brings the log to where the tables are at one place of their history, from which changes are followed: every row, and then
 * what the log has and the tables have not. Begun anew by whoever finds it unfinished: the slot that it belongs to is not kept.
 *
 * @param onProgress - told what is being read
 */
export async function takeSnapshot(
  work: Work,
  onProgress: (table: string, rows: number) => void,
): Promise<void> {
  const { settings, session, state, bindings, instruments, intake, parking } = work
  const { identity } = session
  const generation = state.state.generation + 1
  const begun: CaptureState = {
    generation,
    phase: 'snapshot',
    lsn: '0/0',
    system: { system: identity.system, timeline: identity.timeline, database: identity.database },
    tables: tablesOf(bindings),
  }
  // Before the slot is gone: whoever comes after a crash sees that it is.
  const topics = bindings.map(({ topic }) => topic)
  await state.commit(await supersede(work, topics, 'snapshot'), begun)
  await parking.tidy()
  instruments.log('info', `takes snapshot ${generation} of ${bindings.map(({ name }) => name).join(', ')}`)
  const snapshot = await session.snapshot(bindings.map(({ shape }) => shape))
  const now: CaptureState = { ...begun, lsn: lsnText(snapshot.lsn) }
  const at = { lsn: now.lsn, committed: settings.runtime.clock.wall(), generation }
  try {
    for (const binding of bindings) {
      const { shape, name, topic } = binding
      const knowsRows = await hasRows(settings.log, topic)
      const flush = (): Promise<void> => intake.flush(now)
      let rows = 0
      onProgress(name, rows)
      for await (const chunk of snapshot.rows(shape)) {
        const each = chunk.bytes / chunk.rows.length
        for (const row of chunk.rows) {
          const { key, problem } = keyOrProblem(binding, shape, row)
          const change: RowChange = {
            ...at,
            operation: 'snapshot',
            table: shape.name,
            key,
            row,
            unchanged: [],
          }
          intake.add(binding, change, each, problem)
          intake.finish()
          if (intake.isFull) await flush()
        }
        rows += chunk.rows.length
        onProgress(name, rows)
        await flush()
        await work.measure()
        work.signal.throwIfAborted()
      }
      if (knowsRows)
        await deleteMissing(
          work,
          binding,
          { ...at, table: shape.name },
          (last) => last.generation === generation,
          flush,
        )
    }
  } finally {
    await snapshot.close()
  }
  await state.commit([], { ...now, phase: 'streaming' })
  instruments.log('info', `snapshot ${generation} is complete; changes are followed from ${now.lsn}`)
}
