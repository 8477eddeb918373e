import { coordinationError } from '../errors.js'

/** A place in the history of a cluster. */
export interface Place {
  readonly cluster: string
  readonly timeline: number
  readonly position: bigint
}

/** Cluster, timeline, position; what fits into a header field, a cookie and a URL as it is. */
const FORM = /^([0-9A-Za-z_-]{1,64})\.([1-9]\d{0,9})\.(0|[1-9a-f][0-9a-f]{0,15})$/

/** The consistency token of a place. */
export function tokenOf({ cluster, timeline, position }: Place): string {
  return `${cluster}.${timeline}.${position.toString(16)}`
}

/** @throws `BANYAN_INVALID_TOKEN` */
export function placeOf(token: string): Place {
  const [, cluster, timeline, position] = FORM.exec(token) ?? []
  if (cluster === undefined)
    throw coordinationError(
      'BANYAN_INVALID_TOKEN',
      `a consistency token is what write() or token() has given, such as 7301234567890123456.1.3000148, got ${JSON.stringify(token.slice(0, 100))}`,
    )
  return { cluster, timeline: Number(timeline), position: BigInt(`0x${position}`) }
}

/** A position as PostgreSQL writes it: `16/B374D848`. */
export function showPosition(position: bigint): string {
  const half = (value: bigint): string => value.toString(16).toUpperCase()
  return `${half(position >> 32n)}/${half(position & 0xffff_ffffn)}`
}
