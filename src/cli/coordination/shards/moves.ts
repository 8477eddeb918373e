import type { DataMove } from '../../../coordination/sharding/data/map.js'
import { paint } from '../../paint.js'
import { look, type Look, type LookOptions } from '../look.js'
import { onCoordinator } from '../session.js'
import { nameText } from '../text.js'
import { databases, movesTable, stillText } from './databases.js'
import { mustBe } from './kind.js'

/** `banyan shards moves`. */
export async function moves(name: string, options: LookOptions): Promise<void> {
  const rates = new Rates()
  const how: Look<'data-shards'> = {
    ...databases,
    page(application, now, width) {
      const { moves: all } = application
      if (all.length === 0) return `${nameText(name)}  nothing moves`
      const shown = movesTable(all, now, width, (move) => rates.of(move, now))
      const still = stillText(application)
      return still === undefined ? shown : `${shown}\n\n${paint('red', still)}`
    },
  }
  await onCoordinator(options, ({ desk }) =>
    mustBe(desk, name, 'data-shards', 'banyan shards shows what moves'),
  )
  await look(how, name, options)
}

/** How fast copies are, from one look to the next. */
class Rates {
  readonly #seen = new Map<string, { readonly rows: number; readonly at: number; readonly rate?: number }>()

  /** Rows in a second; undefined until that is known, and if nothing is copied. */
  of({ id, step, rows }: DataMove, now: number): number | undefined {
    const before = this.#seen.get(id)
    if (step !== 'copy') return undefined
    if (before?.rows === rows) return before.rate
    const rate = before && now > before.at ? ((rows - before.rows) * 1000) / (now - before.at) : undefined
    this.#seen.set(id, { rows, at: now, ...(rate !== undefined && { rate }) })
    return rate
  }
}
