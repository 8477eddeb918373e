import type { RecordedEvent } from '../../events/log.js'
import { Expression } from '../../traffic/gateway/filters/shaping/expression.js'

/**
 * The key of messages as a JMESPath expression says it. Numbers and booleans are keys as text; without a value there is
 * no key, and so no order.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it is not an expression
 */
export function keyFunction(text: string): (event: RecordedEvent) => string | undefined {
  const expression = new Expression(text)
  return ({ id, type, stream, data, metadata, tags }) => {
    const value = expression.evaluate({ id, type, stream, data, metadata, tags })
    if (value === null) return undefined
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return String(value)
    throw new TypeError(`\`${text}\` gives ${Array.isArray(value) ? 'a list' : 'an object'}, which is no key`)
  }
}
