import type { Entry, PutOptions } from '../coordinator.js'

/** Somebody in a line, as keys tell. */
export interface Member {
  /** Who it is, by default `host:pid`. Of another program the text that it has put, or the last segment of its key. */
  readonly holder: string
  /** The fencing token, which is also its order in line. */
  readonly token: number
  /** When it came into the line, in ms since the epoch, on its own clock; 0 of another program, which does not say. */
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

/** What people may have written: what `etcdctl elect` is told is most often who that is. */
const TEXT = /^[^\p{C}\p{Z}{["][^\p{C}]{0,99}$/u

/** Who another program is: what it says, or else what its key is called, in etcd after its lease. */
function strangerOf({ key, value }: Entry): string {
  return TEXT.test(value) ? value : key.slice(key.lastIndexOf('/') + 1)
}

/** Somebody in a line. */
export function memberOf(entry: Entry): Member {
  const { holder, since } = fieldsOf(entry)
  return {
    holder: typeof holder === 'string' ? holder : strangerOf(entry),
    token: entry.created,
    since: typeof since === 'number' ? since : 0,
    key: entry.key,
  }
}
