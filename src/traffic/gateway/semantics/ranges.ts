/** What a Range field asks of a representation. */
export type RangeRequest =
  /** No range, or one that need not be understood (RFC 9110 14.2): all of it. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly first: number; readonly last: number }
  /** Begins after the end. */
  | { readonly kind: 'outside' }

const WHOLE: RangeRequest = { kind: 'whole' }

/**
 * Reads a Range field (RFC 9110 14.1.2). Several ranges are answered with the whole: nobody needs them, and many small
 * ones cost the server far more than the client.
 *
 * @param size - bytes of the representation
 */
export function readRange(range: string | undefined, size: number): RangeRequest {
  const match = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(range ?? '')
  if (!match) return WHOLE
  const [, from = '', to = ''] = match
  if (from === '') {
    if (to === '') return WHOLE
    const length = Math.min(Number(to), size)
    return length === 0 ? { kind: 'outside' } : { kind: 'part', first: size - length, last: size - 1 }
  }
  const first = Number(from)
  if (to !== '' && Number(to) < first) return WHOLE
  if (first >= size) return { kind: 'outside' }
  return { kind: 'part', first, last: to === '' ? size - 1 : Math.min(Number(to), size - 1) }
}
