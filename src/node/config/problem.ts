/** Where in a configuration something stands. */
export type Path = readonly (string | number)[]

/** Something wrong, or worth a thought, in a configuration. */
export interface ConfigProblem {
  severity: 'error' | 'warning'
  file: string
  /** From 1; absent where a position is not known (a configuration in TypeScript). */
  line?: number
  column?: number
  /** Names from the top: `['routes', 'orders', 'to']`. */
  path: Path
  /** What is wrong and what to do. */
  message: string
}

/** Something in a well-shaped configuration that cannot work, or most likely is not meant. */
export interface MeaningProblem {
  severity: 'error' | 'warning'
  path: Path
  at: 'key' | 'value'
  message: string
}

/** A path as people write it: `services.orders.endpoints[0]`. */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('')
}

/** One line for people, in the form that editors and terminals turn into a link. */
export function formatProblem({ file, line, column, path, message }: ConfigProblem): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`
  const where = formatPath(path)
  return `${place}: ${where === '' ? '' : `${where}: `}${message}`
}
