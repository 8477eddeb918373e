/** Length in ms, counted from the Unix epoch, or a calendar month of UTC. */
export type Period = number | 'month'

/** The period that an instant belongs to; all in ms since the Unix epoch. */
export function periodAt(now: number, period: Period): { begins: number; ends: number } {
  if (period !== 'month') {
    const begins = Math.floor(now / period) * period
    return { begins, ends: begins + period }
  }
  const date = new Date(now)
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()]
  return { begins: Date.UTC(year, month), ends: Date.UTC(year, month + 1) }
}
