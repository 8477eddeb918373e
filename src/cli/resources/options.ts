import { UsageError } from '../usage-error.js'

/** Which node, and which namespace. */
export interface WhereOptions {
  admin?: string
  namespace: string
}

/** How resources are shown. */
export type Format = 'table' | 'wide' | 'yaml' | 'json' | 'name'

const FORMATS: readonly Format[] = ['wide', 'yaml', 'json', 'name']

/** @throws {@link UsageError} */
export function formatOf({ output, json }: { output?: string; json?: true }): Format {
  if (output === undefined) return json ? 'json' : 'table'
  const format = FORMATS.find((each) => each === output)
  if (format === undefined)
    throw new UsageError(`--output must be one of ${FORMATS.join(', ')}, got ${output}`)
  return format
}

/** Kinds and names as they are typed: `promotions`, `promotions summer winter`, `promotion/summer service/shop`. */
export interface Wanted {
  readonly kind: string
  /** All if there are none. */
  readonly names: readonly string[]
}

/** @throws {@link UsageError} */
export function wantedOf([first, ...rest]: readonly string[]): Wanted[] {
  if (first === undefined) return []
  if (!first.includes('/')) {
    const kinds = first.split(',').filter((kind) => kind !== '')
    if (kinds.length > 1 && rest.length > 0)
      throw new UsageError(`names are of one kind: say ${kinds.map((kind) => `${kind}/NAME`).join(' ')}`)
    return kinds.map((kind) => ({ kind, names: rest }))
  }
  return [first, ...rest].map((text) => {
    const [kind, name, ...more] = text.split('/')
    if (!kind || !name || more.length > 0) throw new UsageError(`KIND/NAME is expected, got ${text}`)
    return { kind, names: [name] }
  })
}
