/** Bytes of a page of the write-ahead log, as servers are built usually. */
const PAGE = 8192n
/** Bytes of what stands before the first record of a page, and of a segment file. */
const PAGE_HEADER = 24n
const SEGMENT_HEADER = 40n
/** Segments have at least this many bytes. */
const SEGMENT = 1n << 20n

/** A position as the server writes it: `16/B374D848`. */
export function positionOf(text: string): bigint {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/**
 * The end of the last record before a position at which the next one would begin. Where a record has filled its page, the next
 * one begins behind the header of the page that follows; a follower that has replayed everything is before that header, and
 * would be waited for until something is written. No record ends in a header.
 */
export function reachable(position: bigint): bigint {
  const offset = position % PAGE
  if (offset === PAGE_HEADER) return position - PAGE_HEADER
  if (position % SEGMENT === SEGMENT_HEADER) return position - SEGMENT_HEADER
  return position
}

/** The timeline in the name of a file of the write-ahead log. */
export function timelineOf(file: string): number {
  return Number.parseInt(file.slice(0, 8), 16)
}
