import type { Entry, PutOptions } from '../coordinator.js'

/** Somebody in a line, as keys tell. */
export interface Member {
  /** Who it is, by default `host:pid`. */
  readonly holder: string
  /** The fencing token, which is also its order in line. */
  readonly token: number
  /** When it came into the line, in ms since the epoch, on its own clock. */
  readonly since: number
  readonly key: string
}

/** What the value of a key says; nothing, if it is of somebody else. */
export function fieldsOf({ value }: Pick<Entry, 'value'>): Readonly<Record<string, unknown>> {
  try {
    const fields: unknown = JSON.parse(value)
    return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** Of a key that asks something of who has this one: it is of no use, and in the way, when that is gone. */
export function endingWith({ lease }: Entry): Pick<PutOptions, 'lease'> {
  return lease === undefined ? {} : { lease }
}

/** Somebody in a line. */
export function memberOf(entry: Entry): Member {
  const { holder, since } = fieldsOf(entry)
  return {
    holder: typeof holder === 'string' ? holder : '?',
    token: entry.created,
    since: typeof since === 'number' ? since : 0,
    key: entry.key,
  }
}
