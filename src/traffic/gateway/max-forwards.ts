import type { RequestHead } from '../http/message.js'

/**
 * How many more intermediaries an OPTIONS or TRACE may pass (RFC 9110 7.6.2).
 *
 * @returns `undefined` if it does not say, or what it says is no number; of other methods the field means nothing
 */
export function maxForwards({ method, fields }: RequestHead): number | undefined {
  if (method !== 'OPTIONS' && method !== 'TRACE') return undefined
  const text = fields.get('max-forwards')
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined
}
